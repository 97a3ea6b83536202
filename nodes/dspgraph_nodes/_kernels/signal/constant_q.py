"""Filters of a constant-Q transform, and their sums over a signal."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import LN_2, exp, phasor
from dspgraph_nodes._kernels.signal.stft import rows_of

Array = NDArray[Any]

FEWEST = 16  # frames that are worked on at a time: the filters are read once for all of them
OCTAVE = LN_2[0] + LN_2[1]


def scale(f_min: float, bins: int, bins_per_octave: int) -> Array:
    """The frequencies [bins], f_min 2**(b / bins_per_octave)."""
    return f_min * exp(np.arange(bins) * (OCTAVE / bins_per_octave))


def periods(bins_per_octave: int) -> float:
    """How often a bin's frequency is its distance to the next bin, 1 / (2**(1 / bins_per_octave) - 1)."""
    return 1 / (float(exp(np.array(OCTAVE / bins_per_octave))) - 1)


def reach(length: float) -> int:
    """Samples on either side of the middle that a window of this length covers."""
    return int(np.ceil(length / 2)) - 1


@dataclass(frozen=True)
class Filters:
    """Windowed cosines and sines from their middle outwards: lag after lag, and within a lag bin after bin.

    The lowest bin is the longest: at lag m the first counts[m] bins are there.
    """

    counts: Array
    cosines: Array
    sines: Array
    bins: int


@lru_cache(maxsize=2)
def filters(frequencies: tuple[float, ...], lengths: tuple[float, ...]) -> Filters:
    """sqrt(N) hann(m / N) e**(2 pi i f m) / sum hann, -N/2 < m < N/2: frequencies in cycles per sample, ascending."""
    f, n = np.array(frequencies), np.array(lengths)
    lags = np.arange(reach(n[0]) + 1)
    counts = len(n) - np.searchsorted(n[::-1], 2 * lags, "right")  # the bins with 2 m < N
    begin = np.cumsum(counts) - counts
    cosines, sines = np.empty((2, counts.sum()))
    for b in range(len(f)):  # one window at a time: all of them, side by side, would be mostly zeros
        m = lags[: reach(n[b]) + 1]
        hann = 0.5 + 0.5 * phasor(2 * np.pi * (m / n[b])).real
        total = 2 * np.cumsum(hann)[-1] - hann[0]
        turns = m * f[b]
        wave = phasor(2 * np.pi * (turns - np.floor(turns)))
        scaled = hann * (np.sqrt(n[b]) / total)
        at = begin[: len(m)] + b
        cosines[at], sines[at] = scaled * wave.real, scaled * wave.imag
    return Filters(counts, cosines, sines, len(f))


def transformed(frames: Array, bank: Filters) -> Array:
    """Rows [n, bins], complex: frames [n, 2 reach + 1] times the conjugate filters, summed from the middle on."""
    middle = len(bank.counts) - 1
    rows = np.zeros((2, len(frames), bank.bins))
    chunk = max(FEWEST, rows_of(frames.shape[1], np.dtype(np.float64)))
    for k in range(0, len(frames), chunk):
        part = frames[k : k + chunk].astype(np.float64, copy=False)
        after, before = part[:, middle:], part[:, middle::-1]
        even, odd = after + before, after - before
        even[:, 0] = part[:, middle]
        _sums(even, odd, bank.counts, bank.cosines, bank.sines, rows[:, k : k + chunk])
    spectrum = np.empty(rows.shape[1:], np.complex128)
    spectrum.real, spectrum.imag = rows[0], -rows[1]
    return spectrum


@kernel
def _sums(even: Array, odd: Array, counts: Array, cosines: Array, sines: Array, rows: Array) -> None:
    at = 0
    for m in range(len(counts)):
        count = counts[m]
        c, s = cosines[at : at + count], sines[at : at + count]
        for k in range(len(even)):
            e, o, real, imag = even[k, m], odd[k, m], rows[0, k], rows[1, k]
            for b in range(count):
                real[b] += e * c[b]
                imag[b] += o * s[b]
        at += count
