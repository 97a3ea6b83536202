"""Bark cepstra, which are cepstra of band energies on the Bark scale, and autocorrelations computed from them.

Powers are float64 and in the scale of 16-bit samples (full scale 32768), because the published floors and offsets are
for that scale.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import LN_10, cos, exp, log
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE, LPCNET_FLOOR

_DROP = 2.5  # decades (25 dB): the most by which a band may lie below the band before it
_RANGE = 8.0  # decades (80 dB): the most by which a band may lie below the strongest band before it
_OFFSET = 4.0  # subtracted from c[0], so that c[0] of speech lies around 0

# Peaks of the bands in Hz: LPCNet's up to 8 kHz, then CELT's up to 20 kHz, then steps of 4400 Hz, CELT's last step.
_EDGES = (0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 2000, 2400, 2800, 3200, 4000, 4800, 5600, 6800, 8000)
_EDGES_ABOVE = (9600, 12000, 15600, 20000, 24400)


@lru_cache(maxsize=32)
def band_peaks(bands: int, rate: float, length: int) -> Array:
    """Return the bin at which the triangle of each band peaks: [bands], ascending from 0 to length / 2.

    The peaks are equally spaced from 0 to rate / 2 on a warped frequency scale: the published peaks of LPCNet lie at 0,
    1, 2 ... on this scale, which is linear between them. Each peak is rounded to the nearest bin; if two peaks fall on
    one bin, the second moves to the next bin; peaks that are then above length / 2 move back. bands: their number, at
    least 2; rate: the sampling rate, Hz; length: samples per frame. Raises ValueError if `length` is odd, or if there
    are fewer bins than bands. The array is cached: it must not be changed.
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
    bins = np.maximum.accumulate(bins - order) + order  # ascending; those that are then too high are moved back
    bins = np.minimum(bins, length // 2 - order[::-1])
    bins[-1] = length // 2
    return bins


@lru_cache(maxsize=32)
def _between(bands: int, rate: float, length: int) -> Array:
    """Return the matrix [bands, bins] that interpolates linearly between values at the peaks of the bands.

    A row of values, one per band, times this matrix is a row of values for the bins 0 .. length / 2. The value at the
    last bin is always 0. The arguments are those of `band_peaks`.
    """
    edges = band_peaks(bands, rate, length)
    weights = np.zeros((bands, length // 2 + 1))
    for i, (begin, end) in enumerate(pairwise(edges)):
        rising = np.arange(end - begin) / (end - begin)
        weights[i, begin:end] = 1 - rising
        weights[i + 1, begin:end] = rising
    return weights


@lru_cache(maxsize=32)
def _triangles(bands: int, rate: float, length: int) -> Array:
    """Return the matrix [bins, bands] that turns a row of powers of bins into the energies of the bands.

    A bin between two peaks counts for both bands, with weights that sum to 1. The first and the last band have only
    half a triangle; their weights are doubled afterwards. The last bin does not count. The arguments are those of
    `band_peaks`.
    """
    weights = _between(bands, rate, length).T.copy()
    weights[:, [0, -1]] *= 2
    return weights


@lru_cache(maxsize=32)
def _dct(bands: int) -> Array:
    """Return the matrix [bands, bands] of the orthonormal DCT-II.

    Rows are multiplied by it, and by its transpose for the inverse transform.
    """
    i, j = np.arange(bands)[:, None] + 0.5, np.arange(bands)
    matrix: Array = np.sqrt(2 / bands) * cos(np.pi / bands * (i * j))
    matrix[:, 0] *= np.sqrt(0.5)
    return matrix


def bark_cepstra(frames: Array, bands: int, rate: float, floor: float = LPCNET_FLOOR) -> Array:
    """Return the Bark cepstra [n, bands] of n frames, float64, by the formulas of the node `bark_cepstrum`.

    frames: [n, length], windowed, full scale +-1; rate: their sampling rate in Hz; floor: a power in the scale of the
    module, added to the energy of every band. A band far below a lower band is raised, see `_raise_to_floors`, and c[0]
    is reduced by 4. Raises ValueError as `band_peaks` does.
    """
    length = frames.shape[1]
    spectrum = np.fft.rfft(frames.astype(np.float64, copy=False), axis=1)  # importing scipy.fft takes 0.2 s
    power = (spectrum.real * spectrum.real + spectrum.imag * spectrum.imag) * (INT16_FULL_SCALE / length) ** 2
    levels = log(matmul(power, _triangles(bands, rate, length)) + floor) / LN_10
    _raise_to_floors(levels)
    values = matmul(levels, _dct(bands))
    values[:, 0] -= _OFFSET
    return values


@kernel
def _raise_to_floors(levels: Array) -> None:
    """Raise the levels of bands that are too far below the levels of lower bands, in place.

    Afterwards no band is more than _DROP below the next lower band, or more than _RANGE below the strongest lower band.
    levels: [n, bands], log10 of the energies, from the lowest frequency to the highest.
    """
    for f in range(len(levels)):
        row, strongest, follow = levels[f], -np.inf, -np.inf
        for i in range(len(row)):
            lowest = max(follow - _DROP, strongest - _RANGE)
            if row[i] < lowest:  # False for NaN: NaN stays NaN
                row[i] = lowest
            strongest = max(strongest, row[i])
            follow = max(follow - _DROP, row[i])


@lru_cache(maxsize=32)
def silence_cepstrum(bands: int, floor: float = LPCNET_FLOOR) -> Array:
    """Return the cepstrum [bands] of silence, where every band has the energy `floor`. The array is read-only."""
    values: Array = bark_cepstra(np.zeros((1, 2 * bands)), bands, 16000.0, floor)[0]
    values.setflags(write=False)
    return values


@lru_cache(maxsize=32)
def _lag_rows(bands: int, rate: float, length: int, order: int) -> Array:
    """Return the matrix [bands, order + 1] from band energies to an autocorrelation at the lags 0 .. order.

    A wide band has a larger energy than a narrow one with the same power per bin. So each energy is divided by the sum
    of the weights of its triangle and multiplied by 4, the sum for LPCNet's narrowest bands. These values, joined by
    straight lines, are a power spectrum; its inverse transform, without the factor 1 / length, is the autocorrelation.
    bands, rate, length: as in `band_peaks`.
    """
    compensation = 4 / _triangles(bands, rate, length).sum(axis=0)
    bins, lags = np.arange(length // 2 + 1)[:, None], np.arange(order + 1)
    cosines = 2 * cos(2 * np.pi / length * (bins * lags % length))
    cosines[0] = 1
    return matmul(compensation[:, None] * _between(bands, rate, length), cosines)


def cepstra_to_autocorrelation(
    values: Array, rate: float, length: int, order: int, floor: float = LPCNET_FLOOR
) -> Array:
    """Return the autocorrelations [n, order + 1] of the spectra that n Bark cepstra describe.

    values: [n, bands], the cepstra; rate, length: the sampling rate in Hz and the length in samples of the frames from
    which the cepstra were computed; order: the largest lag; floor: the number that was added to the energy of every
    band. It is not subtracted. The power of some noise is added to lag 0, then lag j is multiplied by 1 - 6e-5 * j**2.
    The result is float64, in the scale of 16-bit samples.
    """
    bands = values.shape[1]
    values = values.astype(np.float64)
    values[:, 0] += _OFFSET
    energies = exp(matmul(values, _dct(bands).T) * LN_10)
    r = matmul(energies, _lag_rows(bands, rate, length, order))
    # Noise: 40 dB below the signal, and LPCNet's constant, which is in proportion to the floor.
    r[:, 0] += r[:, 0] * 1e-4 + length // 12 / 38 * (floor / LPCNET_FLOOR)
    r *= 1 - 6e-5 * np.arange(order + 1) ** 2
    return r
