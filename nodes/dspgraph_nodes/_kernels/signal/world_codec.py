"""WORLD's codec, which codes a spectral envelope or an aperiodicity as a few numbers, and decodes them.

Source: WORLD, codec.cpp (M. Morise, 2017).
"""

from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import LN_10, cos, exp, log
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.signal.cosines import cosine_matrix

_FLOOR, _CEILING = 40.0, 20000.0  # Hz: the mel axis begins and ends there
_STEP, _HIGHEST = 3000.0, 15000.0  # Hz: distance of the bands of aperiodicity, and the last of them
_GUARD = 1e-12
_NOISE_DB = -0.5  # mean above which a frame is all noise
_LOWEST_DB = -60.0  # aperiodicity at 0 Hz


def aperiodicity_bands(rate: float) -> int:
    """Return how many bands WORLD codes at a sampling rate in Hz: 0 below 12 kHz, 1 at 16 kHz, 5 from 36 kHz on.

    There is a band at each multiple of 3 kHz up to rate / 2 - 3 kHz, and at most up to 15 kHz.
    """
    return max(0, int(min(_HIGHEST, rate / 2 - _STEP) / _STEP))


def code_envelope(power: Array, rate: float, dimensions: int) -> Array:
    """Return coded spectral envelopes [n, dimensions]: a cosine transform of ln(power) on the mel scale.

    power: [n, n_fft / 2 + 1], float64, above 0; rate: the sampling rate, Hz; dimensions: at most n_fft / 2.
    """
    return matmul(log(power), _coding(power.shape[1], rate, dimensions))


def decode_envelope(coded: Array, rate: float, n_fft: int) -> Array:
    """Return power spectra [n, n_fft / 2 + 1], float64, decoded from the results of `code_envelope`.

    coded: [n, dimensions], float64, dimensions at most n_fft / 2; rate: the sampling rate, Hz; n_fft: even.
    """
    return exp(matmul(coded, _decoding(coded.shape[1], rate, n_fft)))


def code_bands(aperiodicity: Array, rate: float) -> Array:
    """Return the aperiodicity at 3, 6, 9 ... kHz in dB, interpolated linearly in dB: [n, aperiodicity_bands(rate)].

    aperiodicity: [n, n_fft / 2 + 1], float64, above 0; rate: the sampling rate, Hz.
    """
    bins = aperiodicity.shape[1]
    at = _STEP * np.arange(1, aperiodicity_bands(rate) + 1)
    weights = _straight_lines(np.arange(bins) * (rate / (2 * (bins - 1))), at)
    return matmul(log(aperiodicity) * (20 / LN_10), weights)


def decode_bands(coded: Array, rate: float, n_fft: int) -> Array:
    """Return aperiodicity, from 0 to 1, [n, n_fft / 2 + 1], decoded from the results of `code_bands`.

    coded: [n, aperiodicity_bands(rate)], the values at 3, 6, 9 ... kHz in dB, float64; rate: the sampling rate, at
    least 12000 Hz, so that there is a band. The values at 0 Hz and at half the rate are fixed: -60 dB and -1e-12 dB.
    Bins between these frequencies are interpolated linearly in dB. A row of `coded` whose mean is above -0.5 dB becomes
    1 - 1e-12 in every bin (only noise).
    """
    count = coded.shape[1]
    edges = np.full((len(coded), 1), _LOWEST_DB), coded, np.full((len(coded), 1), -_GUARD)
    axis = np.append(_STEP * np.arange(count + 1), rate / 2)
    weights = _straight_lines(axis, np.arange(n_fft // 2 + 1) * (rate / n_fft))
    rows = exp(matmul(np.concatenate(edges, axis=1), weights) * (LN_10 / 20))
    noisy = np.add.accumulate(coded, axis=1)[:, -1] / count > _NOISE_DB
    rows[noisy] = 1 - _GUARD
    return rows


@lru_cache(maxsize=8)
def _coding(bins: int, rate: float, dimensions: int) -> Array:
    points = bins - 1
    hertz = np.arange(bins) * (rate / (2 * points))
    matrix: Array = matmul(_straight_lines(_mel(hertz), _mel_axis(points, rate)), _coding_cosines(points, dimensions))
    matrix /= np.sqrt(points)
    return matrix


def _coding_cosines(points: int, dimensions: int) -> Array:
    """Return the matrix of the cosine transform in WORLD's coder, [points, dimensions], for point i and dimension k.

    It differs a little from the DCT-II of the decoder: in place of 2 * i + 1 in cos(pi * k * (2 * i + 1) / (2 *
    points)), it has 2 * i - 1 for even i and 2 * i + 3 for odd i.
    """
    i = np.arange(points)
    turns = np.where(i % 2, 2 * i + 3, 2 * i - 1)[:, None] * np.arange(dimensions) % (4 * points)
    matrix: Array = cos(turns * (np.pi / (2 * points))) * np.sqrt(2 / points)
    matrix[:, 0] = np.sqrt(1 / points)
    return matrix


@lru_cache(maxsize=8)
def _decoding(dimensions: int, rate: float, n_fft: int) -> Array:
    points = n_fft // 2
    hertz = 700 * (exp(_mel_axis(points, rate) / 1127.01048) - 1)
    axis = np.concatenate(([0.0], hertz, [rate / 2]))
    lines = _straight_lines(axis, np.arange(points + 1) * (rate / n_fft))
    lines[1] += lines[0]  # the first point stands for 0 Hz too, the last one for half the rate
    lines[-2] += lines[-1]
    matrix: Array = matmul(np.ascontiguousarray(cosine_matrix(points, dimensions).T), lines[1:-1])
    matrix *= np.sqrt(points)
    return matrix


def _mel(hertz: Array) -> Array:
    mel: Array = 1127.01048 * log(hertz / 700 + 1)
    return mel


def _mel_axis(points: int, rate: float) -> Array:
    low, high = _mel(np.array([_FLOOR, min(rate / 2, _CEILING)]))
    axis: Array = (high - low) * np.arange(points) / points + low
    return axis


def _straight_lines(axis: Array, at: Array) -> Array:
    """Return the matrix [len(axis), len(at)] that interpolates linearly: values at `axis` times it are values at `at`.

    axis: ascending, two values or more. Beyond its ends, the first and the last line go on.
    """
    left = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(axis) - 2)
    share = (at - axis[left]) / (axis[left + 1] - axis[left])
    matrix = np.zeros((len(axis), len(at)))
    columns = np.arange(len(at))
    matrix[left, columns] = 1 - share
    matrix[left + 1, columns] += share
    return matrix
