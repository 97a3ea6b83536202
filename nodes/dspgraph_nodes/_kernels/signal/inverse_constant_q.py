"""Synthesis from the constant-Q transform: the adjoint transform, and an equaliser that flattens the response."""

from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.banded import BandedMatrix, to_banded
from dspgraph_nodes._kernels.signal.constant_q import constant_q_filters, half_window

_LOWEST = 0.5  # of the response, relative to its median: the equaliser does not raise what the bins do not cover


@lru_cache(maxsize=2)
def synthesis_matrix(frequencies: tuple[float, ...], lengths: tuple[float, ...]) -> BandedMatrix:
    """Return the matrix [2 * bins, 2 * half + 1] that turns a row (Re X[0], Im X[0], Re X[1] ...) into samples.

    The samples of all rows are overlapped and added. Those of a row X are m = -half .. half around the centre of its
    windows, and sample m is sum_b 2 / N_b * Re(X[b] * a_b[m]), with the atoms of the transform a_b[m] = sqrt(N_b) /
    (sum of w_b) * w_b[m] * e**(2j * pi * f_b * m), where w_b is the window of bin b. half: half the longest window, see
    `half_window`. frequencies: f_b, in cycles per sample, ascending; lengths: N_b, in samples, descending.
    """
    atoms = _atoms(frequencies, lengths)
    matrix = np.empty((2 * len(lengths), atoms.shape[1]))
    weights = 2 / np.array(lengths)[:, None]
    matrix[0::2], matrix[1::2] = weights * atoms.real, -weights * atoms.imag
    return to_banded(matrix)


@lru_cache(maxsize=2)
def equaliser(frequencies: tuple[float, ...], lengths: tuple[float, ...], hop: int) -> Array:
    """Return a symmetric FIR filter, [2 * half + 1], read-only, that flattens the response of transform and synthesis.

    The response at the frequency f is 1 / hop * sum_b (|A_b(f)|**2 + |A_b(-f)|**2) / N_b, where A_b is the Fourier
    transform of atom a_b. A response below half of its median, taken from the lowest bin to the highest, counts as half
    of this median. The filter is the inverse transform of 1 / response, cut by a Hann window. frequencies, lengths, and
    the number half: as in `synthesis_matrix`; hop: samples per row.
    """
    from scipy.fft import fft, irfft

    atoms = _atoms(frequencies, lengths)
    half = atoms.shape[1] // 2
    points = 1 << (8 * half + 8).bit_length()
    response = np.zeros(points)
    for atom, length in zip(atoms, lengths, strict=True):
        spectrum = fft(atom, points)
        response += (spectrum.real**2 + spectrum.imag**2) / (length * hop)
    both = (response + np.roll(response[::-1], 1))[: points // 2 + 1]
    inside = slice(int(frequencies[0] * points), int(frequencies[-1] * points) + 1)
    inverse = irfft(1 / np.maximum(both, _LOWEST * np.median(both[inside])), points)
    taps: Array = np.concatenate((inverse[-half:], inverse[: half + 1])) if half else inverse[:1].copy()
    window = 0.5 + 0.5 * np.cos(np.pi * np.arange(-half, half + 1) / (half + 1))
    taps = taps * window
    taps.setflags(write=False)
    return taps


def _atoms(frequencies: tuple[float, ...], lengths: tuple[float, ...]) -> Array:
    """Return the atoms a_b of `synthesis_matrix`, complex [bins, 2 * half + 1], with zeros beyond their windows."""
    bank = constant_q_filters(frequencies, lengths)
    half = half_window(lengths[0])
    atoms = np.zeros((bank.bins, 2 * half + 1), np.complex128)
    begin = np.cumsum(bank.counts) - bank.counts
    for m in range(half + 1):
        stored = slice(begin[m], begin[m] + bank.counts[m])
        later = bank.cosines[stored] + 1j * bank.sines[stored]
        atoms[: bank.counts[m], half + m] = later
        atoms[: bank.counts[m], half - m] = np.conj(later)
    return atoms
