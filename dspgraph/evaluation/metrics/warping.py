"""Dynamic time warping, compiled by numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from dspgraph.streams import Array

DIAGONAL, DOWN, RIGHT = 0, 1, 2
"""The steps that can lead to the pair (i, j): from (i - 1, j - 1), from (i - 1, j), from (i, j - 1)."""


def mean_warped_distance(x: Array, y: Array, reach: int, counted: Array) -> float:
    """Return the mean distance between row i of x and row j of y, over the pairs (i, j) of the best path.

    The distance is Euclidean. Paths lead from (0, 0) to (t - 1, t - 1) by the steps DIAGONAL, DOWN and RIGHT, with
    |i - j| <= reach; the best path has the smallest sum of distances. x, y: [t, m]. counted: booleans [t]; only pairs
    with counted[i] count for the mean, and at least one element must be true.
    """
    columns = np.ascontiguousarray(y.T)
    steps = _compiled(_best_steps)(x, columns, reach)
    return float(_compiled(_mean_on_path)(x, columns, reach, counted, steps))


@lru_cache(maxsize=2)
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    from numba import njit

    try:
        compiled: Callable[..., Any] = njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no folder that it can write its cache to
        compiled = njit(error_model="numpy")(function)
    return compiled


def _best_steps(x: Array, y: Array, reach: int) -> Array:
    """Return for every pair (i, j) with |i - j| <= reach the last step of the best path from (0, 0) to this pair.

    The result is [t, 2 * reach + 1]: the step to (i, j) is in row i and column j - i + reach. x: [t, m]; y: [m, t], one
    column for each row of y in `mean_warped_distance`.
    """
    count, width = len(x), 2 * reach + 1
    steps = np.zeros((count, width), np.uint8)
    # Sums of distances on the best paths to row i - 1 and to row i. The last element stays infinite.
    above, here = np.full(width + 1, np.inf), np.full(width + 1, np.inf)
    squares = np.empty(width)
    above[reach] = 0.0
    for i in range(count):
        first, last = max(0, reach - i), min(width, count - i + reach)
        squares[:] = 0.0
        for m in range(x.shape[1]):
            value, row = x[i, m], y[m, i - reach + first : i - reach + last]
            part = squares[first:last]
            for k in range(last - first):
                part[k] += (value - row[k]) * (value - row[k])
        here[:] = np.inf
        for k in range(first, last):
            best, step = above[k], DIAGONAL
            if above[k + 1] < best:
                best, step = above[k + 1], DOWN
            if k > first and here[k - 1] < best:
                best, step = here[k - 1], RIGHT
            here[k] = best + math.sqrt(squares[k])
            steps[i, k] = step
        above, here = here, above
    return steps


def _mean_on_path(x: Array, y: Array, reach: int, counted: Array, steps: Array) -> float:
    """Return the mean distance over the pairs (i, j) on the best path for which counted[i] is true.

    steps: the result of `_best_steps`. The other arguments are those of `mean_warped_distance`; y is transposed, [m,
    t].
    """
    total, pairs = 0.0, 0
    i, j = len(x) - 1, len(x) - 1
    while i >= 0 and j >= 0:
        if counted[i]:
            square = 0.0
            for m in range(x.shape[1]):
                square += (x[i, m] - y[m, j]) * (x[i, m] - y[m, j])
            total += math.sqrt(square)
            pairs += 1
        step = steps[i, j - i + reach]
        if step != RIGHT:
            i -= 1
        if step != DOWN:
            j -= 1
    return total / pairs
