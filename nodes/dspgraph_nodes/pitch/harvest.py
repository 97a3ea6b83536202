"""Pitch by Harvest."""

import math

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_HOP


class Harvest(Node):
    """Track the pitch with WORLD's Harvest, one row every `hop` samples; 0: unvoiced.

    Band-pass filters give candidates, the instantaneous frequency refines and scores them, and the best contour over
    time is chosen. The search reaches an octave below `f0_min` and 20 % above `f0_max`, at most up to a quarter of the
    rate. A pitch f0 that is a subharmonic, because nearly all energy lies at the harmonics of p * f0 (p = 2, 3, 5, 7, 9
    ...), is replaced by p * f0. If the pitch then lies at or beyond an end of the range f0_min .. f0_max, the frame is
    unvoiced. Row k is the pitch at sample k * hop, the start of its span, so the centre of the rows is 0. Harvest marks
    more frames as voiced than other trackers; `d4c` then decides which of these are noise. The node needs the whole
    signal.

    Source: M. Morise, Harvest: A high-performance fundamental frequency estimator from speech signals, Interspeech
    2017; the code is WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    f0_min: float = Field(71.0, ge=10.0, description="lowest pitch, Hz")
    f0_max: float = Field(800.0, gt=10.0, description="highest pitch, Hz")

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
        from dspgraph_nodes._kernels.foreign.world import harvest

        f0 = harvest(x, rate, self.hop, self.f0_min, self.f0_max)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
