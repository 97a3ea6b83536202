"""Inverse of the modified discrete cosine transform."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.mdct import MdctWindow


class InverseMdct(Node):
    """Synthesise audio from the modified discrete cosine transform: the inverse of `mdct` with the same window.

        z_k[i] = sqrt(2 / N) * w[i] * sum_b X_k[b] * cos(pi / N * (i + 1/2 + N / 2) * (b + 1/2)),    i = 0 .. 2 * N - 1
        y[n] = sum_k z_k[n - k * N + N / 2]

    The windowed transforms z_k overlap by half. In the sum, the aliasing in the second half of z_k and the aliasing in
    the first half of z_(k+1) cancel each other.

    Source: J. P. Princen, A. W. Johnson and A. B. Bradley, Subband/transform coding using filter bank designs based on
    time domain aliasing cancellation, ICASSP 1987; Xiph.Org Foundation, Vorbis I specification (its window).
    """

    mdct = Input(Frames, "mdct")
    y = Output(Audio)

    window: MdctWindow = Field("sine", description="the window of `mdct`")

    def streams(self, mdct: Frames) -> tuple[Audio]:
        if mdct.width % 2 or mdct.dtype.kind == "c":
            raise ParameterError(f"inverse_mdct takes an even number of real numbers per row; found {mdct}")
        return (Audio(rate=mdct.rate * mdct.width, dtype=mdct.dtype),)

    def lookahead(self, mdct: Frames) -> Fraction:
        return Fraction(1, 2) / mdct.rate

    def start(self, mdct: Frames) -> State:
        return None  # after a row: the later half of its inverse transform, without window

    def step(self, before: State, mdct: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.mdct import backward, half_windows

        bins = mdct.shape[1]
        rising, start = half_windows(self.window, bins, mdct.dtype.name)
        early, late = backward(mdct)
        y = early * rising
        if before is None:
            y[0] = early[0] * start
        else:
            y[0] += before * rising[::-1]
        y[1:] += late[:-1] * rising[::-1]
        samples = y.reshape(-1)
        return late[-1].copy(), samples[bins // 2 :] if before is None else samples

    def flush(self, before: State) -> tuple[Array, ...]:
        return () if before is None else (np.array(before[: len(before) // 2]),)
