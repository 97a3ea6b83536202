"""Levels of harmonics, which show whether a pitch is a subharmonic, that is, a fraction of the true pitch.

A voice whose pulses are not equal, or not equally spaced, has weak lines between its harmonics, and a formant there
raises one of them. The harmonics of a true pitch follow the formants: each harmonic is about as strong as its
neighbours. The harmonics of a subharmonic f are weak between the harmonics of the true pitch m * f.
"""

import math

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

WINDOW_PERIODS = 8  # periods of the pitch in the window of a spectrum
HIGHEST_LEVEL = 2500.0
"""Hz: of the harmonics above number 2 * m, those above this are not compared, see `relative_level`.

The smallest change of a period disturbs them.
"""

CLEARLY_A_PITCH = 0.3
"""If the relative level over the windows computed so far is above this, no further window is computed."""


@kernel
def relative_level(x: Array, rate: float, at: float, f: float, m: int) -> float:
    """Return the level of the harmonics of f that are not harmonics of m * f, relative to the harmonics of m * f.

        exp(sum over k of B(k) * log(A(k) / B(k)) / sum over k of B(k)),    k > m, no multiple of m

    A(k): the magnitude at k * f, by a Hann window of eight periods of f; B(k): the magnitude at k * f on a straight
    line, in log A over k, between the two harmonics of m * f beside k. Both sums also run over up to three windows: one
    around `at`, then one half a window before it and one half a window after it; the next one is left out if the level
    so far is above CLEARLY_A_PITCH. Harmonics are compared up to the last harmonic of m * f that is not above
    HIGHEST_LEVEL or half the rate, at least up to number 2 * m. If number 2 * m is beyond half the rate, there are too
    few harmonics to compare, and the result is 1.

    x: [n]; rate: the sampling rate, Hz; at: the sample in the middle of the first window, which is moved inwards if the
    three windows do not lie inside x; f: Hz; m: at least 2. The windows are shorter if x is.
    """
    if 2 * m * f > rate / 2:
        return 1.0
    count = max(2, int(min(HIGHEST_LEVEL, rate / 2) / (m * f))) * m
    half = WINDOW_PERIODS / 2 * rate / f
    middle = max(2 * half, min(at, len(x) - 2 * half))
    total = weights = 0.0
    for window in (0, -1, 1):
        logs = np.log(np.maximum(_magnitudes(x, rate, middle + window * half, f, count), 1e-30))
        for k in range(m + 1, count):
            below = k // m * m
            share = (k - below) / m
            if share > 0:
                between = (1 - share) * logs[below - 1] + share * logs[below + m - 1]
                weight = math.exp(between)
                total += weight * (logs[k - 1] - between)
                weights += weight
        if total > weights * math.log(CLEARLY_A_PITCH):
            break
    return math.exp(total / weights)


@kernel
def _magnitudes(x: Array, rate: float, at: float, f: float, count: int) -> Array:
    """Return the magnitudes of the spectrum of x around the sample `at`, at f, 2 * f ... count * f: [count].

    rate: the sampling rate, Hz; f: Hz. The window is a Hann window of eight periods of f, or of len(x) samples if x is
    shorter. Near an end of x it lies at this end. The magnitudes are not divided by the length of the window.
    """
    length = min(int(WINDOW_PERIODS * rate / f), len(x))
    begin = min(max(0, int(at - length / 2)), len(x) - length)
    twice = 2 * np.cos(2 * np.pi * f / rate * np.arange(1, count + 1))
    u, v = np.zeros(count), np.zeros(count)
    for n in range(length):  # the recursion of Goertzel
        sample = x[begin + n] * (0.5 - 0.5 * math.cos(2 * math.pi * (n + 0.5) / length))
        for k in range(count):
            u[k], v[k] = sample + twice[k] * u[k] - v[k], u[k]
    found: Array = np.sqrt(np.maximum(0.0, u * u + v * v - twice * u * v))
    return found
