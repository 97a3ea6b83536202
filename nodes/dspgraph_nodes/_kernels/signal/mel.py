"""Mel filter banks."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.maths.banded import Bands

Array = NDArray[Any]

Scale = Literal["slaney", "htk"]
Norm = Literal["slaney", "none"]

LN_10 = 2.302585092994046
LN_6_4 = 1.8562979903656263


@lru_cache(maxsize=32)
def filterbank(count: int, rate: float, width: int, f_min: float, f_max: float, scale: Scale, norm: Norm) -> Array:
    """Triangles [width, count] over the bins of spectra: the centres and edges are equally spaced in mel.

    Each rises from its neighbour's centre to 1 at its own and falls to the next one's, in Hz. "slaney" divides it by
    half its width in Hz, so that its area is 1.

    Source: librosa reference, `librosa.filters.mel` and `librosa.hz_to_mel`.
    """
    ends = mel_of(np.array([f_min, f_max]), scale)
    edges = hertz_of(ends[0] + (ends[1] - ends[0]) * np.arange(count + 2) / (count + 1), scale)
    bins = (np.arange(width) * (rate / (2 * (width - 1))))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights: Array = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        weights *= 2 / (edges[2:] - edges[:-2])
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=32)
def both_ways(
    count: int, rate: float, width: int, f_min: float, f_max: float, scale: Scale, norm: Norm
) -> "tuple[Bands, Bands]":
    """The filter bank [width, count] and its transpose."""
    from dspgraph_nodes._kernels.maths.banded import bands

    matrix = filterbank(count, rate, width, f_min, f_max, scale, norm)
    return bands(matrix), bands(matrix.T)


def mel_of(hertz: Array, scale: Scale) -> Array:
    """Mel from Hz. htk: 2595 log10(1 + f / 700); slaney: 3 f / 200 below 1 kHz, then 27 steps to a factor of 6.4."""
    from dspgraph_nodes._kernels.maths.elementary import log

    if scale == "htk":
        return 2595 / LN_10 * log(1 + hertz / 700)
    return np.where(hertz < 1000, hertz * 0.015, 15 + log(np.maximum(hertz, 1000) / 1000) * (27 / LN_6_4))


def hertz_of(mel: Array, scale: Scale) -> Array:
    """Hz from mel."""
    from dspgraph_nodes._kernels.maths.elementary import exp

    if scale == "htk":
        return 700 * (exp(mel * (LN_10 / 2595)) - 1)
    return np.where(mel < 15, mel / 0.015, 1000 * exp((np.maximum(mel, 15) - 15) * (LN_6_4 / 27)))


def check(count: int, rate: float, width: int, f_min: float, f_max: float | None, scale: Scale) -> None:
    """Raise ValueError where there is no such filter bank."""
    top = f_max or rate / 2
    if width < 2:
        raise ValueError(f"spectrum is {width} wide; bands are made of 2 bins or more: raise n_fft")
    if top > rate / 2:
        raise ValueError(
            f"f_max is {top:g} Hz; samples at {rate:g} Hz reach to {rate / 2:g}: lower it or give their rate"
        )
    if f_min >= top:
        raise ValueError(f"f_min is {f_min:g} Hz; it lies below f_max, {top:g} Hz: lower it")
    # A bin on the very edge of a triangle does not count: what it has of it is rounding.
    empty = np.flatnonzero(filterbank(count, rate, width, f_min, top, scale, "none").max(axis=0) < 1e-9)
    if len(empty):
        raise ValueError(
            f"bands is {count}; band {empty[0]} lies between two of {width} bins and would always be 0: take "
            "fewer bands, or a longer n_fft"
        )
