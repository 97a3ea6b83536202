"""Autocorrelation and the Levinson-Durbin recursion, frame by frame; every sum runs in one fixed order."""

from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import Code, stage

_WIDTH = 8  # lags in one vector
_VECTORS = 4  # vectors summed at once
_TILE = _WIDTH * _VECTORS
_RUN = 24  # products per partial sum: rounding in a single long sum would cost two digits
_EPS = float(np.finfo(np.float64).eps)


@stage("x", "sums", width=_WIDTH)
def _sum_tile(code: Code, start: Any, count: Any, lag: Any) -> None:
    """Write vector code that sums 32 lags of an autocorrelation: sums[lag + j], 0 <= j < 32.

    sums[lag + j] becomes the sum of x[n - lag - 8 * (j // 8)] * x[n + j % 8] over n = start .. start + count - 1. x
    must have all elements from start - lag - 24 to start + count + 6. A plain loop would spend most of its time on
    unaligned loads; here one load of x serves four vectors of lags. Product and sum are rounded separately, so that
    machines with and without a fused multiply-add give the same bits.
    """
    behind = code.minus(start, lag)
    totals = [code.variable(code.constant(0)) for _ in range(_VECTORS)]
    with code.loop(count) as n:
        following, last = code.load("x", code.plus(start, n)), code.plus(behind, n)
        for k, total in enumerate(totals):
            sample = code.broadcast(code.element("x", code.minus(last, k * _WIDTH)))
            code.builder.store(code.add(code.builder.load(total), code.mul(sample, following)), total)
    for k, total in enumerate(totals):
        code.store(code.builder.load(total), "sums", code.plus(lag, k * _WIDTH))


@kernel
def autocorrelation(frames: Array, order: int) -> Array:
    """Return the autocorrelations [n, order + 1] of n frames in float64: r[j] = sum_i x[i] * x[i + j] for a frame x.

    frames: [n, length]. Products are added in groups of at most 24, with i ascending; then the sums of the groups are
    added in the same order. The sums are float64 for float32 frames too: on speech the recursion of `levinson` loses up
    to seven digits of r, and float32 has no more than seven.
    """
    count, length = frames.shape
    tiles = order // _TILE + 1
    start = tiles * _TILE
    x = np.zeros(start + length + _WIDTH)  # zeros on both sides, so that the sums of all lags run over the same n
    sums, totals = np.empty(tiles * _TILE), np.empty(tiles * _TILE)
    r = np.empty((count, order + 1))
    for k in range(count):
        for n in range(length):
            x[start + n] = frames[k, n]
        totals[:] = 0
        for begin in range(0, length, _RUN):
            for tile in range(tiles):
                _sum_tile(x, sums, start + begin, min(_RUN, length - begin), tile * _TILE)
            totals += sums
        for lag in range(order + 1):
            r[k, lag] = totals[lag]
    return r


@kernel
def residual_power(r: Array, rows: Array) -> Array:
    """Return the residual power of predictors, [n]: the sum of a[j] * a[k] * r[|j - k|] over j and k, with a[0] = 1.

    r: [n, order + 1], autocorrelations; rows: [n, order + 1], predictors (gain, a[1..order]), whose gain is not used.
    """
    count, width = r.shape
    power = np.empty(count)
    a = np.empty(width)
    for f in range(count):
        a[0] = 1.0
        for j in range(1, width):
            a[j] = rows[f, j]
        total = 0.0
        for lag in range(width):
            product = 0.0
            for j in range(width - lag):
                product += a[j] * a[j + lag]
            total += (2.0 if lag else 1.0) * product * r[f, lag]
        power[f] = total
    return power


@kernel
def levinson(r: Array, silence: float, least: float = 0.0) -> Array:
    """Return the predictors (gain, a[1..order]), [n, order + 1], of the autocorrelations r [n, order + 1].

    The coefficients solve sum_k a[k] * r[|j - k|] = -r[j], j = 1 .. order; the gain is the square root of the residual
    power. A row whose r[0] is NaN or at most `silence` gives zeros. The recursion stops when the residual power is at
    most `least` * r[0], or as small as the rounding error of r; the rest of a, which would be noise, is 0. A reflection
    coefficient of magnitude 1 or more, as rounding can give, is limited to just below 1, so that 1 / A(z) is stable.
    """
    count, width = r.shape
    rows = np.zeros((count, width))
    reverse = np.empty(width)
    for f in range(count):
        lags, a = r[f], rows[f]
        if not lags[0] > silence:
            continue
        error, enough = lags[0], max(width * _EPS, least) * lags[0]
        for i in range(1, width):
            if error <= enough:
                break
            k = lags[i]
            for j in range(1, i):
                k += a[j] * lags[i - j]
            k = min(max(-k / error, _EPS - 1), 1 - _EPS)
            error *= 1 - k * k
            for j in range(1, i):
                reverse[j] = a[i - j]
            for j in range(1, i):
                a[j] += k * reverse[j]
            a[i] = k
        a[0] = np.sqrt(error)
    return rows
