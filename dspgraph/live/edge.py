"""The conversion between the sample rate of a graph and that of a device."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from dspgraph.engine.plan import Queue
from dspgraph.errors import LawError
from dspgraph.io.resampling import quick_converter
from dspgraph.streams import Array

_SPARE = 64
"""Samples by which the output of a converter is delayed more than was measured."""


class DeviceEdge:
    """A queue of samples that enter at one rate and leave at another, with a fixed delay.

    rate: the rate in Hz of the samples that enter. to: the rate in Hz of the samples that leave. channels: the number
    of channels. The attribute `lateness` is the delay, as a number of samples at the rate `to`; it is 0 if the rates
    are equal.
    """

    def __init__(self, rate: Fraction, to: Fraction, channels: int) -> None:
        self.ratio = to / rate
        self._line = Queue()
        self._converter = None if rate == to else quick_converter(rate, to, channels)
        self.lateness = 0 if self._converter is None else _deficit(rate, to, channels) + _SPARE
        if self.lateness:
            self._line.put(np.zeros((self.lateness, channels)))

    def put(self, block: Array) -> None:
        """Append a block of samples, [n, channels], at the rate of the samples that enter.

        If the rates are equal, the block is not copied.
        """
        if len(block):
            converted = block
            if self._converter is not None:
                converted = self._converter.resample_chunk(np.ascontiguousarray(block, np.float64))
            if len(converted):
                self._line.put(converted)

    def take(self, n: int) -> Array:
        """Remove and return the next n samples, [n, channels], n > 0, at the rate of the samples that leave.

        Raises LawError if there are fewer.
        """
        if n > self._line.held:
            raise LawError(3, f"the edge of a device has {self._line.held} samples, and {n} are due")
        return self._line.take(n)


def _deficit(rate: Fraction, to: Fraction, channels: int) -> int:
    """Return by how many samples, at most, the output of a converter is behind its input in the first two seconds.

    The samples are counted at the rate `to`, after each block of 10 ms of input, and rounded up. The arguments are
    those of `quick_converter`.
    """
    samples = math.ceil(rate / 100)
    probe, block = quick_converter(rate, to, channels), np.zeros((samples, channels))
    given = came = worst = 0
    for _ in range(200):
        came += len(probe.resample_chunk(block))
        given += samples
        worst = max(worst, int(given * to / rate) + 1 - came)
    return worst
