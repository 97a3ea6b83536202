"""Spectral envelope by CheapTrick."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class Cheaptrick(Node):
    """The power spectrum of the vocal tract, with the harmonics of the pitch smoothed away.

    A window of three periods, a smoothing over two thirds of the pitch in frequency and a lifter that puts back what
    the smoothing took. Row k is at the time of row k of `f0`, its centre included. Without pitch, or with one below
    3 rate / (n_fft - 3), a frame is taken as if it had 500 Hz. A silent signal has power 0; where only a stretch is
    silent, WORLD's own noise floor of about 1e-17 is left. It wants the whole signal.

    Source: M. Morise, CheapTrick, a spectral envelope estimator for high-quality speech synthesis, Speech Communication
    67, 2015; the code is WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Input(Frames, "f0")
    power = Output(Frames, "power")

    n_fft: int | None = Field(None, ge=128, description="points of the FFT, a power of two; by default for 71 Hz")
    q1: float = Field(-0.15, ge=-0.5, le=0.5, description="how much of the spectral peaks the lifter puts back")

    def streams(self, x: Audio, f0: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.world import check_audio, check_fft

        try:
            check_audio(x)
        except ValueError as error:
            raise ParameterError(f"cheaptrick {error}") from None
        if f0.width != 1:
            raise ParameterError(f"cheaptrick takes one pitch per frame; found {f0}")
        try:
            n_fft = check_fft(x, self.n_fft)
        except ValueError as error:
            raise ParameterError(f"cheaptrick.{error}") from None
        return (f0.like(kind="power", width=n_fft // 2 + 1, dtype=x.dtype),)

    def lookahead(self, x: Audio, f0: Frames) -> float:
        return math.inf

    def start(self, x: Audio, f0: Frames) -> State:
        return x.rate, f0.rate, f0.centre

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.world import cheaptrick, fft_size

        rate, frames, centre = state
        pitch = f0[: math.ceil(len(x) * frames / rate), 0]
        times = np.arange(len(pitch)) / float(frames) + float(centre)
        power = cheaptrick(x, rate, pitch, times, self.n_fft or fft_size(rate), self.q1)
        return state, power.astype(x.dtype, copy=False)
