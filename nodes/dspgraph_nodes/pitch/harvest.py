"""Pitch by Harvest."""

import math

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class Harvest(Node):
    """Fundamental frequency by Harvest, one row every `hop` samples; 0: unvoiced.

    Band-pass filters propose candidates, instantaneous frequency refines and scores them, and their course over time
    chooses. Row k is the pitch at sample k hop, so `centre` is 0. It finds more voice than other trackers; `d4c` then
    tells what is unvoiced. It wants the whole signal.

    Source: M. Morise, Harvest: A high-performance fundamental frequency estimator from speech signals, Interspeech
    2017; the code is WORLD's, called through pyworld (`pip install 'dspgraph[world]'`).
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, description="samples from one frame to the next")
    f0_min: float = Field(71.0, ge=10.0, description="lowest pitch, Hz")
    f0_max: float = Field(800.0, gt=10.0, description="highest pitch, Hz")

    def streams(self, x: Audio) -> tuple[Frames]:
        from dspgraph_nodes._kernels.world import HIGHEST_RATE, LOWEST_RATE, MISSING, installed

        if not installed():
            raise ParameterError(f"harvest {MISSING}")
        if x.channels > 1:
            raise ParameterError(f"harvest takes one channel; found {x}: put a mono 'mix' before it")
        if not LOWEST_RATE <= x.rate <= HIGHEST_RATE or x.rate.denominator > 1:
            raise ParameterError(
                f"harvest takes audio of a whole number of hertz from {LOWEST_RATE} to {HIGHEST_RATE}; found {x}: "
                "put a 'resample' before it"
            )
        if not self.f0_min < self.f0_max <= x.rate / 4:
            raise ParameterError(
                f"harvest.f0_min is {self.f0_min:g} and f0_max {self.f0_max:g}; at {x} they must rise, up to "
                f"{float(x.rate / 4):g} Hz"
            )
        return (Frames(rate=x.rate / self.hop, kind="f0", width=1, centre=0, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf

    def start(self, x: Audio) -> State:
        return x.rate

    def step(self, rate: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.world import harvest

        f0 = harvest(x, rate, self.hop, self.f0_min, self.f0_max)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
