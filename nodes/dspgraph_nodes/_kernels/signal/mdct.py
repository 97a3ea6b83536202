"""The modified discrete cosine transform: windows, folding, and the edges of a signal.

Frame k has 2 * N samples and begins N / 2 samples before its span of N samples. The first frame has no frame before it,
and the last frame has no frame after it. There the window begins or ends abruptly at the edge of the signal, so that no
aliasing arises that another frame would have to cancel.
"""

from functools import lru_cache
from typing import Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

MdctWindow = Literal["sine", "vorbis"]


@lru_cache(maxsize=16)
def half_windows(window: MdctWindow, bins: int, dtype: str) -> tuple[Array, Array]:
    """Return two rising halves of the window, for any frame and for the first frame: [bins] each, read-only.

    sine: s[n] = sin(pi / (4 * bins) * (2 * n + 1)); vorbis: sin(pi / 2 * s[n]**2). The half for the first frame is 0
    before the signal and 1 inside it. The falling halves, for any frame and for the last frame, have the same values in
    reverse order. bins: an even number; dtype: the name of the dtype.
    """
    from dspgraph_nodes._kernels.maths.elementary import sin

    rising = sin(np.pi / (4 * bins) * (2 * np.arange(bins) + 1))
    if window == "vorbis":
        rising = sin(np.pi / 2 * rising**2)
    start = (np.arange(bins) >= bins // 2).astype(np.float64)
    halves = rising.astype(dtype), start.astype(dtype)
    for half in halves:
        half.setflags(write=False)
    return halves


def forward(frames: Array, left: Array, right: Array) -> Array:
    """Return the MDCT [n, N] of frames [n, 2 * N] times a window with the halves `left` and `right`.

    left, right: [n, N] or [N]; N is even. A windowed frame with the quarters (a, b, c, d) is folded to (-c_r - d, a -
    b_r), where _r means reversed; the result is the orthonormal DCT-IV of this.
    """
    from scipy.fft import dct

    half = frames.shape[1] // 4
    early, late = frames[:, : 2 * half] * left, frames[:, 2 * half :] * right
    a, b, c, d = early[:, :half], early[:, half:], late[:, :half], late[:, half:]
    folded = np.concatenate((-c[:, ::-1] - d, a - b[:, ::-1]), axis=1)
    rows: Array = dct(folded, type=4, norm="ortho", axis=1)
    return rows


def backward(rows: Array) -> tuple[Array, Array]:
    """Return the earlier and the later halves, [n, N] each, of the inverse MDCT of rows [n, N], N even.

    Each half contains the frame, windowed once, plus a mirror image of it (aliasing). Multiplied by the window again
    and added to the half of the neighbouring frame, it gives the signal: the images cancel.
    """
    from scipy.fft import dct

    folded = dct(rows, type=4, norm="ortho", axis=1)
    u, v = np.split(folded, 2, axis=1)
    return np.concatenate((v, -v[:, ::-1]), axis=1), np.concatenate((-u[:, ::-1], -u), axis=1)
