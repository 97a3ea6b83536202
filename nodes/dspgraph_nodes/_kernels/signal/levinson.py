"""Autocorrelation and the Levinson-Durbin recursion, frame by frame, every sum in one fixed order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import Code, stage

Array = NDArray[Any]

WIDTH = 8  # lags side by side in one vector
VECTORS = 4  # vectors that are summed at once
TILE = WIDTH * VECTORS
RUN = 24  # products summed before they are added to the total: a long sum of small numbers would lose two digits
EPS = float(np.finfo(np.float64).eps)


@stage("x", "sums", width=WIDTH)
def _sum_tile(code: Code, start: Any, count: Any, lag: Any) -> None:
    """Write sums[lag + j] = sum of x[n - lag - 8 (j // 8)] * x[n + j % 8], n = start .. start + count - 1, 0 <= j < 32.

    Plain loops are bound by their unaligned loads; here one load of x serves four vectors of lags, which a compiler
    does not find. Product and sum are rounded apart, so that machines with and without fused multiply-add agree.
    """
    behind = code.minus(start, lag)
    totals = [code.variable(code.constant(0)) for _ in range(VECTORS)]
    with code.loop(count) as n:
        following, last = code.load("x", code.plus(start, n)), code.plus(behind, n)
        for k, total in enumerate(totals):
            sample = code.broadcast(code.element("x", code.minus(last, k * WIDTH)))
            code.builder.store(code.add(code.builder.load(total), code.mul(sample, following)), total)
    for k, total in enumerate(totals):
        code.store(code.builder.load(total), "sums", code.plus(lag, k * WIDTH))


@kernel
def autocorrelation(frames: Array, order: int) -> Array:
    """r[j] = sum_n x[n] x[n+j], in runs of 24, n ascending, j = 0 .. order, of every row x of `frames`; [n, order + 1].

    Float64 whatever the frames are: on speech the recursion loses up to seven digits of r, all float32 has.
    """
    count, length = frames.shape
    tiles = order // TILE + 1
    start = tiles * TILE
    x = np.zeros(start + length + WIDTH)  # zeros on both sides, so that every lag sums over every n
    sums, totals = np.empty(tiles * TILE), np.empty(tiles * TILE)
    r = np.empty((count, order + 1))
    for k in range(count):
        x[start : start + length] = frames[k]
        totals[:] = 0
        for begin in range(0, length, RUN):
            for tile in range(tiles):
                _sum_tile(x, sums, start + begin, min(RUN, length - begin), tile * TILE)
            totals += sums
        r[k] = totals[: order + 1]
    return r


@kernel
def residual(r: Array, rows: Array) -> Array:
    """sum_jk a[j] a[k] r[|j-k|], a[0] = 1, [n]: the power that rows (gain, a[1..order]) leave of a signal."""
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
    """Rows (gain, a[1..order]) that solve sum_k a[k] r[|j-k|] = -r[j], j = 1 .. order, for every row of `r`.

    A row with r[0] <= silence gives zeros. Where a frame is predicted down to the rounding of r, or to `least` of
    r[0], the recursion stops, the rest of a is 0: it would be noise. And what rounding makes of a reflection near 1
    stays below it, so 1 / A(z) is stable.
    """
    count, width = r.shape
    rows = np.zeros((count, width))
    reverse = np.empty(width)
    for f in range(count):
        lags, a = r[f], rows[f]
        if not lags[0] > silence:
            continue
        error, enough = lags[0], max(width * EPS, least) * lags[0]
        for i in range(1, width):
            if error <= enough:
                break
            k = lags[i]
            for j in range(1, i):
                k += a[j] * lags[i - j]
            k = min(max(-k / error, EPS - 1), 1 - EPS)
            error *= 1 - k * k
            for j in range(1, i):
                reverse[j] = a[i - j]
            for j in range(1, i):
                a[j] += k * reverse[j]
            a[i] = k
        a[0] = np.sqrt(error)
    return rows
