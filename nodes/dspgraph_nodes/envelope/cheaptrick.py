"""Spectral envelope by CheapTrick."""

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.foreign.world_rows import RowWindows


class Cheaptrick(Node):
    """Estimate the spectral envelope with WORLD's CheapTrick: the power spectrum without the harmonics of the pitch.

    CheapTrick uses a window of three pitch periods, smooths the power spectrum over a band of two thirds of the pitch,
    and sharpens the peaks again with a lifter. Row k is the envelope at the time of row k of `f0`: k / f0.rate plus the
    centre of `f0`. A frame without pitch, or with a pitch below 3 * rate / (n_fft - 3), is analysed as if its pitch
    were 500 Hz. The power is 0 in the rows whose windows end before the first sample that is not 0; later, WORLD's
    noise floor of about 1e-17 remains where the signal is silent. The node waits for n_fft / 2 samples, the longest
    part of a window that lies after the time of its row. WORLD's generator of noise is started anew for each row;
    therefore the rows differ by 1e-5 dB from the rows that WORLD computes in one call for the whole signal.

    Source: M. Morise, CheapTrick, a spectral envelope estimator for high-quality speech synthesis, Speech Communication
    67, 2015; the code is WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Input(Frames, "f0")
    power = Output(Frames, "power")

    n_fft: int | None = Field(
        None,
        ge=128,
        le=MOST_POINTS,
        description="points of the FFT, a power of two; by default long enough for a pitch of 71 Hz",
    )
    q1: float = Field(
        -0.15, ge=-0.5, le=0.5, description="strength of the lifter that restores the spectral peaks (WORLD's q1)"
    )

    def streams(self, x: Audio, f0: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.world import check_analysis

        try:
            n_fft = check_analysis(self.type_name, x, f0, self.n_fft)
        except ValueError as error:
            raise ParameterError(str(error)) from None
        return (f0.like(kind="power", width=n_fft // 2 + 1, dtype=x.dtype),)

    def lookahead(self, x: Audio, f0: Frames) -> Fraction:
        return self._windows(x, f0).lookahead()

    def advice(self, x: Audio, f0: Frames) -> str | None:
        from dspgraph_nodes._kernels.foreign.world import short_fft

        return short_fft(x, self.n_fft)

    def start(self, x: Audio, f0: Frames) -> State:
        return x, self._windows(x, f0)

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        return state, self._rows(state, x, f0)

    def flush(self, state: State) -> tuple[Array]:
        return (self._rows(state, state[0].empty(), state[1].f0[:0, None], True),)

    def _rows(self, state: State, x: Array, f0: Array, end: bool = False) -> Array:
        from dspgraph_nodes._kernels.foreign.world import cheaptrick, fft_size

        stream, windows = state
        n_fft = self.n_fft or fft_size(stream.rate)

        def power(window: Array, pitch: Array, time: Array) -> Array:
            row = cheaptrick(window, stream.rate, pitch, time, n_fft, self.q1)
            return row if windows.heard else np.zeros_like(row)

        rows: Array = windows.analysed(x, f0[:, 0], end, n_fft // 2 + 1, power)
        return rows.astype(stream.dtype)

    def _windows(self, x: Audio, f0: Frames) -> "RowWindows":
        from dspgraph_nodes._kernels.foreign.world import fft_size
        from dspgraph_nodes._kernels.foreign.world_rows import RowWindows, cheaptrick_reach

        reach = cheaptrick_reach(self.n_fft or fft_size(x.rate))
        return RowWindows(x.rate, f0.rate, f0.centre, reach, x.empty(), f0.empty()[:, 0])
