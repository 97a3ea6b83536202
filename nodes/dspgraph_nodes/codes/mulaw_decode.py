"""mu-law expanding."""

from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, Symbols
from dspgraph_nodes._kernels.mulaw import mulaw_decode


class MulawDecode(Node):
    """Samples from mu-law codes: the inverse of `mulaw_encode` with the same levels and peak.

        x = sgn(c - h) peak / mu (exp(|c - h| / h ln(1 + mu)) - 1),    h = levels / 2,    mu = levels - 1

    The codes reach from -peak to just under +peak: with 256 levels the last one is 0.957 peak.

    Source: A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", arXiv:1609.03499, 2016 (its inverse).
    """

    codes = Input(Symbols, "mulaw")
    y = Output(Audio)

    levels: int = Field(256, ge=2, le=65536, description="number of codes, a power of two")
    peak: float = Field(1.0, gt=0.0, description="amplitude of full scale")
    precision: Literal["float64", "float32"] = Field("float64", description="dtype of the samples: codes carry none")

    def streams(self, codes: Symbols) -> tuple[Audio]:
        if codes.size != self.levels:
            raise ParameterError(
                f"mulaw_decode.levels is {self.levels}, but {codes} comes in: set levels to {codes.size}, or give "
                "what wrote the codes the same levels"
            )
        if self.levels & (self.levels - 1):
            raise ParameterError(f"mulaw_decode.levels is {self.levels}; it must be a power of two, as mulaw_encode's")
        return (Audio(rate=codes.rate, dtype=np.dtype(self.precision)),)

    def step(self, state: State, codes: Array) -> tuple[State, Array]:
        return state, mulaw_decode(codes, self.levels, self.peak, self.precision)
