"""Resampling: conversion to another sample rate, by soxr at its quality "HQ" (20 bits)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, repeat

import numpy as np
import soxr

from dspgraph.streams import Array


def resample_blocks(
    blocks: Iterable[Array], rate: Fraction, to: Fraction, channels: int, due: int, tail: int
) -> Iterator[Array]:
    """Yield a signal at the rate `to`, in blocks [n, channels] that together have `due` samples per channel.

    blocks: [n, channels] float64, the signal at `rate`. rate, to: in Hz. After the signal, blocks of `tail` zeros (1 or
    more) are resampled until `due` samples have come out. Further samples of the signal are left out. The blocks that
    are yielded can be empty. The samples do not depend on the sizes of the blocks.
    """
    converter = _converter(rate, to, channels)
    for block in chain(blocks, repeat(np.zeros((tail, channels)))):
        converted = converter.resample_chunk(np.ascontiguousarray(block))[:due]
        yield converted
        due -= len(converted)
        if due == 0:
            return


def resample_signal(x: Array, rate: Fraction, to: Fraction | int) -> Array:
    """Return a signal at the rate `to`: ceil(n * to / rate) samples. Rates are in Hz.

    x: [n] float64, the signal at `rate`; if the rates are equal or x is empty, the result is x itself. The last samples
    differ from those of `resample_blocks`: no zeros are resampled after the signal, and the last sample can be 0.
    Metrics use this function. If you change it, their values change, and these metrics need new version numbers.
    """
    if rate == to or not len(x):
        return x
    due = math.ceil(len(x) * to / rate)
    converted = _converter(rate, to, 1).resample_chunk(x, last=True)[:due]
    return np.pad(converted, (0, due - len(converted)))


def _converter(rate: Fraction, to: Fraction | int, channels: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(float(rate), float(to), channels, dtype="float64", quality="HQ")


def quick_converter(rate: Fraction, to: Fraction, channels: int) -> soxr.ResampleStream:
    """Return a converter from the rate `rate` to the rate `to` that delays the signal by only 12 to 30 ms.

    rate, to: in Hz. `resample_chunk` of the converter takes and returns blocks [n, channels] of float64. It is soxr's
    converter for variable rates. Live graphs use it, because the converter of `resample_blocks` computes by FFT, and
    delays by 35 to 120 ms. The samples do not depend on the sizes of the blocks.
    """
    return soxr.ResampleStream(float(rate), float(to), channels, dtype="float64", quality="HQ", vr=True)
