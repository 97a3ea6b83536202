"""Predictors, reflection coefficients and line spectral frequencies, in float64.

The two polynomials whose roots are the line spectral frequencies, A(z) + z**-(m+1) A(1/z) and A(z) - z**-(m+1) A(1/z),
follow three-term recursions in the reflection coefficients k[1..m], those of the split Levinson algorithm:

    p[i+1] = (1 + 1/z) p[i] - a[i] 1/z p[i-1],    a[1] = 2 (1 - k[1]),    a[i] = (1 - k[i]) (1 + k[i-1])
    q[i+1] = (1 + 1/z) q[i] - b[i] 1/z q[i-1],                            b[i] = (1 + k[i]) (1 - k[i-1])

So y = 2 cos(w / 2) is an eigenvalue of a symmetric tridiagonal matrix with 0 on its diagonal, and y**2 = 2 + 2 cos w
one of half the size. Eigenvalues of such a matrix are found without fail and to its rounding, however close they are.

Source: P. Delsarte and Y. Genin, A survey of the split approach based techniques in digital signal processing
applications, Philips Journal of Research 43, 1988; EISPACK, imtql1 (implicit QL).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import angle, cos

Array = NDArray[Any]

EPS = float(np.finfo(np.float64).eps)
SHARED = 6  # roots that lie all but together in the predictor of a windowed tone: rounding moves them by eps**(1 / 6)


def reflections(lpc: Array, begun: int = 0) -> Array:
    """Rows (gain, k[1..order]) of rows (gain, a[1..order]); ValueError at a row, counted from `begun`, with |k| >= 1.

    Where rounding to the dtype of the rows may have made it so, the poles are drawn inwards, a[j] (1 - d)**j, by the
    first d of eps, 4 eps, 16 eps .. eps**(1 / min(order, SHARED)) that gives |k| < 1. The reflections themselves say
    nothing: one a rounding above 1 leaves those of lower orders anywhere.
    """
    rows = lpc.astype(np.float64)
    eps = float(np.finfo(np.result_type(lpc, np.float32)).eps)
    most = eps ** (1 / min(SHARED, max(1, lpc.shape[1] - 1)))
    unstable, order = _step_down(rows, eps, most)
    if unstable >= 0:
        raise ValueError(
            f"row {begun + unstable} is no stable predictor: its reflection coefficient {order} is "
            f"{rows[unstable, order]:g}, and must lie between -1 and 1; take one that is, as those of 'lpc' are, and "
            "in float64 if it is float32"
        )
    return rows


def predictors(parcor: Array) -> Array:
    """Rows (gain, a[1..order]) of rows (gain, k[1..order])."""
    rows = parcor.astype(np.float64)
    _step_up(rows)
    return rows


def line_frequencies(lpc: Array, begun: int = 0) -> Array:
    """Rows (gain, w[1..order]), radians, ascending, of rows (gain, a[1..order]); ValueError as `reflections`."""
    return frequencies_of(reflections(lpc, begun))


def frequencies_of(parcor: Array) -> Array:
    """Rows (gain, w[1..order]), radians, ascending, of rows (gain, k[1..order]), -1 < k < 1."""
    squares = np.empty((len(parcor), parcor.shape[1] - 1))
    _squares(parcor, squares)
    squares = np.minimum(np.maximum(squares, 0.0), 4.0)
    half = np.empty(squares.shape, np.complex128)
    half.real, half.imag = np.sqrt(squares), np.sqrt(4.0 - squares)
    rows = np.empty(parcor.shape)
    rows[:, 0] = parcor[:, 0]
    rows[:, 1:] = np.maximum.accumulate(2.0 * angle(half), axis=1)  # rounding may let two that are all but equal cross
    return rows


def from_line_frequencies(lsf: Array, begun: int = 0) -> Array:
    """Rows (gain, a[1..order]) of rows (gain, w[1..order]); ValueError at a row that does not ascend from 0 to pi."""
    frequencies = lsf[:, 1:].astype(np.float64)
    within = (frequencies[:, :1] >= 0) & (
        frequencies[:, -1:] <= np.pi * (1 + float(np.finfo(np.result_type(lsf, np.float32)).eps))
    )
    ordered = within[:, 0] & (frequencies[:, 1:] >= frequencies[:, :-1]).all(axis=1)
    if not ordered.all():
        at = int(np.argmin(ordered))
        raise ValueError(
            f"row {begun + at} is not ascending between 0 and pi: {np.array2string(frequencies[at], precision=4)} "
            "are no line spectral frequencies; sort and clip them first"
        )
    rows = np.empty(lsf.shape)
    rows[:, 0] = lsf[:, 0]
    _multiply_out(cos(frequencies), _spread(lsf.shape[1] // 2), rows)
    return rows


def _spread(count: int) -> Array:
    """0 .. count - 1, each far from those before it (van der Corput's order: the bits reversed)."""
    bits = count.bit_length()
    return np.array(sorted(range(count), key=lambda i: f"{i:0{bits}b}"[::-1]), np.int64)


@kernel
def _step_down(rows: Array, eps: float, most: float) -> tuple[int, int]:
    """Turn predictors into reflections in place, drawn inwards by up to `most`; row and order of one refused, or -1.

    a'[j] = (a[j] - k a[i-j]) / (1 - k**2), written so that a symmetric predictor, of tones, does not cancel.
    """
    count, width = rows.shape
    before, given = np.empty(width), np.empty(width)
    for f in range(count):
        a = rows[f]
        for j in range(width):
            given[j] = a[j]
        drawn, first, found = 0.0, 0, 0.0  # how far, and where the row as it was given fails
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
def _step_up(rows: Array) -> None:
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


@kernel
def _squares(rows: Array, squares: Array) -> None:
    """(2 cos(w / 2))**2 of every line spectral frequency w, ascending in w, from rows of reflections."""
    count, width = rows.shape
    order = width - 1
    off = np.empty(order + 2)
    for f in range(count):
        k, out = rows[f], squares[f]
        for kind in range(2):  # the sum has the first, third, fifth ... frequency, the difference the others
            size = order + 1 - kind
            if kind == 0:
                off[1] = 2.0 * (1.0 - k[1])
                for i in range(2, size):
                    off[i] = (1.0 - k[i]) * (1.0 + k[i - 1])
            else:
                for i in range(1, size):
                    off[i] = (1.0 + k[i + 1]) * (1.0 - k[i])
            off[size] = 0.0
            n = size // 2
            d, e = np.empty(n), np.empty(n)
            for i in range(n):
                d[i] = off[2 * i + 1] + off[2 * i + 2]
                e[i] = np.sqrt(off[2 * i + 2] * off[2 * i + 3]) if i < n - 1 else 0.0
            # Implicit QL with Wilkinson's shift: d becomes the eigenvalues.
            for low in range(n):
                for _ in range(100):  # two or three are enough
                    high = low
                    while high < n - 1 and abs(e[high]) > EPS * (abs(d[high]) + abs(d[high + 1])):
                        high += 1
                    if high == low:
                        break
                    g = (d[low + 1] - d[low]) / (2.0 * e[low])
                    r = np.sqrt(g * g + 1.0)
                    g = d[high] - d[low] + e[low] / (g + (r if g >= 0.0 else -r))
                    s, c, p = 1.0, 1.0, 0.0
                    split = False
                    for i in range(high - 1, low - 1, -1):
                        h, b = s * e[i], c * e[i]
                        r = np.sqrt(h * h + g * g)
                        e[i + 1] = r
                        if r == 0.0:
                            d[i + 1] -= p
                            e[high] = 0.0
                            split = True
                            break
                        s, c = h / r, g / r
                        g = d[i + 1] - p
                        r = (d[i] - g) * s + 2.0 * c * b
                        p = s * r
                        d[i + 1] = g + p
                        g = c * r - b
                    if not split:
                        d[low] -= p
                        e[low] = g
                        e[high] = 0.0
            d.sort()
            for i in range(n):
                out[2 * i + kind] = d[n - 1 - i]


@kernel
def _multiply_out(cosines: Array, spread: Array, rows: Array) -> None:
    """a[1..order] of rows [n, order + 1] from the cosines [n, order] of their line spectral frequencies.

    Roots that are far apart are multiplied first: a product of near ones has binomial coefficients, and loses as much.
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
            # The roots that are always there: at -1 for the sum of an even order and the difference of an odd one...
            if order % 2 == kind:
                size += 1
                for j in range(size, 0, -1):
                    poly[j] += poly[j - 1]
            if kind == 1:  # ... and at 1 for every difference
                size += 1
                for j in range(size, 0, -1):
                    poly[j] -= poly[j - 1]
        for i in range(1, order + 1):
            rows[f, i] = 0.5 * (both[0, i] + both[1, i])
