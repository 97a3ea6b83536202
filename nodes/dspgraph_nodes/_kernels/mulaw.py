"""mu-law companding: samples as a few codes, fine near silence and coarse near full scale."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.symbols import check_range

Array = NDArray[Any]


def mulaw_encode(x: Array, levels: int = 256, peak: float = 1.0) -> Array:
    """Codes c = clip(floor(h + h sgn(x) ln(1 + mu |x| / peak) / ln(levels) + 1/2), 0, levels - 1).

    Here h = levels / 2 and mu = levels - 1. x: [n], float32 or float64; beyond +-peak it clips. Returns [n] int64.
    Silence is code h, +peak the last code, -peak code 0. Raises ValueError for a NaN.
    """
    half, mu = levels // 2, levels - 1
    magnitude = np.minimum(np.abs(x), x.dtype.type(peak)) * x.dtype.type(mu / peak)
    code = np.log1p(magnitude)  # not log(1 + .): at 65536 levels the first code is 5e-9 of the peak
    code *= x.dtype.type(half / math.log(levels))
    code = np.copysign(code, x)
    code += x.dtype.type(half + 0.5)
    np.floor(code, out=code)
    np.clip(code, 0, levels - 1, out=code)
    if np.isnan(code).any():
        raise ValueError(f"NaN has no mu-law code; item {int(np.argmax(np.isnan(code)))} is NaN")
    return code.astype(np.int64)


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
