"""Bands of the Bark scale, their log energies and what a cepstrum of them says about the signal.

Everything is float64 and in the scale of 16-bit samples, as the published floors and offsets are.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import cos, exp, log
from dspgraph_nodes._kernels.maths.matmul import rows

Array = NDArray[Any]

FULL_SCALE = 32768.0  # of 16-bit samples
FLOOR = 1e-2  # added to every energy before its logarithm
DROP = 2.5  # decades (25 dB) that a band may lie below the one under it
RANGE = 8.0  # decades (80 dB) that a band may lie below the strongest under it
OFFSET = 4.0  # taken from c[0], so that speech lies around 0
LN_10 = 2.302585092994046

# Hz. The bands of LPCNet up to 8 kHz, those of CELT above, and equal steps beyond.
EDGES = (0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 2000, 2400, 2800, 3200, 4000, 4800, 5600, 6800, 8000)
EDGES_ABOVE = (9600, 12000, 15600, 20000, 24400)


@lru_cache(maxsize=32)
def layout(bands: int, rate: float, length: int) -> Array:
    """The bins [bands] that the triangles peak on, from 0 to length / 2, ascending.

    The points are equally far apart on the scale that runs evenly through the published ones, from 0 to rate / 2, each
    moved to the nearest bin, and where two would meet, to the next. Raises ValueError where there are too few bins.
    """
    if length % 2 or length // 2 < bands - 1:
        raise ValueError(f"{bands} bands need an even length of at least {2 * bands - 2} samples; found {length}")
    known = np.array(EDGES + EDGES_ABOVE, np.float64)
    step = known[-1] - known[-2]
    more = max(0, int((rate / 2 - known[-1]) // step) + 1)
    known = np.concatenate((known, known[-1] + step * np.arange(1, more + 1)))
    scale = np.arange(len(known))
    points = np.interp(np.arange(bands) * (np.interp(rate / 2, known, scale) / (bands - 1)), scale, known)
    bins = np.floor(points * (length / rate) + 0.5).astype(np.int64)
    order = np.arange(bands)
    bins = np.maximum.accumulate(bins - order) + order  # ascending from below, then held under the top
    bins = np.minimum(bins, length // 2 - order[::-1])
    bins[-1] = length // 2
    return bins


@lru_cache(maxsize=32)
def _between(bands: int, rate: float, length: int) -> Array:
    """[bands, bins]: the values at the bins of a line through the values of the bands; the last bin has 0."""
    edges = layout(bands, rate, length)
    weights = np.zeros((bands, length // 2 + 1))
    for i, (begin, end) in enumerate(pairwise(edges)):
        rising = np.arange(end - begin) / (end - begin)
        weights[i, begin:end] = 1 - rising
        weights[i + 1, begin:end] = rising
    return weights


@lru_cache(maxsize=32)
def _triangles(bands: int, rate: float, length: int) -> Array:
    """[bins, bands]: how much of every bin's power falls in a band; those at the ends count twice."""
    weights = _between(bands, rate, length).T.copy()
    weights[:, [0, -1]] *= 2
    return weights


@lru_cache(maxsize=32)
def _dct(bands: int) -> Array:
    """[bands, bands]: rows times it are their orthonormal cosine transforms, times its transpose the inverse."""
    i, j = np.arange(bands)[:, None] + 0.5, np.arange(bands)
    matrix: Array = np.sqrt(2 / bands) * cos(np.pi / bands * (i * j))
    matrix[:, 0] *= np.sqrt(0.5)
    return matrix


def cepstrum(frames: Array, bands: int, rate: float) -> Array:
    """Cepstra [n, bands] of frames [n, length] of full scale +-1."""
    from scipy.fft import rfft

    length = frames.shape[1]
    spectrum = rfft(frames.astype(np.float64, copy=False), axis=1)
    power = (spectrum.real * spectrum.real + spectrum.imag * spectrum.imag) * (FULL_SCALE / length) ** 2
    levels = log(rows(power, _triangles(bands, rate, length)) + FLOOR) / LN_10
    _raise_to_floors(levels)
    values = rows(levels, _dct(bands))
    values[:, 0] -= OFFSET
    return values


@kernel
def _raise_to_floors(levels: Array) -> None:
    """From the lowest band up, none of a row lies more than DROP below the one before, or RANGE below the strongest."""
    for f in range(len(levels)):
        row, strongest, follow = levels[f], -2.0, -2.0
        for i in range(len(row)):
            lowest = max(follow - DROP, strongest - RANGE)
            if row[i] < lowest:  # a NaN is not
                row[i] = lowest
            strongest = max(strongest, row[i])
            follow = max(follow - DROP, row[i])


@lru_cache(maxsize=32)
def silence(bands: int) -> Array:
    """The cepstrum [bands] of silence: every band at its floor."""
    values: Array = cepstrum(np.zeros((1, 2 * bands)), bands, 16000.0)[0]
    values.setflags(write=False)
    return values


@lru_cache(maxsize=32)
def _lag_rows(bands: int, rate: float, length: int, order: int) -> Array:
    """[bands, order + 1]: band levels times it are the autocorrelation of the spectrum that joins them by lines.

    It is the inverse transform of the bins' power without its 1 / length. A band's sum of powers becomes the power of
    a bin by the compensation 4 / (sum of the triangle's weights); 4 bins have the narrowest bands.
    """
    compensation = 4 / _triangles(bands, rate, length).sum(axis=0)
    bins, lags = np.arange(length // 2 + 1)[:, None], np.arange(order + 1)
    cosines = 2 * cos(2 * np.pi / length * (bins * lags % length))
    cosines[0] = 1
    return rows(compensation[:, None] * _between(bands, rate, length), cosines)


def autocorrelation_of(values: Array, rate: float, length: int, order: int) -> Array:
    """Autocorrelations [n, order + 1] that cepstra [n, bands] stand for, with noise added and the lags windowed."""
    bands = values.shape[1]
    values = values.astype(np.float64)
    values[:, 0] += OFFSET
    energies = exp(rows(values, _dct(bands).T) * LN_10)
    r = rows(energies, _lag_rows(bands, rate, length, order))
    r[:, 0] += r[:, 0] * 1e-4 + length // 12 / 38  # 40 dB below the signal, and half a step of 16 bits
    r *= 1 - 6e-5 * np.arange(order + 1) ** 2
    return r
