"""Power spectra of overlapping frames, and helpers for their sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

from dspgraph.streams import Array

_BLOCK = 2**19
"""Largest number of values (4 MiB) in the frames of a block of spectra, each frame with `n_fft` values."""

DECIBELS = 10 / math.log(10)
"""Factor from the natural logarithm of a power to decibels: 10 * log10(p) = DECIBELS * ln(p)."""


def power_spectra(x: Array, length: int, hop: int, n_fft: int) -> Iterator[Array]:
    """Yield the power spectra |X|**2 of the frames of a signal, as blocks [frames, n_fft // 2 + 1].

    x: [n], taken as 0 outside. There are n // hop + 1 frames; a block has at most _BLOCK // n_fft of them, or one if
    this is 0. Frame t is centred on sample t * hop, and has a Hann window of `length` samples. n_fft: the size of the
    FFT, at least `length`.
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
    """Return the periodic Hann window [length]. Do not change the array: it is shared by all calls."""
    window: Array = 0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))
    return window


def samples(seconds: float, rate: Fraction) -> int:
    """Return the whole number of samples that is nearest to a duration in seconds. rate: Hz."""
    return round(seconds * rate)


def power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below n. n: at least 1."""
    return 1 << (n - 1).bit_length()
