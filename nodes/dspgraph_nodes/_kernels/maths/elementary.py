"""Elementary functions with the same bits on every machine.

The functions of numpy and of the C library choose their code by the processor they find, and the last bit differs from
one to the next. Here each value is a fixed sequence of IEEE sums, products, quotients and square roots: a reduction of
the argument, then a Taylor series long enough for double precision. Float32 is computed in double and rounded once.

Source: J.-M. Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, Birkhauser, 2016 (chapter 11).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]

# pi / 2 and ln 2 in parts of 33 bits and a rest: a product of the first parts with a number of 20 bits is exact.
HALF_PI = (float.fromhex("0x1.921fb544p+0"), float.fromhex("0x1.0b4611a6p-34"), float.fromhex("0x1.3198a2e037073p-69"))
LN_2 = (float.fromhex("0x1.62e42fefp-1"), float.fromhex("0x1.473de6af278edp-34"))
PI = (math.pi, 1.2246467991473532e-16)  # the double nearest to pi, and the rest of it

INVERSE_FACTORIALS = np.array([1 / math.factorial(k) for k in range(20)])
INVERSE_ODDS = np.array([1 / k for k in range(1, 25, 2)])


def exp(x: Array) -> Array:
    """e**x, for real x of any shape; inf above the largest number, 0 below the least."""
    y, scale = np.empty(x.shape), np.empty((2, x.size), np.int64)
    _exp(_doubles(x), y.reshape(-1), scale, scale.view(np.float64))
    return y.astype(x.dtype, copy=False)


def log(x: Array) -> Array:
    """The natural logarithm, for real x of any shape; -inf at 0, NaN below."""
    y = np.empty(x.shape)
    doubles = _doubles(x)
    _log(doubles, doubles.view(np.int64), y.reshape(-1))
    return y.astype(x.dtype, copy=False)


def cos(x: Array) -> Array:
    """The cosine of x radians."""
    return phasor(x).real


def sin(x: Array) -> Array:
    """The sine of x radians."""
    return phasor(x).imag


def phasor(x: Array) -> Array:
    """cos x + i sin x, for real x of any shape, radians; the absolute error grows as eps * abs(x) beyond 1e6."""
    both = np.empty((2, x.size), x.dtype)
    _cos_sin(_doubles(x), *both)
    z = np.empty(x.shape, np.result_type(x.dtype, np.complex64))
    z.real, z.imag = both.reshape(2, *x.shape)
    return z


def angle(z: Array) -> Array:
    """The angle of complex z in radians, -pi to pi; 0 at 0."""
    y = np.empty(z.shape)
    _angle(_doubles(z.imag), _doubles(z.real), y.reshape(-1))
    return y.astype(z.real.dtype, copy=False)


def squared(z: Array) -> Array:
    """The squared magnitude of complex z."""
    power: Array = z.real * z.real + z.imag * z.imag
    return power


def _doubles(x: Array) -> Array:
    return np.ascontiguousarray(x, np.float64).reshape(-1)


@kernel
def _exp(x: Array, y: Array, bits: Array, scale: Array) -> None:
    """x = k ln 2 + r, abs(r) <= ln 2 / 2; e**x = 2**k e**r. `scale` is the memory of `bits` [2, n], read as doubles."""
    for i in range(len(x)):
        within = min(max(x[i], -800.0), 800.0)
        k = np.floor(within * 1.4426950408889634 + 0.5)  # 1 / ln 2
        high = within - k * LN_2[0]
        low = k * LN_2[1]
        r = high - low
        series = 0.0
        for n in range(14, 0, -1):
            series = (series + INVERSE_FACTORIALS[n]) * r
        y[i] = 1.0 + (series + ((high - r) - low)) if x[i] == x[i] else math.nan
        half = np.floor(0.5 * k)
        bits[0, i], bits[1, i] = (int(half) + 1023) << 52, (int(k - half) + 1023) << 52
    for i in range(len(x)):  # 2**k in two steps: as a number of its own it would be too large or small at the ends
        y[i] = y[i] * scale[0, i] * scale[1, i]


@kernel
def _log(x: Array, bits: Array, y: Array) -> None:
    """x = 2**k (1 + f), 1 + f from sqrt(1/2) to sqrt(2); ln(1 + f) = 2 artanh(s), s = f / (2 + f)."""
    for i in range(len(x)):
        if not 0.0 < x[i] < math.inf:
            y[i] = -math.inf if x[i] == 0.0 else (x[i] if x[i] > 0.0 else math.nan)
            continue
        mantissa, exponent = math.frexp(x[i])
        if mantissa < 0.7071067811865476:
            mantissa, exponent = 2.0 * mantissa, exponent - 1
        f, k = mantissa - 1.0, float(exponent)
        s = f / (2.0 + f)
        square = s * s
        series = 0.0
        for n in range(11, 0, -1):
            series = (series + INVERSE_ODDS[n]) * square
        half = 0.5 * f * f  # 2 s = f - s f = f - half + s half: what is lost in s itself does not show
        y[i] = k * LN_2[0] - ((half - (s * (half + 2.0 * series) + k * LN_2[1])) - f)


@kernel
def _cos_sin(x: Array, cosine: Array, sine: Array) -> None:
    """x = k pi / 2 + r + rest, abs(r) <= pi / 4."""
    for i in range(len(x)):
        k = np.floor(x[i] * 0.6366197723675814 + 0.5)  # 2 / pi
        high = x[i] - k * HALF_PI[0]
        low = k * HALF_PI[1]
        r = high - low
        rest = ((high - r) - low) - k * HALF_PI[2]
        if abs(r) > 0.79 or abs(rest) > 1e-9:
            r, rest = 0.0, 0.0  # far beyond 1e6 the parts of pi no longer tell where in its turn x is
        square = r * r
        even, odd = 0.0, 0.0
        for n in range(8, 1, -1):
            even = INVERSE_FACTORIALS[2 * n] - even * square
            odd = INVERSE_FACTORIALS[2 * n + 1] - odd * square
        even, odd = even * square * square, (INVERSE_FACTORIALS[3] - odd * square) * square * r
        half = 0.5 * square
        whole = 1.0 - half
        c = whole + (((1.0 - whole) - half) + (even - r * rest))
        s = r - (odd - rest * whole)
        quadrant = k - 4.0 * np.floor(0.25 * k)
        if quadrant == 1.0:
            c, s = -s, c
        elif quadrant == 2.0:
            c, s = -c, -s
        elif quadrant == 3.0:
            c, s = s, -c
        cosine[i], sine[i] = c, s


@kernel
def _angle(y: Array, x: Array, out: Array) -> None:
    """Fold to t = small / big in 0..1, turn by pi / 4 above tan(pi / 8), halve once: arctan t = 2 arctan u."""
    for i in range(len(x)):
        a, b = abs(x[i]), abs(y[i])
        small, big = min(a, b), max(a, b)
        turned = small > 0.41421356237309503 * big
        if big == 0.0:
            t = 0.0
        elif turned:
            t = (small - big) / (small + big)
        else:
            t = small / big
        u = t / (1.0 + math.sqrt(1.0 + t * t))
        square = u * u
        series = 0.0
        for n in range(11, 0, -1):
            series = (INVERSE_ODDS[n] - series) * square
        r = 2.0 * (u - u * series)
        if turned:
            r = 0.25 * PI[0] + (r + 0.25 * PI[1])
        side = math.copysign(1.0, x[i])
        if b > a:
            r = 0.5 * PI[0] - (side * r - 0.5 * PI[1])
        elif side < 0.0:
            r = PI[0] - (r - PI[1])
        out[i] = math.copysign(r, y[i])
