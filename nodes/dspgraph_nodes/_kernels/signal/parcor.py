"""Conversion of predictors to reflection coefficients (PARCOR), and back, in float64."""

from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

# The predictor of a windowed tone has about six nearly equal roots; rounding by eps moves them by eps**(1 / 6).
_MULTIPLICITY = 6


def step_down(lpc: Array, first_row: int = 0, rounding: Any = None) -> Array:
    """Convert rows (gain, a[1..order]) to rows (gain, k[1..order]) by the step-down recursion.

    Rounding to a dtype with the precision eps can make a predictor unstable. So the poles of an unstable predictor are
    moved inwards: a[j] becomes a[j] * (1 - d)**j. For d, the numbers eps, 4 * eps, 16 * eps ... up to
    eps**(1 / min(order, 6)) are tried until every |k| is at most 1 - eps.

    lpc: [n, order + 1]. The result has this shape, in float64. rounding: the dtype to which the predictors were
    rounded; by default that of lpc.

    Raises ValueError that names the first row that stays unstable. first_row: the number of row 0 in that message.
    """
    rows = lpc.astype(np.float64)
    eps = float(np.finfo(np.result_type(lpc.dtype if rounding is None else rounding, np.float32)).eps)
    most = eps ** (1 / min(_MULTIPLICITY, max(1, lpc.shape[1] - 1)))
    unstable, order = _step_down_rows(rows, eps, most)
    if unstable >= 0:
        raise ValueError(
            f"row {first_row + unstable} is no stable predictor: its reflection coefficient {order} is "
            f"{rows[unstable, order]:g}, and must lie between -1 and 1; give a stable one, as 'lpc' makes it, and use "
            "float64 if it is float32"
        )
    return rows


def step_up(parcor: Array) -> Array:
    """Convert rows (gain, k[1..order]), -1 < k < 1, to rows (gain, a[1..order]) by the step-up recursion.

        a_i[i] = k[i],    a_i[j] = a_(i-1)[j] + k[i] * a_(i-1)[i-j]    for j = 1 .. i - 1

    parcor: [n, order + 1]; the result has the same shape.
    """
    rows = parcor.astype(np.float64)
    _step_up_rows(rows)
    return rows


@kernel
def _step_down_rows(rows: Array, eps: float, most: float) -> tuple[int, int]:
    """Convert predictors to reflection coefficients in place, moving poles inwards as `step_down` describes it.

    eps, most: the smallest and the largest d. Returns (row, order): the first predictor that stays unstable, and the
    order at which its |k| was too large before its poles were moved; rows[row, order] then has this k, and later rows
    are not converted. Returns (-1, 0) if all rows are converted. One step is a'[j] = (a[j] - k * a[i - j]) / (1 -
    k**2), in a form without cancellation for the symmetric predictor of a tone.
    """
    count, width = rows.shape
    before, given = np.empty(width), np.empty(width)
    for f in range(count):
        a = rows[f]
        for j in range(width):
            given[j] = a[j]
        drawn, first, found = 0.0, 0, 0.0  # d so far; order and k at which the given row fails
        i = width - 1
        while i > 0:
            k = a[i]
            if not abs(k) <= 1.0 - eps:
                if drawn == 0.0:
                    first, found = i, k
                if drawn >= most:
                    a[first] = found
                    return f, first
                drawn = min(max(4.0 * drawn, eps), most)
                power = 1.0
                for j in range(1, width):
                    power *= 1.0 - drawn
                    a[j] = given[j] * power
                i = width - 1
                continue
            sign = 1.0 if k >= 0.0 else -1.0
            near, far = 1.0 - sign * k, 1.0 + sign * k
            for j in range(1, i):
                before[j] = sign * a[i - j]
            for j in range(1, i):
                a[j] = ((a[j] - before[j]) / near + before[j]) / far
            i -= 1
    return -1, 0


@kernel
def _step_up_rows(rows: Array) -> None:
    count, width = rows.shape
    before = np.empty(width)
    for f in range(count):
        a = rows[f]
        for i in range(2, width):
            k = a[i]
            for j in range(1, i):
                before[j] = a[i - j]
            for j in range(1, i):
                a[j] += k * before[j]
