"""CheapTrick and D4C row by row: WORLD is given the samples around one row at a time.

Both read only a window around the time of a row. They add noise, so that no spectrum is 0. The random numbers of the
noise begin anew with each call of WORLD, while in one call for a whole signal they go on from row to row. So a row
computed alone differs from the same row of one call for the whole signal, by the effect of other noise.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.foreign.world import VOICING_RATE, check_pitches, check_samples

_D4C_LOWEST = 47.0  # Hz: a lower pitch counts as this in D4C
_TAPER = 128  # samples at both ends of a window that fade before it is resampled


def cheaptrick_reach(n_fft: int) -> int:
    """Return how many samples CheapTrick reads on each side of the time of a row, at most: half its FFT length."""
    return n_fft // 2


def d4c_reach(rate: Fraction) -> int:
    """Return how many samples D4C reads on each side of the time of a row, at most: 2.25 periods of 47 Hz, plus 2.

    At rates below 15800 Hz, 128 more are added on each side: `tapered` fades the window to 0 there.
    rate: the sampling rate, Hz.
    """
    return math.ceil(2.25 * float(rate) / _D4C_LOWEST) + 2 + (_TAPER if rate < VOICING_RATE else 0)


@dataclass
class RowWindows:
    """The windows of samples around rows, cut from a signal that arrives in blocks.

    Row k is at the time k / frames + centre, in seconds; its window has `reach` samples on each side of the sample
    nearest to this time. Beyond the ends of the signal, its first and its last sample are repeated, as in WORLD.

    rate: Hz; frames: rows per second; x: the samples that are kept, from sample number `first` on; f0: the pitch, in
    Hz, of the rows that wait for samples, from row number `row` on; both are empty at first; heard: whether any sample
    up to the end of the newest window was not 0.
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
        """Return the most seconds from the end of a row's span to the end of its window; 0 if the window ends earlier.

        The rounding of a row's time to a sample is allowed for.
        """
        return max(Fraction(0), self.centre - 1 / self.frames + Fraction(self.reach + 2) / self.rate)

    def push(self, x: Array, f0: Array, end: bool = False) -> Iterator[tuple[Array, Array, Array]]:
        """Add samples x [n] and pitches f0 [m], Hz; yield (window, pitch, time) for each row whose window is complete.

        window: [2 * reach + 1] float64; pitch: [1], Hz; time: [1], that of the row in seconds after the first sample of
        the window. end: whether the signal ends here; then windows that are not complete are filled up, and rows that
        begin at the end of the signal or later are not yielded. This is a generator: nothing is added or checked before
        the first `next`, and it must be run to its end. Raises ValueError for a sample or a pitch that WORLD does not
        take, with its number in the whole signal.
        """
        check_samples(x, self.first + len(self.x))
        check_pitches(f0, self.rate, self.row + len(self.f0))
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

    def analysed(
        self, x: Array, f0: Array, end: bool, bins: int, analyse: Callable[[Array, Array, Array], Array]
    ) -> Array:
        """Return `analyse(window, pitch, time)` of each row that `push` yields, as rows [n, bins].

        analyse: a function that returns [1, bins]. x, f0, end: as for `push`.
        """
        rows = [np.zeros((0, bins))]
        rows.extend(analyse(*one) for one in self.push(x, f0, end))
        return np.concatenate(rows)


def tapered(window: Array, rate: Fraction) -> Array:
    """Return a window of samples [n] for D4C. If D4C resamples it, the 128 samples at each end fade to 0.

    rate: Hz; D4C resamples at rates below VOICING_RATE. There n must be 256 or more.
    """
    if rate >= VOICING_RATE:
        return window
    ramp = np.sin(np.pi / 2 * (np.arange(_TAPER) + 0.5) / _TAPER) ** 2
    found: Array = window * np.concatenate((ramp, np.ones(len(window) - 2 * _TAPER), ramp[::-1]))
    return found
