"""Elementary functions that give the same bits on every machine.

numpy and the C library run different code on different processors, and the last bits of their results differ. Here
every function is a fixed sequence of IEEE sums, products, quotients and square roots. All but
`squared_magnitude` are Taylor series with enough terms for double precision, of an argument reduced to a short
interval. They are computed in double precision; for a float32 argument the result is then rounded to float32 once.

Source: J.-M. Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, Birkhauser, 2016 (chapter 11).
"""

import math

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

# pi / 2 and ln 2 as sums of 33-bit parts and a remainder: the product of a 33-bit part and a 20-bit integer is exact.
_HALF_PI_PARTS = (
    float.fromhex("0x1.921fb544p+0"),
    float.fromhex("0x1.0b4611a6p-34"),
    float.fromhex("0x1.3198a2e037073p-69"),
)
_LN_2_PARTS = (float.fromhex("0x1.62e42fefp-1"), float.fromhex("0x1.473de6af278edp-34"))
_PI_PARTS = (math.pi, 1.2246467991473532e-16)  # the double nearest to pi, and pi minus that double

LN_2 = _LN_2_PARTS[0] + _LN_2_PARTS[1]
LN_10 = 2.302585092994046

_INVERSE_FACTORIALS = np.array([1 / math.factorial(k) for k in range(20)])
_INVERSE_ODDS = np.array([1 / k for k in range(1, 25, 2)])


def exp(x: Array) -> Array:
    """Return e**x in the shape and dtype of x: inf where it is too large for the dtype, 0 where it is too small.

    x: floats of any shape.
    """
    y, scale = np.empty(x.shape), np.empty((2, x.size), np.int64)
    _exp(_doubles(x), y.reshape(-1), scale, scale.view(np.float64))
    return y.astype(x.dtype, copy=False)


def log(x: Array) -> Array:
    """Return the natural logarithm of x, in the shape and dtype of x: -inf for 0, NaN for negative numbers.

    x: floats of any shape.
    """
    y = np.empty(x.shape)
    _log(_doubles(x), y.reshape(-1))
    return y.astype(x.dtype, copy=False)


def cos(x: Array) -> Array:
    """Return the cosine of x in the shape and dtype of x. x: floats, in radians; for large x, see `phasor`."""
    return phasor(x).real


def sin(x: Array) -> Array:
    """Return the sine of x in the shape and dtype of x. x: floats, in radians; for large x, see `phasor`."""
    return phasor(x).imag


def phasor(x: Array) -> Array:
    """Return cos(x) + i * sin(x), complex, in the shape and precision of x.

    x: floats of any shape, in radians. Where abs(x) > 1e6 the error grows as eps * abs(x), with eps = 2**-52.
    """
    both = np.empty((2, x.size), x.dtype)
    _cos_sin(_doubles(x), *both)
    z = np.empty(x.shape, np.result_type(x.dtype, np.complex64))
    z.real, z.imag = both.reshape(2, *x.shape)
    return z


def angle(z: Array) -> Array:
    """Return the angle of complex z in radians, from -pi to pi, in the shape and precision of z.

    At z = 0 the signs of the zeros decide, as in numpy.angle: the angle is 0 where the real part is +0.0, and pi or -pi
    where the real part is -0.0.
    """
    y = np.empty(z.shape)
    _angle(_doubles(z.imag), _doubles(z.real), y.reshape(-1))
    return y.astype(z.real.dtype, copy=False)


def squared_magnitude(z: Array) -> Array:
    """Return |z|**2 of complex z, in the shape and precision of z."""
    power: Array = z.real * z.real + z.imag * z.imag
    return power


def _doubles(x: Array) -> Array:
    return np.ascontiguousarray(x, np.float64).reshape(-1)


@kernel
def _exp(x: Array, y: Array, bits: Array, scale: Array) -> None:
    """Write e**x to y, computed as 2**k * e**r, where x = k * ln 2 + r and abs(r) <= ln 2 / 2. x, y: [n].

    bits: [2, n] int64, memory for the bits of two factors whose product is 2**k; scale: the same memory as float64.
    """
    for i in range(len(x)):
        within = min(max(x[i], -800.0), 800.0)
        k = np.floor(within * 1.4426950408889634 + 0.5)  # 1 / ln 2
        high = within - k * _LN_2_PARTS[0]
        low = k * _LN_2_PARTS[1]
        r = high - low
        series = 0.0
        for n in range(14, 0, -1):
            series = (series + _INVERSE_FACTORIALS[n]) * r
        y[i] = 1.0 + (series + ((high - r) - low)) if x[i] == x[i] else math.nan
        half = np.floor(0.5 * k)
        bits[0, i], bits[1, i] = (int(half) + 1023) << 52, (int(k - half) + 1023) << 52
    for i in range(len(x)):  # 2**k as two factors: one factor would overflow or underflow near the ends of the range
        y[i] = y[i] * scale[0, i] * scale[1, i]


@kernel
def exp_of(x: float) -> float:
    """Return e**x of one number, for use inside kernels; by the same formula as `_exp`."""
    within = min(max(x, -800.0), 800.0)
    k = np.floor(within * 1.4426950408889634 + 0.5)  # 1 / ln 2
    high = within - k * _LN_2_PARTS[0]
    low = k * _LN_2_PARTS[1]
    r = high - low
    series = 0.0
    for n in range(14, 0, -1):
        series = (series + _INVERSE_FACTORIALS[n]) * r
    return math.ldexp(1.0 + (series + ((high - r) - low)), int(k)) if x == x else math.nan


@kernel
def log_of(x: float) -> float:
    """Return ln x of one number, for use inside kernels: -inf for 0, NaN for negative numbers.

    ln x = k * ln 2 + ln(1 + f), where x = 2**k * (1 + f) and sqrt(1/2) <= 1 + f <= sqrt(2). ln(1 + f) = 2 * artanh(s)
    with s = f / (2 + f) is summed as a series.
    """
    if not 0.0 < x < math.inf:
        return -math.inf if x == 0.0 else (x if x > 0.0 else math.nan)
    mantissa, exponent = math.frexp(x)
    if mantissa < 0.7071067811865476:
        mantissa, exponent = 2.0 * mantissa, exponent - 1
    f, k = mantissa - 1.0, float(exponent)
    s = f / (2.0 + f)
    square = s * s
    series = 0.0
    for n in range(11, 0, -1):
        series = (series + _INVERSE_ODDS[n]) * square
    # 2 * s = f - s * f = f - half + s * half: in the last form the rounding error of s hardly matters.
    half = 0.5 * f * f
    return k * _LN_2_PARTS[0] - ((half - (s * (half + 2.0 * series) + k * _LN_2_PARTS[1])) - f)


@kernel
def _log(x: Array, y: Array) -> None:
    """Write ln x to y. x, y: [n]."""
    for i in range(len(x)):
        y[i] = log_of(x[i])


@kernel
def _cos_sin(x: Array, cosine: Array, sine: Array) -> None:
    """Write cos(x) to `cosine` and sin(x) to `sine`; all arrays are [n].

    x is reduced to r with x = k * pi / 2 + r + rest and abs(r) <= pi / 4, where rest is the rounding error of r.
    """
    for i in range(len(x)):
        k = np.floor(x[i] * 0.6366197723675814 + 0.5)  # 2 / pi
        high = x[i] - k * _HALF_PI_PARTS[0]
        low = k * _HALF_PI_PARTS[1]
        r = high - low
        rest = ((high - r) - low) - k * _HALF_PI_PARTS[2]
        if abs(r) > 0.79 or abs(rest) > 1e-9:
            r, rest = 0.0, 0.0  # far beyond 1e6 the three parts of pi / 2 are not exact enough
        square = r * r
        even, odd = 0.0, 0.0
        for n in range(8, 1, -1):
            even = _INVERSE_FACTORIALS[2 * n] - even * square
            odd = _INVERSE_FACTORIALS[2 * n + 1] - odd * square
        even, odd = even * square * square, (_INVERSE_FACTORIALS[3] - odd * square) * square * r
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
    """Write the angle of x + i * y, in radians, to `out`; all arrays are [n].

    The angle follows from arctan(t), where t is the smaller of abs(x) and abs(y) divided by the larger. If t >
    tan(pi / 8), t is replaced by (t - 1) / (t + 1), and pi / 4 is added to the arctangent. Then arctan(t) = 2 *
    arctan(u), where u = t / (1 + sqrt(1 + t**2)), and the Taylor series of arctan(u) is summed.
    """
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
            series = (_INVERSE_ODDS[n] - series) * square
        r = 2.0 * (u - u * series)
        if turned:
            r = 0.25 * _PI_PARTS[0] + (r + 0.25 * _PI_PARTS[1])
        side = math.copysign(1.0, x[i])
        if b > a:
            r = 0.5 * _PI_PARTS[0] - (side * r - 0.5 * _PI_PARTS[1])
        elif side < 0.0:
            r = _PI_PARTS[0] - (r - _PI_PARTS[1])
        out[i] = math.copysign(r, y[i])
