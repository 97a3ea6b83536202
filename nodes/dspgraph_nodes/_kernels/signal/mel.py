"""Mel filter banks, and the mel scale."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.maths.banded import BandedMatrix

MelScale = Literal["slaney", "htk"]
MelNorm = Literal["slaney", "none"]

_MOST_WEIGHTS = 10_000_000  # 76 MiB; the bank is made from several arrays of this size
_LN_6_4 = 1.8562979903656263


@lru_cache(maxsize=32)
def mel_filterbank(
    count: int, rate: float, width: int, f_min: float, f_max: float, scale: MelScale, norm: MelNorm
) -> Array:
    """Return the weights [width, count] of `count` triangular mel bands over the `width` bins of a spectrum, read-only.

    The bins lie from 0 to rate / 2; width: at least 2. The centres, with f_min before the first and f_max after the
    last, are equally spaced in mel. A triangle rises, linearly in Hz, from 0 at the centre of the band before to 1 at
    its own centre, and falls to 0 at the centre of the band after. With norm="slaney" it is divided by half its width
    in Hz, so that its area is 1. rate: the sampling rate in Hz; f_min, f_max: Hz; scale: as in `hertz_to_mel`.

    Source: librosa reference, `librosa.filters.mel` and `librosa.hz_to_mel`.
    """
    ends = hertz_to_mel(np.array([f_min, f_max]), scale)
    edges = mel_to_hertz(ends[0] + (ends[1] - ends[0]) * np.arange(count + 2) / (count + 1), scale)
    bins = (np.arange(width) * (rate / (2 * (width - 1))))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights: Array = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        weights *= 2 / (edges[2:] - edges[:-2])
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=32)
def mel_and_inverse(
    count: int, rate: float, width: int, f_min: float, f_max: float, scale: MelScale, norm: MelNorm
) -> "tuple[BandedMatrix, BandedMatrix]":
    """Return the matrix [width, count] of `mel_filterbank` and its transpose, [count, width], as BandedMatrix.

    The arguments are those of `mel_filterbank`.
    """
    from dspgraph_nodes._kernels.maths.banded import to_banded

    matrix = mel_filterbank(count, rate, width, f_min, f_max, scale, norm)
    return to_banded(matrix), to_banded(matrix.T)


def hertz_to_mel(hertz: Array, scale: MelScale) -> Array:
    """Convert frequencies f in Hz, of any shape, to mel.

    scale="htk": 2595 * log10(1 + f / 700). scale="slaney": 3 * f / 200 up to 1 kHz, which is 15 mel, and above it 27
    mel for every factor of 6.4.
    """
    from dspgraph_nodes._kernels.maths.elementary import LN_10, log

    if scale == "htk":
        return 2595 / LN_10 * log(1 + hertz / 700)
    return np.where(hertz < 1000, hertz * 0.015, 15 + log(np.maximum(hertz, 1000) / 1000) * (27 / _LN_6_4))


def mel_to_hertz(mel: Array, scale: MelScale) -> Array:
    """Convert frequencies in mel, of any shape, to Hz: the inverse of `hertz_to_mel`."""
    from dspgraph_nodes._kernels.maths.elementary import LN_10, exp

    if scale == "htk":
        return 700 * (exp(mel * (LN_10 / 2595)) - 1)
    return np.where(mel < 15, mel / 0.015, 1000 * exp((np.maximum(mel, 15) - 15) * (_LN_6_4 / 27)))


def check_mel_bands(count: int, rate: float, width: int, f_min: float, f_max: float | None, scale: MelScale) -> None:
    """Raise ValueError unless the range of the bands is valid, they are not too many, and each contains a bin.

    width: the number of bins of the spectrum, of which there must be 2 or more; f_max: None means rate / 2. The other
    arguments are those of `mel_filterbank`. The message begins with the name of a parameter or input; the caller puts
    the name of the node and a dot before it.
    """
    top = f_max or rate / 2
    if width < 2:
        raise ValueError(f"spectrum is {width} wide; mel bands need 2 bins or more: raise n_fft")
    if top > rate / 2:
        raise ValueError(
            f"f_max is {top:g} Hz; samples at {rate:g} Hz have frequencies up to {rate / 2:g} Hz: lower it or fix rate"
        )
    if f_min >= top:
        raise ValueError(f"f_min is {f_min:g} Hz; it must be below f_max, {top:g} Hz: lower it")
    if count * width > _MOST_WEIGHTS:
        raise ValueError(
            f"bands is {count}; with {width} bins they have {count * width} weights, and {_MOST_WEIGHTS} are the most: "
            "take fewer bands, or a shorter n_fft"
        )
    # A weight below 1e-9 counts as 0: it is the rounding error at a bin exactly on the edge of a triangle.
    empty = np.flatnonzero(mel_filterbank(count, rate, width, f_min, top, scale, "none").max(axis=0) < 1e-9)
    if len(empty):
        raise ValueError(
            f"bands is {count}; band {empty[0]} lies between two of {width} bins and would always be 0: take "
            "fewer bands, or a longer n_fft"
        )
