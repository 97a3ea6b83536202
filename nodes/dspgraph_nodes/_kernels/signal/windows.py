"""Periodic windows: sums of cosines, and Vorbis's window."""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Window = Literal["boxcar", "hann", "hamming", "blackman", "vorbis"]
WindowNorm = Literal["none", "power"]

# w[n] = sum_k c[k] * cos(2 * pi * k * n / length). Computed here because importing scipy.signal takes most of a second.
_COSINES: dict[Window, tuple[float, ...]] = {
    "boxcar": (1.0,),
    "hann": (0.5, -0.5),
    "hamming": (0.54, -0.46),
    "blackman": (0.42, -0.5, 0.08),
}


@lru_cache(maxsize=64)
def window_values(window: Window, norm: WindowNorm, length: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values [length] of a periodic window, as a read-only array of `dtype`.

    With norm="none" they are those of `scipy.signal.get_window(window, length)`, up to rounding. With norm="power" they
    are divided by the root of the sum of their squares, so that sum_n w[n]**2 = 1. The window "vorbis", which scipy
    does not have, is sin(pi / 2 * sin(pi * (n + 1/2) / length)**2): w[n]**2 + w[n + length / 2]**2 = 1 if the length is
    even and norm="none".

    Source: Xiph.Org Foundation, Vorbis I specification (its window function).
    """
    values = _vorbis(length) if window == "vorbis" else _cosines(_COSINES[window], length)
    if length == 1:
        values[0] = 1  # a window of one sample keeps it
    if norm == "power":
        values /= np.sqrt(np.sum(values**2))
    values = values.astype(dtype)
    values.setflags(write=False)
    return values


def _cosines(coefficients: tuple[float, ...], length: int) -> NDArray[Any]:
    from dspgraph_nodes._kernels.maths.elementary import cos

    angle = np.arange(length) * (2 * np.pi / length)
    values = np.zeros(length)
    for k, c in enumerate(coefficients):
        values += c * cos(k * angle)
    return values


def _vorbis(length: int) -> NDArray[Any]:
    from dspgraph_nodes._kernels.maths.elementary import sin

    return sin(np.pi / 2 * sin(np.pi / length * (np.arange(length) + 0.5)) ** 2)
