"""Pitch by DIO."""

import math

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_HOP


class Dio(Node):
    """Track the pitch with WORLD's DIO, one row every `hop` samples; 0: unvoiced.

    DIO filters the signal with low-pass filters of many cutoff frequencies. In the output of each filter it measures
    the intervals between rising zero crossings, between falling zero crossings, between peaks, and between dips. The
    filter whose four kinds of intervals agree best gives the period. With `refine`, StoneMask corrects the pitch by the
    instantaneous frequency. DIO is fast and meant for clean recordings. The search reaches 20 % beyond `f0_min` and
    `f0_max`, at most up to a quarter of the rate. A pitch f0 that is a subharmonic, because nearly all energy lies at
    the harmonics of p * f0 (p = 2, 3, 5, 7, 9 ...), is replaced by p * f0. If the pitch then lies at or beyond an end
    of the range f0_min .. f0_max, the frame is unvoiced. Row k is the pitch at sample k * hop, the start of its span,
    so the centre of the rows is 0. The node needs the whole signal.

    Source: M. Morise, H. Kawahara and H. Katayose, Fast and reliable F0 estimation method based on the period
    extraction of vocal fold vibration of singing voice and speech, AES 35th International Conference, 2009; the code is
    WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    f0_min: float = Field(71.0, ge=10.0, description="lowest pitch, Hz")
    f0_max: float = Field(800.0, gt=10.0, description="highest pitch, Hz")

    allowed_range: float = Field(
        0.1, ge=0.0, le=1.0, description="largest relative change of a voiced pitch between frames"
    )
    refine: bool = Field(True, description="refine the pitch by StoneMask")

    def streams(self, x: Audio) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.world import check_search

        try:
            check_search(self.type_name, x, self.f0_min, self.f0_max)
        except ValueError as error:
            raise ParameterError(str(error)) from None
        return (Frames(rate=x.rate / self.hop, kind="f0", width=1, centre=0, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf

    def start(self, x: Audio) -> State:
        return x.rate

    def step(self, rate: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.world import dio

        f0 = dio(x, rate, self.hop, self.f0_min, self.f0_max, self.allowed_range, self.refine)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
