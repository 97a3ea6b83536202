"""Bark-scale bands, their log energies, and the autocorrelation that a cepstrum of them stands for.

Everything is float64 and in the scale of 16-bit samples, as the published floors and offsets are.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import LN_10, cos, exp, log
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE

_FLOOR = 1e-2  # added to every energy before its logarithm
_DROP = 2.5  # decades (25 dB) that a band may lie below the next lower band
_RANGE = 8.0  # decades (80 dB) that a band may lie below the strongest lower band
_OFFSET = 4.0  # subtracted from c[0], so that speech lies around 0

# Hz. The bands of LPCNet up to 8 kHz, those of CELT above 8 kHz, and equal steps beyond 24.4 kHz.
_EDGES = (0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 2000, 2400, 2800, 3200, 4000, 4800, 5600, 6800, 8000)
_EDGES_ABOVE = (9600, 12000, 15600, 20000, 24400)


@lru_cache(maxsize=32)
def band_peaks(bands: int, rate: float, length: int) -> Array:
    """Return the bins [bands] where the triangles peak, ascending from 0 to length / 2.

    The peaks are equally spaced, from 0 to rate / 2, on the scale on which the published points are equally spaced.
    Each is rounded to the nearest bin; if two would fall on one bin, the second moves to the next. Raises ValueError if
    there are too few bins.
    """
    if length % 2 or length // 2 < bands - 1:
        raise ValueError(f"{bands} bands need an even length of at least {2 * bands - 2} samples; found {length}")
    known = np.array(_EDGES + _EDGES_ABOVE, np.float64)
    step = known[-1] - known[-2]
    more = max(0, int((rate / 2 - known[-1]) // step) + 1)
    known = np.concatenate((known, known[-1] + step * np.arange(1, more + 1)))
    scale = np.arange(len(known))
    points = np.interp(np.arange(bands) * (np.interp(rate / 2, known, scale) / (bands - 1)), scale, known)
    bins = np.floor(points * (length / rate) + 0.5).astype(np.int64)
    order = np.arange(bands)
    bins = np.maximum.accumulate(bins - order) + order  # make ascending from below, then limit from the top
    bins = np.minimum(bins, length // 2 - order[::-1])
    bins[-1] = length // 2
    return bins


@lru_cache(maxsize=32)
def _between(bands: int, rate: float, length: int) -> Array:
    """Return the matrix [bands, bins] that interpolates linearly between the bands' peaks; 0 at the last bin."""
    edges = band_peaks(bands, rate, length)
    weights = np.zeros((bands, length // 2 + 1))
    for i, (begin, end) in enumerate(pairwise(edges)):
        rising = np.arange(end - begin) / (end - begin)
        weights[i, begin:end] = 1 - rising
        weights[i + 1, begin:end] = rising
    return weights


@lru_cache(maxsize=32)
def _triangles(bands: int, rate: float, length: int) -> Array:
    """Return the matrix [bins, bands] of each bin's share of its power in each band; the two end bands count double."""
    weights = _between(bands, rate, length).T.copy()
    weights[:, [0, -1]] *= 2
    return weights


@lru_cache(maxsize=32)
def _dct(bands: int) -> Array:
    """Return the matrix [bands, bands] of the orthonormal cosine transform of rows; its transpose is the inverse."""
    i, j = np.arange(bands)[:, None] + 0.5, np.arange(bands)
    matrix: Array = np.sqrt(2 / bands) * cos(np.pi / bands * (i * j))
    matrix[:, 0] *= np.sqrt(0.5)
    return matrix


def bark_cepstra(frames: Array, bands: int, rate: float) -> Array:
    """Return cepstra [n, bands] of frames [n, length] of full scale +-1."""
    from scipy.fft import rfft

    length = frames.shape[1]
    spectrum = rfft(frames.astype(np.float64, copy=False), axis=1)
    power = (spectrum.real * spectrum.real + spectrum.imag * spectrum.imag) * (INT16_FULL_SCALE / length) ** 2
    levels = log(matmul(power, _triangles(bands, rate, length)) + _FLOOR) / LN_10
    _raise_to_floors(levels)
    values = matmul(levels, _dct(bands))
    values[:, 0] -= _OFFSET
    return values


@kernel
def _raise_to_floors(levels: Array) -> None:
    """Raise levels, from the lowest band up, to _DROP below the last band and _RANGE below the strongest so far."""
    for f in range(len(levels)):
        row, strongest, follow = levels[f], -2.0, -2.0
        for i in range(len(row)):
            lowest = max(follow - _DROP, strongest - _RANGE)
            if row[i] < lowest:  # False for NaN: a NaN stays
                row[i] = lowest
            strongest = max(strongest, row[i])
            follow = max(follow - _DROP, row[i])


@lru_cache(maxsize=32)
def silence_cepstrum(bands: int) -> Array:
    """Return the cepstrum [bands] of silence, where every band is at its floor."""
    values: Array = bark_cepstra(np.zeros((1, 2 * bands)), bands, 16000.0)[0]
    values.setflags(write=False)
    return values


@lru_cache(maxsize=32)
def _lag_rows(bands: int, rate: float, length: int, order: int) -> Array:
    """Return the matrix [bands, order + 1] from band levels to the autocorrelation of the spectrum between them.

    The spectrum joins the levels by straight lines. The inverse transform is taken without its 1 / length. The sum of
    powers in a band becomes the power of one bin by the compensation 4 / (sum of the triangle's weights); 4 is the sum
    in the narrowest bands.
    """
    compensation = 4 / _triangles(bands, rate, length).sum(axis=0)
    bins, lags = np.arange(length // 2 + 1)[:, None], np.arange(order + 1)
    cosines = 2 * cos(2 * np.pi / length * (bins * lags % length))
    cosines[0] = 1
    return matmul(compensation[:, None] * _between(bands, rate, length), cosines)


def cepstra_to_autocorrelation(values: Array, rate: float, length: int, order: int) -> Array:
    """Return autocorrelations [n, order + 1] of cepstra [n, bands], with noise added and the lags windowed."""
    bands = values.shape[1]
    values = values.astype(np.float64)
    values[:, 0] += _OFFSET
    energies = exp(matmul(values, _dct(bands).T) * LN_10)
    r = matmul(energies, _lag_rows(bands, rate, length, order))
    r[:, 0] += r[:, 0] * 1e-4 + length // 12 / 38  # noise: 40 dB below the signal, and half a step of 16 bits
    r *= 1 - 6e-5 * np.arange(order + 1) ** 2
    return r
