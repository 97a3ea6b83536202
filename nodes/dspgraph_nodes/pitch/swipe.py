"""Pitch by SWIPE'."""

import math

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class Swipe(Node):
    """Fundamental frequency by matching spectra to that of a sawtooth, one row every `hop` samples; 0: unvoiced.

    The windows, eight periods of a pitch long and raised to a power of two, are centred on the start of each frame's
    span: `centre` is 0 (measured on chirps, to 0.3 ms). Frames that line up are those of `frame` with centre
    0. The method sees zeros before and after the signal, and wants all of it.

    pysptk's code reads past its tables at most settings, and then gives other results from call to call; here the
    samples are taken to be up to 1 % faster than they are, and the pitch is scaled back, where that keeps it inside.
    Where it stays inside anyway the result is pysptk's own.

    Source: A. Camacho and J. G. Harris, "A sawtooth waveform inspired pitch estimator for speech and music", Journal
    of the Acoustical Society of America 124(3), 2008; the code is SPTK's, called through pysptk.
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, description="samples from one frame to the next")
    f0_min: float = Field(60.0, ge=20.0, description="lowest pitch, Hz")
    f0_max: float = Field(400.0, gt=20.0, description="highest pitch, Hz")
    threshold: float = Field(0.3, ge=0.0, le=1.0, description="pitch strength from which a frame is voiced")

    def streams(self, x: Audio) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.sptk import swipe_rate

        if x.channels > 1:
            raise ParameterError(f"swipe takes one channel; found {x}: put a mono 'mix' before it")
        try:
            swipe_rate(x.rate, self.f0_min, self.f0_max)
        except ValueError as error:
            raise ParameterError(f"swipe: {error}") from None
        return (Frames(rate=x.rate / self.hop, kind="f0", width=1, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf

    def start(self, x: Audio) -> State:
        return x.rate

    def step(self, rate: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.sptk import swipe

        f0 = swipe(x, rate, self.hop, self.f0_min, self.f0_max, self.threshold)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
