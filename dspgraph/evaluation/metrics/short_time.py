"""Short-time power spectra."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

from dspgraph.streams import Array

_BLOCK = 2**19
"""Largest number of values in a block of spectra (4 MiB)."""

DECIBELS = 10 / math.log(10)
"""Decibels in 1 neper of power: factor from the natural logarithm of a power to decibels."""


def power_spectra(x: Array, length: int, hop: int, n_fft: int) -> Iterator[Array]:
    """Yield |X|**2 [frames, n_fft // 2 + 1] in blocks of frames that are centred on every hop-th sample of x [n].

    Hann windows of `length` samples; x is 0 outside.
    """
    from scipy import fft

    window = hann(length)
    padded = np.pad(x, (length // 2, length))
    rows = np.lib.stride_tricks.sliding_window_view(padded, length)[: len(x) + 1 : hop]
    some = max(1, _BLOCK // n_fft)
    for start in range(0, len(rows), some):
        spectrum = fft.rfft(rows[start : start + some] * window, n_fft, axis=1)
        yield spectrum.real**2 + spectrum.imag**2


@lru_cache(maxsize=16)
def hann(length: int) -> Array:
    """Return the periodic Hann window [length]."""
    window: Array = 0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))
    return window


def samples(seconds: float, rate: Fraction) -> int:
    """Return the nearest number of samples."""
    return round(seconds * rate)


def power_of_two(n: int) -> int:
    """Return the least power of two that is n or more."""
    return 1 << (n - 1).bit_length()
