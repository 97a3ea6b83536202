"""Change the sample rate of a signal, with soxr's high-quality filter ("HQ", 20 bits)."""

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
    """Yield blocks [n, channels] at another rate, `due` samples in all.

    The signal is followed by silence, `tail` samples at a time, until enough has come out. Where it is cut into blocks
    changes no sample.
    """
    converter = _converter(rate, to, channels)
    for block in chain(blocks, repeat(np.zeros((tail, channels)))):
        converted = converter.resample_chunk(np.ascontiguousarray(block))[:due]
        yield converted
        due -= len(converted)
        if due == 0:
            return


def resample_signal(x: Array, rate: Fraction, to: Fraction | int) -> Array:
    """Return x [n] at another rate: ceil(n to / rate) samples.

    Unlike `resample_blocks`, which files are read with, the converter is flushed, which can leave the last sample 0.
    The values of the published metric versions depend on it.
    """
    if rate == to or not len(x):
        return x
    due = math.ceil(len(x) * to / rate)
    converted = _converter(rate, to, 1).resample_chunk(x, last=True)[:due]
    return np.pad(converted, (0, due - len(converted)))


def _converter(rate: Fraction, to: Fraction | int, channels: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(float(rate), float(to), channels, dtype="float64", quality="HQ")
