"""mu-law companding; `mulaw_encode` and `floor_levels` give the same codes on every machine.

numpy's log and exp differ in their last bit between machines with and without AVX-512, and the last bit can change the
code of a sample at the edge between two codes. So a table of the edges, computed in decimal arithmetic, decides; the
logarithm only gives a first guess of the code. `even_levels` has no such table.
"""

import math
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp
from dspgraph_nodes._kernels.maths.symbols import check_range


def mulaw_encode(x: Array, levels: int = 256, peak: float = 1.0) -> Array:
    """Return the mu-law codes c of samples, [n] int64.

        c = clip(floor(h + h * sgn(x) * ln(1 + mu * |x| / peak) / ln(levels) + 1/2), 0, levels - 1)

    Here h = levels / 2 and mu = levels - 1. x: [n], float32 or float64; samples beyond +-peak count as +-peak. levels:
    an even number. Silence has the code h, +peak the last code, -peak the code 0. Raises ValueError that names the
    first NaN.
    """
    half, mu = levels // 2, levels - 1
    guess = np.minimum(np.abs(x), x.dtype.type(peak)) * x.dtype.type(mu / peak)
    guess = np.log1p(guess)  # not log(1 + .): at 65536 levels the first code is 5e-9 of the peak
    guess *= x.dtype.type(half / math.log(levels))
    guess = np.copysign(guess, x)
    guess += x.dtype.type(half + 0.5)
    if np.isnan(guess).any():
        raise ValueError(f"NaN has no mu-law code; item {int(np.argmax(np.isnan(guess)))} is NaN")
    codes: Array = np.clip(guess, 0, levels - 1).astype(np.int64)
    limits = code_edges(levels, peak, x.dtype.name)
    codes -= x < limits[codes]
    codes += x >= limits[codes + 1]
    return codes


def mulaw_decode(codes: Array, levels: int = 256, peak: float = 1.0, dtype: Any = np.float64) -> Array:
    """Return the samples x that mu-law codes c stand for, [n] of `dtype`.

        x = sgn(c - h) * (peak / mu) * (levels**(|c - h| / h) - 1)

    Here h = levels / 2, levels is even, and mu = levels - 1. codes: [n], integers from 0 to levels - 1. Raises
    ValueError that names the first code out of range.
    """
    check_range(codes, 0, levels - 1, "mu-law codes")
    samples: Array = _centres(levels, peak, np.dtype(dtype).name)[codes]
    return samples


@lru_cache(maxsize=32)
def _centres(levels: int, peak: float, dtype: str) -> Array:
    """Return the samples [levels] of type `dtype` that the codes 0 .. levels - 1 stand for; code 0 is -`peak`."""
    expanded = _expanded(levels)[::2]  # at the distances 0, 1, 2 ... h, in codes, from silence
    return _frozen(np.concatenate((-expanded[:0:-1], expanded[:-1])) * peak, dtype)


@lru_cache(maxsize=32)
def code_edges(levels: int, peak: float, dtype: str) -> Array:
    """Return the edges [levels + 1] of the codes, as samples of the type `dtype` for the full scale `peak`.

    Code c has the samples from edges[c] up to, not including, edges[c + 1]. The first and the last edge are NaN,
    because code 0 and the last code have no limit outwards.
    """
    expanded = _expanded(levels)[1::2]  # at the distances 1/2, 3/2 ... h - 1/2, in codes, from silence
    inner = np.concatenate((-expanded[::-1], expanded))[: levels - 1] * peak
    return _frozen(np.concatenate(([np.nan], inner, [np.nan])), dtype)  # comparisons with NaN are False


def _frozen(values: Array, dtype: str) -> Array:
    table = values.astype(dtype)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=8)
def _expanded(levels: int) -> Array:
    """Return (levels**(k / levels) - 1) / mu for k = 0 .. levels, correctly rounded: [levels + 1], mu = levels - 1.

    These are the samples that lie k half codes above silence, for peak 1.
    """
    digits = Context(prec=40)
    step = digits.exp(digits.divide(digits.ln(Decimal(levels)), Decimal(levels)))
    powers = [Decimal(1)]
    for _ in range(levels):
        powers.append(digits.multiply(powers[-1], step))
    return np.array([float(digits.divide(power - 1, Decimal(levels - 1))) for power in powers])


def even_samples(levels: int, mulaw: bool = True) -> Array:
    """Return the samples that the levels 0 .. levels - 1 stand for: [levels] float64, from -1 to 1.

    None of them is 0 if `levels` is even. The sample of level k is y = 2 * k / mu - 1, where mu = levels - 1, or, if
    `mulaw` is true, sgn(y) * ((1 + mu)**abs(y) - 1) / mu. Several published vocoders use these levels. The samples of
    `mulaw_decode` are lower: by half a level in the middle, from 0 at level 0 up to a whole level at the last one.
    """
    mu = levels - 1
    y = 2 * np.arange(levels) / mu - 1
    if not mulaw:
        return y
    samples: Array = np.sign(y) * (exp(np.abs(y) * np.log(1.0 + mu)) - 1) / mu
    return samples


def even_levels(x: Array, levels: int, mulaw: bool = True) -> Array:
    """Return the level [n] int64 of every sample x, the inverse of `even_samples`. x: [n] float64, from -1 to 1.

    The level is floor((y + 1) / 2 * mu + 1/2), where mu = levels - 1, and y is x or, if `mulaw` is true, sgn(x) * ln(1
    + mu * abs(x)) / ln(1 + mu). The logarithm is numpy's, so that the level of a sample at the edge between two levels
    can depend on the machine. Samples beyond +-1 are not clipped: they can get numbers that are no levels.
    """
    mu = levels - 1
    y = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu) if mulaw else x
    found: Array = np.floor((y + 1) / 2 * mu + 0.5).astype(np.int64)
    return found


# ---- levels that are rounded down -----------------------------------------------------------------------------------


def floor_levels(x: Array) -> Array:
    """Return the mu-law level k, 0 .. 255, of every sample, [n] int64, as NSynth's networks read it.

        k = clip(128 + floor(sgn(x) * ln(1 + 255 * |x|) / ln(256) * 128), 0, 255)

    x: [n], float32 or float64. Silence has the level 128. Samples of +1 and above, for which the published program has
    no level, get the last one, and so does NaN.
    """
    levels: Array = np.clip(np.searchsorted(_floor_edges(x.dtype.name), x, side="right") - 1, 0, 255)
    return levels


def floor_samples() -> Array:
    """Return the sample of every one of the 256 levels of `floor_levels`, [256] float64, as NSynth's decoder has them.

    y = (k - 128 + 1/2) / 128, x = sgn(y) * (256**|y| - 1) / 255; level 128 stands for 0.
    """
    half = _expanded(256)[1::2]  # at the distances 1/2, 3/2 ... 255/2, in steps of 1 / 128, from 0
    samples = np.concatenate((-half[::-1], half))
    samples[128] = 0
    return samples


@lru_cache(maxsize=2)
def _floor_edges(dtype: str) -> Array:
    """Return the edges [256]: level k has the samples from edges[k] up to, not including, edges[k + 1].

    Level 0 also has the samples below edges[0], which is -1, and level 255 all samples from edges[255] on.
    """
    whole = _expanded(256)[::2]  # at the distances 0, 1 ... 128 from 0
    return _frozen(np.concatenate((-whole[:0:-1], whole[:-1])), dtype)
