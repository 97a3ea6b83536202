"""Maximum likelihood trajectories from means and variances of static and dynamic features (MLPG).

A window (l, u, c) is a band matrix W_w: row t of W_w * y is sum_k c[l + k] * y[t + k], k = -l .. u, where y is zero
before its first frame and after its last. With the diagonal matrix P_w of the precisions (1 / variance) of window w,
and ' for the transpose, the trajectory y solves R * y = b:

    R = sum_w W_w' * P_w * W_w,    b = sum_w W_w' * P_w * mu_w

R is banded, so the cost is proportional to the number of frames. Arrays are [frames, ..., dimension]: the innermost
loops run over the dimensions, and the result of a dimension does not depend on the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.signal.delta import DeltaWindow

_LEAST_VARIANCE, _LARGEST_VARIANCE = 1e-100, 1e100  # outside this range products of precisions overflow float64
_LOST_PIVOT = 1e-12  # times the diagonal of R: a pivot below this has only a few correct digits
_GROUP = 4  # number of terms that one loop over the dimensions adds to a sum, so that it reads and writes the sum once


@dataclass(frozen=True)
class WindowTerms:
    """The products whose sums are the entries of R and b (see the module), for a set of windows.

    count: the number of windows; edge: the number of frames at either end of a signal whose dynamic features do not
    count; width: the number of bands of R below its diagonal; taps, coefficients: the positions (window, k) and values
    c[k] of all coefficients that are not 0; sums, values: for each term, the band of R (or b) to which it is added, and
    its factor. Coefficients of 0 have no terms.
    """

    count: int  # number of windows
    edge: int  # number of frames at either end in which the dynamic features have precision 0
    width: int  # number of bands of R below the diagonal
    taps: Array  # [n, 2]: rows (window, k), one for each coefficient that is not 0
    coefficients: Array  # [n]: those coefficients
    # [groups, _GROUP, 3]: rows (target, window, -k), for each term of R and b. The target m <= width is band m of R,
    # and the value of the term is c[k] * c[k - m]; the target width + 1 is b, and the value is c[k].
    sums: Array
    values: Array  # [groups, _GROUP]: the values of the terms

    def dimensions(self, means: Any, variances: Any) -> int:
        """Return the number D of dimensions of means and variances with count * D columns.

        means: [..., frames, count * D]; variances: of the same shape, or [count * D]. Raises ValueError for other
        shapes.
        """
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


def window_terms(windows: Sequence[DeltaWindow]) -> WindowTerms:
    """Return the terms of R and b for a set of windows, each a tuple (l, u, coefficients).

    Raises ValueError if the set is empty, if a window is malformed, or if the first window is not static (coefficient 1
    for the frame itself, 0 for all others).
    """
    return _cached_terms(tuple((int(l), int(u), tuple(np.asarray(c, float).tolist())) for l, u, c in windows))  # noqa: E741


@lru_cache(maxsize=32)
def _cached_terms(windows: tuple[tuple[int, int, tuple[float, ...]], ...]) -> WindowTerms:
    _check_windows(windows)
    taps = [(w, k - left, c) for w, (left, _, row) in enumerate(windows) for k, c in enumerate(row) if c]
    products = _products(taps)
    width = max(m for m, *_ in products)
    sums = _groups(products + [(width + 1, w, -k, c) for w, k, c in taps], width + 2)
    return WindowTerms(
        len(windows),
        max(max(left, right) for left, right, _ in windows),
        width,
        np.array([(w, k) for w, k, _ in taps]),
        np.array([c for _, _, c in taps]),
        np.array([[term[:3] for term in group] for group in sums]),
        np.array([[term[3] for term in group] for group in sums]),
    )


def _check_windows(windows: tuple[tuple[int, int, tuple[float, ...]], ...]) -> None:
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


def _products(taps: list[tuple[int, int, float]]) -> list[tuple[int, int, int, float]]:
    """Return the terms (m, window, -k, c[k] * c[k - m]) of the bands m of R. taps: triples (window, k, c[k])."""
    return [
        (k - other, w, -k, c * c_other)
        for w, k, c in taps
        for w_other, other, c_other in taps
        if w_other == w and other <= k
    ]


def _groups(terms: list[tuple[int, int, int, float]], targets: int) -> list[list[tuple[int, int, int, float]]]:
    """Divide terms into groups of _GROUP, so that all terms of a group are added to the same band of R, or to b.

    Terms with the value 0 fill up the last group of each band; a band without terms gets a group of them. terms: tuples
    (target, window, -k, value) as in `WindowTerms`; the target, 0 .. targets - 1, says to which band of R, or to b, the
    term is added.
    """
    groups = []
    for m in range(targets):
        left = [term for term in terms if term[0] == m] or [(m, 0, 0, 0.0)]
        while left:
            group, left = left[:_GROUP], left[_GROUP:]
            groups.append(group + [(*group[0][:3], 0.0)] * (_GROUP - len(group)))
    return groups


def precisions(variances: Array, frames: int, windows: WindowTerms, first: int = 0) -> Array:
    """Return the precisions 1 / variance, [frames, columns] float64.

    They are set to 0 for the dynamic features of the first and the last `edge` of these frames, whose windows reach
    beyond them. variances: [frames, columns], or [columns] for all frames; first: the number of the first frame in the
    whole signal, only for the message. Raises ValueError that names the first variance outside 1e-100 .. 1e100.
    """
    rows = np.atleast_2d(variances)
    rows = np.ascontiguousarray(rows[:1] if rows.strides[0] == 0 else rows, np.float64)  # stride 0: one row for all
    p = np.empty((frames, rows.shape[1]))
    if frames and not _invert(rows, windows.edge, rows.shape[1] // windows.count, p):
        good = (rows >= _LEAST_VARIANCE) & (rows <= _LARGEST_VARIANCE)
        at = int(np.argmin(good))
        raise ValueError(
            f"a variance must be from {_LEAST_VARIANCE:g} to {_LARGEST_VARIANCE:g}; row {first + at // rows.shape[1]}, "
            f"column {at % rows.shape[1]} is {rows.flat[at]:g}: set a floor"
        )
    return p


@kernel
def _invert(variances: Array, edge: int, static: int, p: Array) -> bool:
    frames, columns = p.shape
    step, good = min(1, len(variances) - 1), True
    for t in range(frames):
        source, out = variances[t * step], p[t]
        for i in range(columns):
            good &= (source[i] >= _LEAST_VARIANCE) & (source[i] <= _LARGEST_VARIANCE)
            out[i] = 1 / source[i]
        if t < edge or t >= frames - edge:
            out[static:] = 0
    return good


def trajectory(means: Array, p: Array, windows: WindowTerms, first: int = 0) -> tuple[Array, Array]:
    """Return the trajectory y [frames, D], which solves R * y = b, and the factorised R, which `solve` takes.

    means: [frames, windows.count * D] float64; p: the precisions of the means, in the same shape; first: the number
    of the first frame in the whole signal, only for the message. Raises ValueError that names a frame if the precisions
    differ too much for float64.
    """
    static = means.shape[1] // windows.count
    factor, y = np.empty((len(means), windows.width + 1, static)), np.empty((len(means), static))
    _equations(np.ascontiguousarray(means), p, windows.edge, windows.sums, windows.values, factor, y)
    failed = _factor(factor, y)
    if failed >= 0:
        raise ValueError(
            f"the variances of the static and the dynamic features around frame {first + failed} differ too much for "
            "float64: set a higher floor"
        )
    _backward(factor, y)
    return y, factor


@kernel
def _equations(means: Array, p: Array, edge: int, sums: Array, values: Array, r: Array, b: Array) -> None:
    """Write R[t, t - m] to r[t, m] for m = 0 .. width, and the vector b to the array b.

    means, p: [frames, windows * D], the means and the precisions; edge, sums, values: as in `WindowTerms`; r: [frames,
    width + 1, D]; b: [frames, D].
    """
    frames, bands, static = r.shape
    columns = p.shape[1]
    mask = 1
    while mask < 2 * edge + 1:
        mask *= 2
    held = np.zeros((2, mask, columns))  # p and p * mu of the frames in reach of a window; frame t is in row t % mask
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
    """Factor R = U * D**-1 * U' in place, and replace y by the solution z of U * z = y.

    U is lower triangular, and its diagonal is D. r: [frames, bands, static], where r[t, m] is R[t, t - m]; r[t, 0]
    becomes 1 / D[t], and r[t, m] becomes U[t, t - m]. Returns the first row t whose pivot D[t] has only a few correct
    digits left, where it stops, or -1 if there is none. The inner loops are few and read few arrays, so that they can
    be vectorised.
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
            good += diagonal[d] > _LOST_PIVOT * entire[d]
            diagonal[d] = 1 / diagonal[d]
            b[d] *= diagonal[d]
        if good < static:
            return t
    return -1


def solve(factor: Array, g: Array) -> Array:
    """Return the solution z [frames, D] of R * z = g.

    factor: the factorised R from `trajectory`; g: [frames, D] float64.
    """
    z = g.copy()
    _forward(factor, z)
    _backward(factor, z)
    return z


@kernel
def _forward(factor: Array, z: Array) -> None:
    """Solve U * v = z, where U is lower triangular, by forward substitution; v replaces z.

    factor: as `_factor` leaves it in r; z: [frames, static].
    """
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
    """Solve D**-1 * U' * x = y by back substitution; x replaces y.

    factor: as `_factor` leaves it in r; y: [frames, D].
    """
    frames, bands, static = factor.shape
    for t in range(frames - 1, -1, -1):
        out, inverse = y[t], factor[t, 0]
        for m in range(1, min(bands, frames - t)):
            entry, after = factor[t + m, m], y[t + m]
            for d in range(static):
                out[d] -= inverse[d] * entry[d] * after[d]


def mean_gradient(z: Array, p: Array, windows: WindowTerms) -> Array:
    """Return the gradient of a loss L with respect to the means, [frames, windows.count * D].

    dL/dmu_w = p_w * (W_w * z), where the index w and the matrix W_w belong to window w (see the module).

    z: [frames, D], the solution of R * z = dL/dy for the gradient dL/dy with respect to the trajectory; p: the
    precisions.
    """
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


def variance_gradient(mean_gradient: Array, means: Array, y: Array, p: Array, windows: WindowTerms) -> Array:
    """Return the gradient of a loss L with respect to the variances, [frames, windows.count * D].

        dL/dvar = -dL/dp * p**2,    dL/dp_w = (W_w * z) * (mu_w - W_w * y)

    The index w, and the matrix W_w, belong to window w (see the module); mu_w, p_w: the means and the precisions of
    window w; z: as in the function `mean_gradient`. mean_gradient: the result of that function; means, p: mu and the
    precisions; these three are [frames, windows.count * D]. y: [frames, D], the trajectory.
    """
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
            row[j] *= -weight[j] * factor[j]  # factor is p * (W * z)
