"""Aperiodicity by D4C."""

from fractions import Fraction
from typing import TYPE_CHECKING

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.foreign.world_rows import RowWindows


class D4c(Node):
    """Estimate aperiodicity with WORLD's D4C: how much of each frequency is noise, 0 to 1.

    The value is the amplitude of the noise relative to the envelope. D4C measures the temporal symmetry of the group
    delay in bands of 3 kHz. Row k is the aperiodicity at the time of row k of `f0`: k / f0.rate plus the centre of
    `f0`. A frame without pitch is all noise, and so is a frame whose power up to 4 kHz is less than `threshold` times
    its power up to 7.9 kHz. At rates below 15800 Hz WORLD does not make this test, so such audio is analysed at twice
    its rate. n_fft must be the same as in `cheaptrick`, because `world_synthesis` takes rows of one width. The node
    waits for 2.25 periods of 47 Hz, and at rates below 15800 Hz for 128 samples more: the longest part of a window that
    lies after the time of its row. WORLD's generator of noise is started anew for each row; therefore the rows differ
    from the rows that WORLD computes in one call for the whole signal, by up to 0.004 in soft speech. At rates below
    15800 Hz the difference is 0.01 on average, because only the window is resampled.

    Source: M. Morise, D4C, a band-aperiodicity estimator for high-quality speech synthesis, Speech Communication 84,
    2016; the code is WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Input(Frames, "f0")
    aperiodicity = Output(Frames, "aperiodicity")

    n_fft: int | None = Field(
        None,
        ge=128,
        le=MOST_POINTS,
        description="points of the FFT, a power of two; by default long enough for a pitch of 71 Hz",
    )
    threshold: float = Field(
        0.85,
        ge=0.0,
        le=1.0,
        description="a frame is noise if its power up to 4 kHz is below this share of its power up to 7.9 kHz",
    )

    def streams(self, x: Audio, f0: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.world import check_analysis

        try:
            n_fft = check_analysis(self.type_name, x, f0, self.n_fft)
        except ValueError as error:
            raise ParameterError(str(error)) from None
        return (f0.like(kind="aperiodicity", width=n_fft // 2 + 1, dtype=x.dtype),)

    def lookahead(self, x: Audio, f0: Frames) -> Fraction:
        return self._windows(x, f0).lookahead()

    def start(self, x: Audio, f0: Frames) -> State:
        return x, self._windows(x, f0)

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        return state, self._rows(state, x, f0)

    def flush(self, state: State) -> tuple[Array]:
        return (self._rows(state, state[0].empty(), state[1].f0[:0, None], True),)

    def _rows(self, state: State, x: Array, f0: Array, end: bool = False) -> Array:
        from dspgraph_nodes._kernels.foreign.world import d4c, fft_size
        from dspgraph_nodes._kernels.foreign.world_rows import tapered

        stream, windows = state
        n_fft = self.n_fft or fft_size(stream.rate)

        def aperiodicity(window: Array, pitch: Array, time: Array) -> Array:
            return d4c(tapered(window, stream.rate), stream.rate, pitch, time, n_fft, self.threshold)

        rows: Array = windows.analysed(x, f0[:, 0], end, n_fft // 2 + 1, aperiodicity)
        return rows.astype(stream.dtype)

    def _windows(self, x: Audio, f0: Frames) -> "RowWindows":
        from dspgraph_nodes._kernels.foreign.world_rows import RowWindows, d4c_reach

        return RowWindows(x.rate, f0.rate, f0.centre, d4c_reach(x.rate), x.empty(), f0.empty()[:, 0])
