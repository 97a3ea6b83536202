"""Aperiodicity by D4C."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class D4c(Node):
    """How much of every frequency is noise, 0 to 1: the aperiodicity of WORLD, an amplitude relative to the envelope.

    The temporal symmetry of the group delay, measured in bands of 3 kHz. Row k is at the time of row k of `f0`, its
    centre included; a frame without pitch is all noise, and so is one whose power up to 4 kHz is less than `threshold`
    of that up to 7.9 kHz. Audio below 15800 Hz, where WORLD has no such test, is analysed at twice its rate. Take the
    n_fft of `cheaptrick`. It wants the whole signal.

    Source: M. Morise, D4C, a band-aperiodicity estimator for high-quality speech synthesis, Speech Communication 84,
    2016; the code is WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Input(Frames, "f0")
    aperiodicity = Output(Frames, "aperiodicity")

    n_fft: int | None = Field(None, ge=128, description="points of the FFT, a power of two; by default for 71 Hz")
    threshold: float = Field(0.85, ge=0.0, le=1.0, description="share of low power below which a frame is noise")

    def streams(self, x: Audio, f0: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.world import check_audio, check_fft

        try:
            check_audio(x)
        except ValueError as error:
            raise ParameterError(f"d4c {error}") from None
        if f0.width != 1:
            raise ParameterError(f"d4c takes one pitch per frame; found {f0}")
        try:
            n_fft = check_fft(x, self.n_fft)
        except ValueError as error:
            raise ParameterError(f"d4c.{error}") from None
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
