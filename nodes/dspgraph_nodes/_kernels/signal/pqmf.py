"""Filters of a cosine-modulated pseudo-quadrature mirror filter bank."""

from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import cos, sin


def usual_taps(bands: int) -> int:
    """Return the default order of the filters for `bands` bands; a filter has one coefficient more."""
    return 16 * bands - 2


def usual_cutoff(bands: int) -> float:
    """Return the default cutoff of the prototype filter for `bands` bands, as a share of half the sampling rate."""
    return 0.568 / bands


@lru_cache(maxsize=8)
def pqmf_filters(bands: int, taps: int, cutoff: float, beta: float) -> tuple[Array, Array]:
    """Return the filters of analysis and of synthesis, [taps + 1, bands] each, float64, read-only.

        p[n] = sin(pi * cutoff * (n - taps / 2)) / (pi * (n - taps / 2)) * (Kaiser window of beta)
        h_k[n] = 2 * p[n] * cos((2 * k + 1) * pi / (2 * bands) * (n - taps / 2) +- (-1)**k * pi / 4)

    The sign is + for analysis, - for synthesis. taps: the order of the filters, an even number; cutoff: the cutoff
    frequency of the filter p, divided by half the rate; beta: the shape of the Kaiser window.

    Source: Y.-P. Lin and P. P. Vaidyanathan, A Kaiser window approach for the design of prototype filters of cosine
    modulated filterbanks, IEEE Signal Processing Letters 5(6), 1998; ParallelWaveGAN, layers/pqmf.py.
    """
    n = np.arange(taps + 1) - taps / 2
    ideal = sin(np.pi * cutoff * n) / (np.pi * np.where(n == 0, 1, n))
    ideal[taps // 2] = cutoff
    square = np.maximum(0, 1 - (n / (taps / 2)) ** 2)
    prototype = ideal * (_i0(beta * beta / 4 * square) / _i0(np.array(beta * beta / 4)))
    k = np.arange(bands)
    carrier = (2 * k + 1) * (np.pi / (2 * bands)) * n[:, None]
    turn = np.where(k % 2, -1, 1) * (np.pi / 4)
    filters = tuple(2 * prototype[:, None] * cos(carrier + sign * turn) for sign in (1, -1))
    for one in filters:
        one.setflags(write=False)
    return filters[0], filters[1]


def _i0(z: Array) -> Array:
    """Return sum_k z**k / k!**2, the modified Bessel function I0(2 * sqrt(z)). z: an array."""
    series = np.ones_like(z)
    for k in range(60, 0, -1):
        series = 1 + z / (k * k) * series
    return series
