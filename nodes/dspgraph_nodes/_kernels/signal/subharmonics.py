"""A check for subharmonics: values that a pitch tracker found which are fractions of the true pitch.

A signal with the period T also has the periods 2 * T, 3 * T ... If its pulses are not quite equal, one of these can fit
better than T, even if the differences are 30 dB softer than the pulses. Here f is a subharmonic if the harmonics of p *
f, where p is 2 or an odd number, hold nearly all the energy of the harmonics of f.
"""

import math
from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.signal.polyphase import sinc
from dspgraph_nodes._kernels.signal.windows import window_values

COMPARED_BAND = 1250.0  # Hz: higher harmonics are left out; the smallest change of a period disturbs them
COMPARED_RATE = 3900.0  # Hz: the least rate at which periods are compared
MOST_REST = 0.04
"""The largest share of the energy at those harmonics of a subharmonic f that are not harmonics of p * f: -14 dB.

The odd harmonics of a voice hold more: 8 % if its first formant lies on the second harmonic (measured on the vowel a).
"""


def raise_subharmonics(x: Array, rate: float, f0: Array, at: Array, top: float) -> Array:
    """Return the pitch [frames], Hz, where each subharmonic f0 is replaced by p * f0, p = 2, 3, 5, 7 ..., repeatedly.

    x: [n]; rate: the sampling rate, Hz; f0: [frames], the pitch at each of the samples `at` [frames], 0 where unvoiced;
    top: the highest pitch, Hz, up to which f0 is raised. f0 is a subharmonic of p * f0 if, with r(lag) the normalised
    correlation of two windows of two periods,

        mean over j = 1 .. p of r(j / (p * f0)) >= (1 - MOST_REST) * r(1 / f0),    r(1 / f0) >= 1/2

    Without noise, the mean is the share of the energy at the harmonics of p * f0.
    """
    if not (f0 > 0).any():
        return f0
    low, step = _low_passed(x, rate)
    raised = np.array(f0, np.float64)
    _raise(low, at / step, rate / step, top, 1 - MOST_REST, raised)
    return np.where(raised == f0, f0, raised.astype(f0.dtype))


def _low_passed(x: Array, rate: float) -> tuple[Array, int]:
    """Return (every `step`-th sample of x after a low-pass filter, `step`).

    x: [n]; rate: its sampling rate, Hz. The cutoff is COMPARED_BAND. `step` is the largest number with rate / step >=
    COMPARED_RATE, but at least 1.
    """
    step = max(1, int(rate // COMPARED_RATE))
    half = math.ceil(2 * rate / COMPARED_BAND / step) * step
    padded = np.zeros(len(x) + 2 * half)
    padded[half : half + len(x)] = x
    low = np.empty(-(-len(x) // step))
    _every_step(padded, _low_pass(half, COMPARED_BAND / rate), step, low)
    return low, step


@lru_cache(maxsize=8)
def _low_pass(half: int, band: float) -> Array:
    """Return the taps [2 * half + 1] of a low-pass filter: a sinc under a Hamming window, with the sum 1.

    band: the frequency at which the gain is 1/2, as a share of the sampling rate.
    """
    offsets = np.arange(-half, half + 1)
    window = window_values("hamming", "none", 2 * half, np.dtype(np.float64))
    taps: Array = sinc(2 * band * offsets) * np.append(window, window[0])
    taps /= taps.sum()
    return taps


@kernel
def _every_step(x: Array, taps: Array, step: int, y: Array) -> None:
    """Filter x and keep every `step`-th sample: write y[m] = sum_k taps[k] * x[m * step + k] to y.

    x must have at least (len(y) - 1) * step + len(taps) samples.
    """
    for m in range(len(y)):
        total, begin = 0.0, m * step
        for k in range(len(taps)):
            total += taps[k] * x[begin + k]
        y[m] = total


@kernel
def _raise(x: Array, at: Array, rate: float, top: float, least: float, f0: Array) -> None:
    for i in range(len(f0)):
        p = 2
        while f0[i] > 0 and p * f0[i] <= top:
            if _is_subharmonic(x, at[i], rate / f0[i], p, least):
                f0[i] *= p
                p = 2
            else:
                p += 1 if p == 2 else 2


@kernel
def _is_subharmonic(x: Array, at: float, period: float, p: int, least: float) -> bool:
    """Return whether the mean of r at the lags j * period / p, j = 1 .. p, is at least `least` times r at the period.

    r is the correlation of `_correlation` around the sample `at`; period: samples. If r at the period is below 1/2, the
    result is False.
    """
    whole = _correlation(x, at, period, period)
    if whole < 0.5:
        return False
    total = whole
    for j in range(1, p):
        one = _correlation(x, at, period, j * period / p)
        total += one
        if total + (p - 1 - j) < least * p * whole:
            return False
    return total >= least * p * whole


@kernel
def _correlation(x: Array, at: float, period: float, lag: float) -> float:
    """Return the correlation coefficient of two windows of x, `lag` samples apart, around the sample `at`.

    Each window has two periods, fewer at the ends of x; lag and period, in samples, need not be whole numbers. The
    result is 0 if less than one period is inside x, or if x is constant in a window.
    """
    length = int(2 * period) + 1
    whole = int(lag)
    share = lag - whole
    begin = int(at - (length + lag) / 2)
    first, last = max(0, -begin), min(length, len(x) - 1 - whole - begin)
    if last - first < period:
        return 0.0
    su = sv = uu = vv = uv = 0.0
    for m in range(begin + first, begin + last):
        u = x[m]
        v = x[m + whole] + share * (x[m + whole + 1] - x[m + whole])
        su += u
        sv += v
        uu += u * u
        vv += v * v
        uv += u * v
    count = last - first
    uv -= su * sv / count
    uu -= su * su / count
    vv -= sv * sv / count
    return uv / math.sqrt(uu * vv) if uu > 0 and vv > 0 else 0.0
