"""Trajectories with the most likely dynamic features: banded normal equations, all dimensions side by side.

A window (l, u, c) is a band matrix W: row t of W y is sum_k c[l + k] y[t + k], k = -l .. u, with y zero outside. The
trajectory y solves R y = b, with P_w the precisions (1 / variance) of window w on a diagonal:

    R = sum_w W' P_w W,    b = sum_w W' P_w mu_w

R has as many bands as the widest window, so that all is O(T). Arrays are [frames, ..., dimension]: the innermost loops
run over independent dimensions, and every dimension has one order of operations whoever stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.signal.delta import Window

Array = NDArray[Any]

LEAST, MOST = 1e-100, 1e100  # of a variance: beyond them products of precisions leave float64
LOST = 1e-12  # of a diagonal of R: a smaller pivot has lost all but a few digits
FOUR = 4  # terms added in one go: a loop over dimensions is short, and its sums are memory


@dataclass(frozen=True)
class Bands:
    """A set of windows as lists of terms, the zero coefficients left out."""

    count: int  # windows
    edge: int  # frames at either end in which dynamic features weigh nothing
    width: int  # bands of R below the diagonal
    taps: Array  # rows (window, k), for the coefficients below
    coefficients: Array
    sums: Array  # [sum, FOUR, (where it goes, window, -k)]: to R's band m, c[k] c[k - m]; to b, number width + 1, c[k]
    values: Array  # [sum, FOUR]

    def dimensions(self, means: Any, variances: Any) -> int:
        """How many dimensions means [.., frames, columns] and variances of the same columns have, or ValueError."""
        columns = means.shape[-1] if means.ndim >= 2 else 0
        if not columns or columns % self.count:
            raise ValueError(
                f"means of the shape {list(means.shape)} are not [frames, columns] with columns that {self.count} "
                "windows divide: give all static features, then all delta features, and so on"
            )
        if tuple(variances.shape) not in ((columns,), tuple(means.shape)):
            raise ValueError(
                f"means of the shape {list(means.shape)} take variances of the same, or one row of {columns}; found "
                f"{list(variances.shape)}"
            )
        return int(columns // self.count)


def bands(windows: Sequence[Window]) -> Bands:
    """The terms of a set of windows; ValueError for a set that is none, or whose first window is not static."""
    return _bands(tuple((int(l), int(u), tuple(np.asarray(c, float).tolist())) for l, u, c in windows))  # noqa: E741


@lru_cache(maxsize=32)
def _bands(windows: tuple[tuple[int, int, tuple[float, ...]], ...]) -> Bands:
    for number, (left, right, c) in enumerate(windows):
        if left < 0 or right < 0 or len(c) != left + right + 1 or not np.isfinite(c).all():
            raise ValueError(
                f"window {number} is ({left}, {right}, {list(c)}): a window (l, u, coefficients) reaches l >= 0 frames "
                "back and u >= 0 ahead, with l + u + 1 finite coefficients"
            )
    if not windows or [k - windows[0][0] for k, c in enumerate(windows[0][2]) if c] != [0] or sum(windows[0][2]) != 1:
        raise ValueError(
            f"the first window is {windows[0] if windows else 'missing'}, not the static one, (0, 0, [1.0]): "
            "put the static features and their window first"
        )
    taps = [(w, k - left, c) for w, (left, _, row) in enumerate(windows) for k, c in enumerate(row) if c]
    products = [
        (k - other, w, -k, c * c_other)
        for w, k, c in taps
        for w_other, other, c_other in taps
        if w_other == w and other <= k
    ]
    width = max(m for m, *_ in products)
    products += [(width + 1, w, -k, c) for w, k, c in taps]
    sums = []
    for m in range(width + 2):
        terms = [term for term in products if term[0] == m] or [(m, 0, 0, 0.0)]
        while terms:
            some, terms = terms[:FOUR], terms[FOUR:]
            sums.append(some + [(*some[0][:3], 0.0)] * (FOUR - len(some)))
    return Bands(
        len(windows),
        max(max(left, right) for left, right, _ in windows),
        width,
        np.array([(w, k) for w, k, _ in taps]),
        np.array([c for _, _, c in taps]),
        np.array([[term[:3] for term in some] for some in sums]),
        np.array([[term[3] for term in some] for some in sums]),
    )


def precisions(variances: Array, frames: int, windows: Bands) -> Array:
    """1 / variance, [frames, columns] float64, 0 for the dynamic features of the first and last `edge` frames.

    variances: [frames, columns], or [columns] for all frames. Raises ValueError for one outside LEAST .. MOST.
    """
    rows = np.atleast_2d(variances)
    rows = np.ascontiguousarray(rows[:1] if rows.strides[0] == 0 else rows, np.float64)  # a broadcast row is one row
    p = np.empty((frames, rows.shape[1]))
    if frames and not _invert(rows, windows.edge, rows.shape[1] // windows.count, p):
        good = (rows >= LEAST) & (rows <= MOST)
        at = int(np.argmin(good))
        raise ValueError(
            f"a variance is a number above 0, from {LEAST:g} to {MOST:g}; row {at // rows.shape[1]}, column "
            f"{at % rows.shape[1]} is {rows.flat[at]:g}: set a floor"
        )
    return p


@kernel
def _invert(variances: Array, edge: int, static: int, p: Array) -> bool:
    frames, columns = p.shape
    step, good = min(1, len(variances) - 1), True
    for t in range(frames):
        source, out = variances[t * step], p[t]
        for i in range(columns):
            good &= (source[i] >= LEAST) & (source[i] <= MOST)
            out[i] = 1 / source[i]
        if t < edge or t >= frames - edge:
            out[static:] = 0
    return good


def trajectory(means: Array, p: Array, windows: Bands) -> tuple[Array, Array]:
    """y [frames, D] that solves R y = b, and the factor of R for `solve`.

    means, p: [frames, windows D] float64. Raises ValueError where the precisions differ too much for float64.
    """
    static = means.shape[1] // windows.count
    factor, y = np.empty((len(means), windows.width + 1, static)), np.empty((len(means), static))
    _equations(np.ascontiguousarray(means), p, windows.edge, windows.sums, windows.values, factor, y)
    failed = _factor(factor, y)
    if failed >= 0:
        raise ValueError(
            f"the variances of the static and the dynamic features around frame {failed} differ too much for float64: "
            "set a higher floor"
        )
    _backward(factor, y)
    return y, factor


@kernel
def _equations(means: Array, p: Array, edge: int, sums: Array, values: Array, r: Array, b: Array) -> None:
    """r[t, m] = R[t, t - m] for m <= t, and b."""
    frames, bands, static = r.shape
    columns = p.shape[1]
    mask = 1
    while mask < 2 * edge + 1:
        mask *= 2
    held = np.zeros((2, mask, columns))  # p and p mu of the frames a window reaches, number t in row t mod `mask`
    mask -= 1
    for ahead in range(frames + edge):
        weights, weighted = held[0, ahead & mask], held[1, ahead & mask]
        if ahead < frames:
            weight, mean = p[ahead], means[ahead]
            for i in range(columns):
                weights[i] = weight[i]
                weighted[i] = weight[i] * mean[i]
        else:
            weights[:] = 0
            weighted[:] = 0
        t = ahead - edge
        if t < 0:
            continue
        for i in range(len(sums)):
            to = sums[i, 0, 0]
            source, total = (held[0], r[t, to]) if to < bands else (held[1], b[t])
            w0, w1, w2, w3 = sums[i, 0, 1], sums[i, 1, 1], sums[i, 2, 1], sums[i, 3, 1]
            x0 = source[(t + sums[i, 0, 2]) & mask, w0 * static : (w0 + 1) * static]
            x1 = source[(t + sums[i, 1, 2]) & mask, w1 * static : (w1 + 1) * static]
            x2 = source[(t + sums[i, 2, 2]) & mask, w2 * static : (w2 + 1) * static]
            x3 = source[(t + sums[i, 3, 2]) & mask, w3 * static : (w3 + 1) * static]
            c0, c1, c2, c3 = values[i, 0], values[i, 1], values[i, 2], values[i, 3]
            if i == 0 or sums[i - 1, 0, 0] != to:
                for d in range(static):
                    total[d] = ((c0 * x0[d] + c1 * x1[d]) + c2 * x2[d]) + c3 * x3[d]
            else:
                for d in range(static):
                    total[d] += ((c0 * x0[d] + c1 * x1[d]) + c2 * x2[d]) + c3 * x3[d]


@kernel
def _factor(r: Array, y: Array) -> Any:
    """R = U D^-1 U' in its own place, and y becomes D^-1 v, U D^-1 v = y; U is a lower triangle with the diagonal D.

    r[t, 0] becomes 1 / D[t], r[t, m] U[t, t - m]. Gives -1, or the row in which rounding has eaten a pivot. Each loop
    has few enough arrays to be vectorised, and there are as few as can be: their overhead is what costs.
    """
    frames, bands, static = r.shape
    entire = np.empty(static)
    for t in range(frames):
        diagonal, b = r[t, 0], y[t]
        for d in range(static):
            entire[d] = diagonal[d]
        for m in range(min(bands - 1, t), 0, -1):  # columns t - m, ascending
            entry, inverse, before = r[t, m], r[t - m, 0], y[t - m]
            for q in range(m + 1, min(bands - 1, t) + 1):
                one, of_one, other = r[t, q], r[t - q, 0], r[t - m, q - m]
                for d in range(static):
                    entry[d] -= one[d] * of_one[d] * other[d]
            for d in range(static):
                diagonal[d] -= entry[d] * entry[d] * inverse[d]
                b[d] -= entry[d] * before[d]
        good = 0
        for d in range(static):
            good += diagonal[d] > LOST * entire[d]
            diagonal[d] = 1 / diagonal[d]
            b[d] *= diagonal[d]
        if good < static:
            return t
    return -1


def solve(factor: Array, g: Array) -> Array:
    """z with R z = g; factor as `trajectory` gives it, g: [frames, D] float64."""
    z = g.copy()
    _forward(factor, z)
    _backward(factor, z)
    return z


@kernel
def _forward(factor: Array, z: Array) -> None:
    """z becomes D^-1 v, U D^-1 v = z."""
    frames, bands, static = factor.shape
    for t in range(frames):
        out, inverse = z[t], factor[t, 0]
        for m in range(min(bands - 1, t), 0, -1):
            entry, before = factor[t, m], z[t - m]
            for d in range(static):
                out[d] -= entry[d] * before[d]
        for d in range(static):
            out[d] *= inverse[d]


@kernel
def _backward(factor: Array, y: Array) -> None:
    """y becomes the solution of D^-1 U' x = y."""
    frames, bands, static = factor.shape
    for t in range(frames - 1, -1, -1):
        out, inverse = y[t], factor[t, 0]
        for m in range(1, min(bands, frames - t)):
            entry, after = factor[t + m, m], y[t + m]
            for d in range(static):
                out[d] -= inverse[d] * entry[d] * after[d]


def mean_gradient(z: Array, p: Array, windows: Bands) -> Array:
    """dL/dmu_w = p_w (W_w z), [frames, windows D], where R z = dL/dy."""
    gradient = np.empty_like(p)
    _mean_gradient(z, p, windows.taps, windows.coefficients, gradient)
    return gradient


@kernel
def _mean_gradient(z: Array, p: Array, taps: Array, coefficients: Array, gradient: Array) -> None:
    frames, static = z.shape
    for t in range(frames):
        row, weight = gradient[t], p[t]
        row[:] = 0
        for i in range(len(coefficients)):
            w, at = taps[i, 0], t + taps[i, 1]
            if 0 <= at < frames:
                out, source, c = row[w * static : (w + 1) * static], z[at], coefficients[i]
                for d in range(static):
                    out[d] += c * source[d]
        for j in range(len(row)):
            row[j] *= weight[j]


def variance_gradient(mean_gradient: Array, means: Array, y: Array, p: Array, windows: Bands) -> Array:
    """dL/dvar = -dL/dp p**2 with dL/dp_w = (W_w z)(mu_w - W_w y), [frames, windows D]."""
    gradient = means.copy()
    _variance_gradient(mean_gradient, y, p, windows.taps, windows.coefficients, gradient)
    return gradient


@kernel
def _variance_gradient(
    mean_gradient: Array, y: Array, p: Array, taps: Array, coefficients: Array, gradient: Array
) -> None:
    frames, static = y.shape
    for t in range(frames):
        row, weight, factor = gradient[t], p[t], mean_gradient[t]
        for i in range(len(coefficients)):
            w, at = taps[i, 0], t + taps[i, 1]
            if 0 <= at < frames:
                out, source, c = row[w * static : (w + 1) * static], y[at], coefficients[i]
                for d in range(static):
                    out[d] -= c * source[d]
        for j in range(len(row)):
            row[j] *= -weight[j] * factor[j]  # p (W z) is the gradient of the mean
