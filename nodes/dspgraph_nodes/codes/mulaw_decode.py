"""mu-law expanding."""

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, Symbols
from dspgraph_nodes._kernels.symbols import check_range


def mulaw_decode(codes: Array, levels: int = 256, peak: float = 1.0, dtype: Any = np.float64) -> Array:
    """Samples x = sgn(c - h) peak / mu (exp(|c - h| / h ln(levels)) - 1), h = levels / 2, mu = levels - 1.

    codes: [n], integers below `levels`. Returns [n] of `dtype`. Raises ValueError with the first code out of range.
    """
    check_range(codes, 0, levels - 1, "mu-law codes")
    samples: Array = _table(levels, peak, np.dtype(dtype).name)[codes]
    return samples


@lru_cache(maxsize=32)
def _table(levels: int, peak: float, dtype: str) -> Array:
    """The sample of every code, computed in float64 and rounded once."""
    half = levels // 2
    u = np.arange(levels) - half
    table = (np.sign(u) * np.expm1(np.abs(u) / half * math.log(levels)) * (peak / (levels - 1))).astype(dtype)
    table.flags.writeable = False
    return table


class MulawDecode(Node):
    """Samples from mu-law codes: the inverse of `mulaw_encode` with the same levels and peak.

        x = sgn(c - h) peak / mu (exp(|c - h| / h ln(1 + mu)) - 1),    h = levels / 2,    mu = levels - 1

    The codes reach from -peak to just under +peak: with 256 levels the last one is 0.957 peak.

    Source: A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016, section 2.2 (its inverse).
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
