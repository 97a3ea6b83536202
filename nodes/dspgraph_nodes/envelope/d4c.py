"""Aperiodicity by D4C."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS


class D4c(Node):
    """Estimate aperiodicity with WORLD's D4C: how much of each frequency is noise, 0 to 1.

    The value is the amplitude of the noise relative to the envelope. D4C measures the temporal symmetry of the group
    delay in bands of 3 kHz. Row k is the aperiodicity at the time of row k of `f0`: k / f0.rate plus the centre of
    `f0`. A frame without pitch is all noise, and so is a frame whose power up to 4 kHz is less than `threshold` times
    its power up to 7.9 kHz. At rates below 15800 Hz WORLD does not make this test, so such audio is analysed at twice
    its rate. n_fft must be the same as in `cheaptrick`, because `world_synthesis` takes rows of one width. The node
    needs the whole signal.

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

    def lookahead(self, x: Audio, f0: Frames) -> float:
        return math.inf

    def start(self, x: Audio, f0: Frames) -> State:
        return x.rate, f0.rate, f0.centre

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.world import d4c, fft_size

        rate, frames, centre = state
        pitch = f0[: math.ceil(len(x) * frames / rate), 0]
        times = np.arange(len(pitch)) / float(frames) + float(centre)
        rows = d4c(x, rate, pitch, times, self.n_fft or fft_size(rate), self.threshold)
        return state, rows.astype(x.dtype, copy=False)
