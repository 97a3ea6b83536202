"""CheapTrick and D4C row by row: WORLD is given the samples around one row at a time.

Both read only a window around the time of a row. The noise that they add, so that no spectrum is 0, is a sequence of
random numbers that begins with each call of WORLD; in a call for a whole signal it goes on from row to row. So a row
differs from that of the whole signal as much as two rows with other noise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.foreign.world import VOICING_RATE

_D4C_LOWEST = 47.0  # Hz: a lower pitch counts as this in D4C
_TAPER = 128  # samples at both ends of a window that fade before it is resampled


def cheaptrick_reach(n_fft: int) -> int:
    """Return how many samples CheapTrick reads on each side of a row: one and a half of the longest period."""
    return n_fft // 2


def d4c_reach(rate: Fraction) -> int:
    """Return how many samples D4C reads on each side of a row: two and a quarter of the longest period.

    At rates below 15800 Hz the window is resampled, and has a taper at each end.
    """
    return math.ceil(2.25 * float(rate) / _D4C_LOWEST) + 2 + (_TAPER if rate < VOICING_RATE else 0)


@dataclass
class RowWindows:
    """The windows of samples around rows, cut from a signal that arrives in blocks.

    Row k is at the time k / frames + centre, in seconds; its window has `reach` samples on each side of the sample
    nearest to this time. Before the first sample and after the last one, these two are repeated, as in WORLD.

    rate: Hz; frames: rows per second; x: samples that are kept, from number `first` on; f0: rows that wait, from
    number `row` on; heard: whether a sample up to the end of the last window is not 0.
    """

    rate: Fraction
    frames: Fraction
    centre: Fraction
    reach: int
    x: Array
    f0: Array
    first: int = 0
    row: int = 0
    heard: bool = False

    def lookahead(self) -> Fraction:
        """Return how many seconds after the end of a row's span the last sample of its window comes."""
        return max(Fraction(0), self.centre - 1 / self.frames + Fraction(self.reach + 2) / self.rate)

    def push(self, x: Array, f0: Array, end: bool = False) -> Iterator[tuple[Array, Array, Array]]:
        """Take samples [n] and pitches [m]; yield (window, pitch [1], time of the row in the window in seconds [1]) for
        each row whose window is complete. At the end, windows that are not complete are filled up.
        """
        self.x = np.concatenate((self.x, x))
        self.f0 = np.concatenate((self.f0, f0))
        known = self.first + len(self.x)
        rows = math.ceil(known * self.frames / self.rate) if end else self.row + len(self.f0)
        while len(self.f0) and self.row < rows:
            place = (self.row / self.frames + self.centre) * self.rate
            middle = math.floor(place + Fraction(501, 1000))  # as in WORLD
            if (middle + self.reach >= known and not end) or not known:
                break
            places = np.clip(np.arange(middle - self.reach, middle + self.reach + 1), 0, known - 1)
            window = self.x[places - self.first].astype(np.float64)
            self.heard = self.heard or bool(self.x[: places[-1] + 1 - self.first].any())
            yield window, self.f0[:1], np.array([float((self.reach + place - middle) / self.rate)])
            self.f0, self.row = self.f0[1:], self.row + 1
            if (gone := min(middle - self.reach - self.first, len(self.x) - 1)) > 0:
                self.x, self.first = self.x[gone:], self.first + gone


def tapered(window: Array, rate: Fraction) -> Array:
    """Return a window for D4C: at rates at which D4C resamples it, its ends fade, so that they have no step there."""
    if rate >= VOICING_RATE:
        return window
    ramp = np.sin(np.pi / 2 * (np.arange(_TAPER) + 0.5) / _TAPER) ** 2
    found: Array = window * np.concatenate((ramp, np.ones(len(window) - 2 * _TAPER), ramp[::-1]))
    return found
