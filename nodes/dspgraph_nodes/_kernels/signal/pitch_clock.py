"""A phase that follows a pitch contour, counted in integers, so that it neither drifts nor depends on the cut."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

LARGEST_TERM = 1 << 31
"""Limit of both terms of the fraction (rows per second) / rate: products with the length of a block fit in 64 bits."""

_TURN = 2.0**53  # steps of the phase in a cycle before they are shifted to 64 bits


ClockedSource: TypeAlias = Callable[[Array, Array], Array]
"""A function of pitch and phase, [m] each, that returns m samples.

The pitch is in Hz; the phase is uint64, in units of 2**-64 cycles.
"""


@dataclass
class PitchClock:
    """The state of a source that follows a pitch: the phase at the next sample, and the rows that samples still need.

    rate: the sampling rate, Hz; ratio: (rows, samples), the smallest whole numbers of rows and of samples that last
    equally long; dtype: of the samples; f0: the rows that are still needed; phase: the phase at the next sample, in
    units of 2**-64 cycles; rows: how many rows were received so far; samples: how many samples were returned so far.
    """

    rate: float
    ratio: tuple[int, int]  # whole numbers of rows and of samples that last equally long, in lowest terms
    dtype: np.dtype[Any]
    f0: Array  # [n], float64, from the row in which the next sample begins
    phase: int = 0
    rows: int = 0  # rows received so far
    samples: int = 0  # samples returned so far

    def step(self, f0: Array, source: ClockedSource) -> Array:
        """Add rows of pitch [n] in Hz; return the samples, [m], that end no later than these rows.

        A sample that begins in these rows and ends after them is returned by the next call, or by `flush`. A sample has
        the pitch of the row in which it begins; where the pitch is not above 0 it counts as 0, and the phase stands
        still. source: computes the samples. Raises ValueError that names the first row above half the rate.
        """
        high = f0 > self.rate / 2
        if high.any():
            at = int(high.argmax())
            raise ValueError(
                f"a pitch at {self.rate:.10g} samples per second is at most {self.rate / 2:g} Hz; row "
                f"{self.rows + at} has {float(f0[at]):g} Hz"
            )
        self.f0 = np.concatenate((self.f0, np.where(f0 > 0, f0, 0).astype(np.float64)))
        self.rows += len(f0)
        rows, samples = self.ratio
        return source(*self._until(self.rows * samples // rows)).astype(self.dtype, copy=False)

    def flush(self, source: ClockedSource) -> Array:
        """Return the samples that begin before the end of the last row and have not been returned yet, [m].

        source: as in `step`.
        """
        rows, samples = self.ratio
        return source(*self._until(-(-self.rows * samples // rows))).astype(self.dtype, copy=False)

    def _until(self, until: int) -> tuple[Array, Array]:
        """Return (pitch, phase) of the samples not returned yet before number `until`, [m] each; move on to `until`.

        pitch: Hz, float64; phase: uint64, in units of 2**-64 cycles.
        """
        rows, samples = self.ratio
        first, part = divmod(self.samples * rows, samples)
        owners = (part + np.arange(until - self.samples) * rows) // samples
        pitch = self.f0[owners] if len(owners) else self.f0[:0]
        steps = np.floor(pitch * (_TURN / self.rate)).astype(np.uint64) << np.uint64(11)
        phase = np.cumsum(np.concatenate((np.array([self.phase], np.uint64), steps)))  # the sums wrap around at a turn
        self.phase = int(phase[-1])
        self.f0 = self.f0[until * rows // samples - first :]
        self.samples = until
        return pitch, phase[:-1]


def clock_start(rate: Fraction, f0: Any) -> PitchClock:
    """Return a clock before the first row. rate: samples per second; f0: the stream of the pitch."""
    return PitchClock(float(rate), (f0.rate / rate).as_integer_ratio(), f0.dtype, np.empty(0))


def clock_fault(name: str, rate: Fraction, f0: Any) -> str:
    """Return why a `PitchClock` cannot be used: the ratio of the rates, or several columns of pitch; "" if it can.

    name: the name of the node; rate: samples per second; f0: the stream of the pitch.
    """
    if f0.width != 1:
        return f"{name} takes one pitch per frame; found {f0}"
    if max((f0.rate / rate).as_integer_ratio()) > LARGEST_TERM:
        return (
            f"{name}.rate is {float(rate)!r}, {rate / f0.rate} samples for every frame of {f0}: this ratio has too "
            f"many digits; take {round(rate)}"
        )
    return ""


def turns(phase: Array) -> Array:
    """Convert phases from units of 2**-64 cycles to cycles, [n] float64, from 0 to below 1. phase: [n] uint64."""
    whole: Array = (phase >> np.uint64(11)).astype(np.float64) / _TURN
    return whole
