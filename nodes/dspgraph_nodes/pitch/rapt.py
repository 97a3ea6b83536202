"""Pitch by RAPT."""

import math
from fractions import Fraction

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.limits import MOST_HOP

CENTRE = Fraction(15, 2000)  # seconds: half of 7.5 ms plus half a period of 133 Hz


class Rapt(Node):
    """Track the pitch with RAPT (cross-correlation and dynamic programming), one row every `hop` samples; 0: unvoiced.

    RAPT compares the first 7.5 ms from the start of a frame's span with the 7.5 ms that begin one period later. So it
    finds the pitch at 3.75 ms + 1 / (2 * f0) after the start of the span: 5.5 ms at 280 Hz, 7.5 ms at 133 Hz, 9.3 ms at
    90 Hz (measured on chirps, within 0.2 ms). The centre of the rows is 7.5 ms. `frame` with a centre of 7.5 ms, 120
    samples at 16 kHz, cuts frames that are aligned with them.

    The tracker adds noise of RMS 50 / 32768 to the signal, the same in every run, so signals much softer than this
    noise are unvoiced. The node needs the whole signal. It appends zeros so that every frame is analysed: pysptk itself
    leaves the last 30 to 60 ms unvoiced.

    The search reaches from two thirds of `f0_min` to 1.2 times `f0_max`, but not up to half the rate. It is wider than
    the range f0_min .. f0_max because otherwise, for a pitch near or beyond an end, RAPT would return a fraction or a
    multiple of this pitch. A pitch f0 that is a subharmonic, because nearly all energy lies at the harmonics of p * f0
    (p = 2, 3, 5, 7, 9 ...), is replaced by p * f0. If the pitch then lies at or beyond an end of the range, the frame
    is unvoiced.

    Source: D. Talkin, "A robust algorithm for pitch tracking (RAPT)", in W. B. Kleijn and K. K. Paliwal (eds.), Speech
    Coding and Synthesis, Elsevier, 1995; the code is SPTK's, called through pysptk.
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    f0_min: float = Field(60.0, ge=20.0, description="lowest pitch, Hz")
    f0_max: float = Field(400.0, gt=20.0, description="highest pitch, Hz")
    voice_bias: float = Field(0.0, ge=-0.6, le=0.7, description="bias towards voiced frames; larger values give more")

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        if not 8000 <= x.rate <= 96000:
            raise ParameterError(f"rapt takes audio of 8000 to 96000 Hz; found {x}: put a 'resample' before it")
        if self.hop > x.rate / 10:
            most = math.floor(x.rate / 10)
            raise ParameterError(f"rapt.hop is {self.hop}; at {x} it must be at most 0.1 s: {most} samples")
        if not self.f0_min < self.f0_max < math.floor(x.rate / 2):
            raise ParameterError(
                f"rapt.f0_min is {self.f0_min:g} and f0_max {self.f0_max:g}; at {x} they must rise, and stay below "
                f"{math.floor(x.rate / 2)} Hz"
            )
        return (Frames(rate=x.rate / self.hop, kind="f0", width=1, centre=CENTRE, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf

    def start(self, x: Audio) -> State:
        return x.rate

    def step(self, rate: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.sptk import rapt

        f0 = rapt(x, rate, self.hop, self.f0_min, self.f0_max, self.voice_bias)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
