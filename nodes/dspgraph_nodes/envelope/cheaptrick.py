"""Spectral envelope by CheapTrick."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS


class Cheaptrick(Node):
    """Estimate the spectral envelope with WORLD's CheapTrick: the power spectrum without the harmonics of the pitch.

    CheapTrick uses a window of three pitch periods, smooths the power spectrum over a band of two thirds of the pitch,
    and sharpens the peaks again with a lifter. Row k is the envelope at the time of row k of `f0`: k / f0.rate plus the
    centre of `f0`. A frame without pitch, or with a pitch below 3 * rate / (n_fft - 3), is analysed as if its pitch
    were 500 Hz. A silent signal has power 0; if only a part of a signal is silent, WORLD's noise floor of about 1e-17
    remains there. The node needs the whole signal.

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

    def lookahead(self, x: Audio, f0: Frames) -> float:
        return math.inf

    def advice(self, x: Audio, f0: Frames) -> str | None:
        from dspgraph_nodes._kernels.foreign.world import short_fft

        return short_fft(x, self.n_fft)

    def start(self, x: Audio, f0: Frames) -> State:
        return x.rate, f0.rate, f0.centre

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.world import cheaptrick, fft_size

        rate, frames, centre = state
        pitch = f0[: math.ceil(len(x) * frames / rate), 0]
        times = np.arange(len(pitch)) / float(frames) + float(centre)
        power = cheaptrick(x, rate, pitch, times, self.n_fft or fft_size(rate), self.q1)
        return state, power.astype(x.dtype, copy=False)
