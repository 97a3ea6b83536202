"""Conversion of predictors to line spectral frequencies, and back, in float64.

The frequencies w are the angles of the zeros of two polynomials, the sum A(z) + z**-(m+1) * A(1/z) and the difference
A(z) - z**-(m+1) * A(1/z). Both follow three-term recursions with the coefficients of the split Levinson algorithm,
which depend on the reflection coefficients k[1..m]:

    sum:         p[i+1] = (1 + 1/z) * p[i] - (a[i] / z) * p[i-1],    a[1] = 2 * (1 - k[1]),
                                                                     a[i] = (1 - k[i]) * (1 + k[i-1])
    difference:  q[i+1] = (1 + 1/z) * q[i] - (b[i] / z) * q[i-1],    b[i] = (1 + k[i]) * (1 - k[i-1])

So y = 2 * cos(w / 2) is an eigenvalue of a symmetric tridiagonal matrix with a zero diagonal, and y**2 = 2 + 2 * cos(w)
is an eigenvalue of a tridiagonal matrix of half the size. The implicit QL algorithm finds all eigenvalues of such a
matrix, with an error as small as the rounding of the matrix, however close together they are.

Source: P. Delsarte and Y. Genin, A survey of the split approach based techniques in digital signal processing
applications, Philips Journal of Research 43, 1988; EISPACK, imtql1 (implicit QL).
"""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import angle, cos
from dspgraph_nodes._kernels.signal.parcor import step_down

_EPS = float(np.finfo(np.float64).eps)


def lsf_of_lpc(lpc: Array, first_row: int = 0) -> Array:
    """Convert predictors, rows (gain, a[1..order]), to rows (gain, w[1..order]), where w is in radians and ascends.

    lpc: [n, order + 1], order at least 1; the result has this shape, in float64. An unstable predictor is changed by
    `step_down`, which raises ValueError that names the first row that stays unstable. first_row: the number of row 0 in
    that message.
    """
    return lsf_of_parcor(step_down(lpc, first_row))


def lsf_of_parcor(parcor: Array) -> Array:
    """Convert reflection coefficients, rows (gain, k[1..order]), to rows (gain, w[1..order]), w in radians, ascending.

    parcor: [n, order + 1], order at least 1, with -1 < k < 1; the result has this shape.
    """
    squares = np.empty((len(parcor), parcor.shape[1] - 1))
    _squares(parcor, squares)
    squares = np.minimum(np.maximum(squares, 0.0), 4.0)
    half = np.empty(squares.shape, np.complex128)
    half.real, half.imag = np.sqrt(squares), np.sqrt(4.0 - squares)
    rows = np.empty(parcor.shape)
    rows[:, 0] = parcor[:, 0]
    rows[:, 1:] = np.maximum.accumulate(2.0 * angle(half), axis=1)  # rounding can swap two nearly equal ones
    return rows


def lpc_of_lsf(lsf: Array, first_row: int = 0) -> Array:
    """Convert rows (gain, w[1..order]), w in radians, to predictors, rows (gain, a[1..order]). lsf: [n, order + 1].

    order: at least 1. Raises ValueError that names the first row whose w are NaN, descend, lie below 0, or lie above pi
    by more than rounding to the dtype of lsf; equal w are accepted. first_row: the number of row 0 in that message.
    """
    frequencies = lsf[:, 1:].astype(np.float64)
    within = (frequencies[:, :1] >= 0) & (
        frequencies[:, -1:] <= np.pi * (1 + float(np.finfo(np.result_type(lsf, np.float32)).eps))
    )
    ordered = within[:, 0] & (frequencies[:, 1:] >= frequencies[:, :-1]).all(axis=1)
    if not ordered.all():
        at = int(np.argmin(ordered))
        raise ValueError(
            f"row {first_row + at} is not ascending between 0 and pi: {np.array2string(frequencies[at], precision=4)} "
            "are not line spectral frequencies; sort and clip them first"
        )
    rows = np.empty(lsf.shape)
    rows[:, 0] = lsf[:, 0]
    _multiply_out(cos(frequencies), _spread(lsf.shape[1] // 2), rows)
    return rows


def _spread(count: int) -> Array:
    """Return 0 .. count - 1 in an order in which neighbours are far apart: 0, 2, 1, 3 for four.

    The order is van der Corput's: the numbers are sorted by their bits in reverse.
    """
    bits = count.bit_length()
    return np.array(sorted(range(count), key=lambda i: f"{i:0{bits}b}"[::-1]), np.int64)


@kernel
def _squares(rows: Array, squares: Array) -> None:
    """Write (2 * cos(w / 2))**2 for the line spectral frequencies w of every row, w ascending, to `squares` [n, order].

    rows: [n, order + 1], (gain, k[1..order]).
    """
    count, width = rows.shape
    order = width - 1
    off = np.empty(order + 2)
    for f in range(count):
        for kind in range(2):  # the sum has the first, third, fifth ... frequency, the difference has the others
            size = order + 1 - kind
            _split_coefficients(rows[f], kind, size, off)
            d, e = _tridiagonal(off, size // 2)
            _eigenvalues(d, e)
            d.sort()
            for i in range(len(d)):
                squares[f, 2 * i + kind] = d[len(d) - 1 - i]


@kernel
def _split_coefficients(k: Array, kind: int, size: int, off: Array) -> None:
    """Write the coefficients of one of the module's two recursions to off[1 .. size - 1], and 0 to off[size].

    kind: 0 for the sum, with the coefficients a[1], a[2] ...; 1 for the difference, with b[2], b[3] ...; size: order +
    1 for the sum, order for the difference; k: the reflection coefficients as a row (gain, k[1..order]).
    """
    if kind == 0:
        off[1] = 2.0 * (1.0 - k[1])
        for i in range(2, size):
            off[i] = (1.0 - k[i]) * (1.0 + k[i - 1])
    else:
        for i in range(1, size):
            off[i] = (1.0 + k[i + 1]) * (1.0 - k[i])
    off[size] = 0.0


@kernel
def _tridiagonal(off: Array, n: int) -> tuple[Array, Array]:
    """Return diagonal [n] and off-diagonal [n] of the tridiagonal matrix with the eigenvalues y**2 (see module).

    The last off-diagonal value is 0. off: the result of `_split_coefficients`; n: size // 2, with the `size` of that
    call.
    """
    d, e = np.empty(n), np.empty(n)
    for i in range(n):
        d[i] = off[2 * i + 1] + off[2 * i + 2]
        e[i] = np.sqrt(off[2 * i + 2] * off[2 * i + 3]) if i < n - 1 else 0.0
    return d, e


@kernel
def _eigenvalues(d: Array, e: Array) -> None:
    """Replace the diagonal d [n] of a symmetric tridiagonal matrix by its eigenvalues, in no order, by implicit QL.

    e: [n], overwritten; e[i] is the off-diagonal value beside d[i] and d[i + 1], and the last one is not used.
    """
    n = len(d)
    for low in range(n):
        for _ in range(100):  # two or three steps are enough
            high = low
            while high < n - 1 and abs(e[high]) > _EPS * (abs(d[high]) + abs(d[high + 1])):
                high += 1
            if high == low:
                break
            _ql_step(d, e, low, high)


@kernel
def _ql_step(d: Array, e: Array, low: int, high: int) -> None:
    """Apply one implicit QL step, with Wilkinson's shift, to the rows low .. high of the matrix.

    d: the diagonal; e: the off-diagonal; both are changed in place.
    """
    g = (d[low + 1] - d[low]) / (2.0 * e[low])
    r = np.sqrt(g * g + 1.0)
    g = d[high] - d[low] + e[low] / (g + (r if g >= 0.0 else -r))
    s, c, p = 1.0, 1.0, 0.0
    for i in range(high - 1, low - 1, -1):
        h, b = s * e[i], c * e[i]
        r = np.sqrt(h * h + g * g)
        e[i + 1] = r
        if r == 0.0:
            d[i + 1] -= p
            e[high] = 0.0
            return
        s, c = h / r, g / r
        g = d[i + 1] - p
        r = (d[i] - g) * s + 2.0 * c * b
        p = s * r
        d[i + 1] = g + p
        g = c * r - b
    d[low] -= p
    e[low] = g
    e[high] = 0.0


@kernel
def _multiply_out(cosines: Array, spread: Array, rows: Array) -> None:
    """Write predictors a[1..order] to rows [n, order + 1], from cosines [n, order] of line spectral frequencies.

    Column 0 of the rows stays as it is. spread: the result of `_spread((order + 1) // 2)`, the order in which the roots
    of a polynomial are multiplied, so that one after the other they are far apart. A product of close roots has
    coefficients like binomial coefficients, with many digits before the point, and loses as many digits by rounding.
    """
    count, order = cosines.shape
    both = np.empty((2, order + 3))
    for f in range(count):
        for kind in range(2):
            poly = both[kind]
            poly[:] = 0.0
            poly[0] = 1.0
            size = 0
            for at in spread:
                i = 2 * at + kind
                if i >= order:
                    continue
                c = -2.0 * cosines[f, i]
                size += 2
                for j in range(size, 1, -1):
                    poly[j] += c * poly[j - 1] + poly[j - 2]
                poly[1] += c
            # Fixed roots lie at -1, for the sum of an even order and for the difference of an odd order ...
            if order % 2 == kind:
                size += 1
                for j in range(size, 0, -1):
                    poly[j] += poly[j - 1]
            if kind == 1:  # ... and at 1, for every difference
                size += 1
                for j in range(size, 0, -1):
                    poly[j] -= poly[j - 1]
        for i in range(1, order + 1):
            rows[f, i] = 0.5 * (both[0, i] + both[1, i])
