"""Filters of the constant-Q transform, and products of these filters with frames of a signal."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import LN_2, exp, phasor
from dspgraph_nodes._kernels.signal.stft import rows_per_piece

_FEWEST_FRAMES = 16  # at least so many frames are processed together, so that the filters are read less often


def bin_frequencies(f_min: float, bins: int, bins_per_octave: int) -> Array:
    """Return the frequencies of the bins, [bins]: f_min * 2**(b / bins_per_octave) for b = 0 .. bins - 1."""
    return f_min * exp(np.arange(bins) * (LN_2 / bins_per_octave))


def quality_factor(bins_per_octave: int) -> float:
    """Return Q, the frequency of a bin divided by its distance to the next bin: 1 / (2**(1 / bins_per_octave) - 1)."""
    return 1 / (float(exp(np.array(LN_2 / bins_per_octave))) - 1)


def half_window(length: float) -> int:
    """Return how many samples a window has on each side of its middle sample: the lags m with 0 < m < length / 2.

    length: in samples, not always a whole number.
    """
    return int(np.ceil(length / 2)) - 1


@dataclass(frozen=True)
class ConstantQFilters:
    """The filters of all bins as cosines and sines, stored only from the middle sample to the last.

    The cosines are the same on the other side of the middle; the sines have the opposite sign there. Both arrays are
    flat, ordered by lag, the distance from the middle sample, and then by bin. The lowest bin has the longest window:
    at lag m only the first counts[m] bins have a value. bins: their number.
    """

    counts: Array
    cosines: Array
    sines: Array
    bins: int


@lru_cache(maxsize=2)
def constant_q_filters(frequencies: tuple[float, ...], lengths: tuple[float, ...]) -> ConstantQFilters:
    """Return the filters sqrt(N) * hann(m / N) * e**(2 * pi * i * f * m) / sum_m hann(m / N), -N / 2 < m < N / 2.

    frequencies: f of every bin in cycles per sample, ascending; lengths: N of every bin in samples, descending.
    """
    f, n = np.array(frequencies), np.array(lengths)
    lags = np.arange(half_window(n[0]) + 1)
    counts = len(n) - np.searchsorted(n[::-1], 2 * lags, "right")  # the bins with 2 * m < N
    begin = np.cumsum(counts) - counts
    cosines, sines = np.empty((2, counts.sum()))
    for b in range(len(f)):  # one bin at a time: a table [bins, lags] would be mostly zeros
        m = lags[: half_window(n[b]) + 1]
        hann = 0.5 + 0.5 * phasor(2 * np.pi * (m / n[b])).real
        total = 2 * np.cumsum(hann)[-1] - hann[0]
        turns = m * f[b]
        wave = phasor(2 * np.pi * (turns - np.floor(turns)))
        scaled = hann * (np.sqrt(n[b]) / total)
        at = begin[: len(m)] + b
        cosines[at], sines[at] = scaled * wave.real, scaled * wave.imag
    return ConstantQFilters(counts, cosines, sines, len(f))


def constant_q_rows(frames: Array, bank: ConstantQFilters) -> Array:
    """Return the constant-Q transforms of frames, complex128 [n, bins]: the sums of frame * conjugate filter.

    frames: [n, 2 * half_window(N) + 1], without a window, where N is the length of the longest filter; bank: the
    filters. Each sum runs from the middle of the frame outwards.
    """
    middle = len(bank.counts) - 1
    rows = np.zeros((2, len(frames), bank.bins))
    chunk = max(_FEWEST_FRAMES, rows_per_piece(frames.shape[1], np.dtype(np.float64)))
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
