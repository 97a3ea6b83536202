"""Pitch-synchronous overlap-add (PSOLA): pitch marks at the periods of a voice, and grains moved to other distances."""

import math
from dataclasses import dataclass, field

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

_SLACK = 0.2  # a mark lies at most so many periods before or after the place one period after the last mark
_UNVOICED = 0.005  # seconds between the marks of unvoiced sounds


def unvoiced_step(rate: float) -> int:
    """Return the distance of the marks of unvoiced sounds, in samples. rate: Hz."""
    return max(1, round(_UNVOICED * rate))


def samples_beyond(rate: float, longest: float) -> int:
    """Return how many input samples after sample n must be known before sample n of the output can be computed.

    This is about 3.5 * p, where p is the longest period, or the distance of marks without voice if that is longer. The
    middle of a grain that changes sample n lies at most p after n. The mark nearest to this middle can lie another p
    later, at the beginning of a voiced sound. To know that no other mark is nearer, the next mark must be found, which
    needs the samples up to 1.5 * p after the nearest mark. rate: Hz; longest: the longest period, in samples.
    """
    return math.ceil(3.5 * max(longest, unvoiced_step(rate))) + 8


@dataclass
class PsolaSignal:
    """The state of PSOLA for a signal that arrives in blocks: samples, marks, and the sum of the grains.

    `push` takes samples of the input and returns the samples of the output that are determined by then. The output has
    the pitch of the input times `ratio`. Marks: the largest peak of every period, from 0.8 to 1.2 periods after the
    mark before it, or within a period at the beginning of a voiced sound; every 5 ms where the signal is unvoiced.
    Peaks are maxima of x or, if the sample of the largest magnitude up to the end of the search is negative, of -x.

    A grain is x times a Hann window that reaches from one period before a mark to one period after it. Grains are added
    to the output every period / ratio samples where the signal is voiced, and every 5 ms elsewhere. At each of these
    samples, the grain of the nearest mark is added. In voiced sounds it is divided by sqrt(ratio), so that the power
    stays the same.

    rate: Hz; longest: the longest period, in samples. Several channels have the same marks, those of the channel with
    the largest magnitude.
    """

    rate: float
    ratio: float
    longest: float
    channels: int = 1
    first: int = 0  # the number of the first sample that is kept
    periods: Array = field(default_factory=lambda: np.zeros(0))  # the period at each sample from `first` on
    given: int = 0  # how many samples of the output were returned
    seen: int = 0  # up to which sample the two extremes are known
    marks: list[tuple[int, float, bool]] = field(default_factory=list)  # sample, period in samples, whether voiced
    search: int = 0  # where the search for the next mark begins
    place: float | None = None  # the output sample in the middle of the next grain; None before the first grain

    def __post_init__(self) -> None:
        self.x = self.y = np.zeros((0, self.channels))  # from the samples `first` and `given` on
        self.low = self.high = np.zeros(self.channels)  # the extremes of each channel, up to the sample `seen`

    def push(self, x: Array, periods: Array, end: bool = False) -> Array:
        """Add samples x [n, channels]; return the output samples, [m, channels], that are now determined.

        periods: [k], the period at each of the next k samples of the input, in samples, at most `longest`, 0 where
        unvoiced. Periods may come later than their samples; at the end every sample must have one. end: whether the
        signal ends here.
        """
        self.x = np.concatenate((self.x, x))
        self.periods = np.concatenate((self.periods, periods))
        self._mark(end)
        self._lay(end)
        known = self.first + len(self.x)
        if not end:
            place = self.search if self.place is None else self.place
            known = min(known, math.floor(place) - math.ceil(max(self.longest, unvoiced_step(self.rate))))
        count = max(0, known - self.given)
        found = np.zeros((count, self.channels))
        there = min(count, len(self.y))
        found[:there] = self.y[:there]
        self.y, self.given = self.y[there:], self.given + count
        self._forget()
        return found

    def _mark(self, end: bool) -> None:
        """Find all marks whose search ends no later than the last sample with a known period; append them to `marks`.

        end: whether the signal ends here; then all marks are found.
        """
        known = self.first + min(len(self.x), len(self.periods))
        while self.search < known:
            period = float(self.periods[self.search - self.first])
            place = self.search
            if period > 0:
                voiced = bool(self.marks) and self.marks[-1][2]
                begin = place - round(_SLACK * period) if voiced else place
                last = place + round((_SLACK if voiced else 1) * period)
                if last >= known and not end:
                    return
                begin = max(begin, self.marks[-1][0] + 1 if self.marks else 0)
                span = self.x[begin - self.first : max(last, begin) + 1 - self.first]
                if len(span):
                    channel, sign = self._largest(begin + len(span))
                    place = begin + int((sign * span[:, channel]).argmax())
            else:
                self._largest(place + 1)  # so that no sample must be kept for it
            length = period if period > 0 else float(unvoiced_step(self.rate))
            self.marks.append((place, length, period > 0))
            self.search = place + max(1, round(length))

    def _largest(self, upto: int) -> tuple[int, float]:
        """Return (channel, sign) of the largest magnitude of the whole signal before sample number `upto`.

        sign: 1.0 or -1.0. The extremes `low` and `high`, and `seen`, are updated.
        """
        part = self.x[max(0, self.seen - self.first) : upto - self.first]
        self.low, self.high = (np.minimum(self.low, part.min(axis=0, initial=0)),
                               np.maximum(self.high, part.max(axis=0, initial=0)))  # fmt: skip
        self.seen = max(self.seen, upto)
        channel = int(np.argmax(np.maximum(self.high, -self.low)))
        return channel, 1.0 if self.high[channel] >= -self.low[channel] else -1.0

    def _lay(self, end: bool) -> None:
        """Add to the output all grains whose mark and samples are known.

        end: whether the signal ends here; then all grains are added.
        """
        known = self.first + len(self.x)
        while self.marks:
            if self.place is None:
                self.place = float(self.marks[0][0])
            while len(self.marks) > 1 and (self.marks[0][0] + self.marks[1][0]) / 2 < self.place:
                del self.marks[0]
            at, period, voiced = self.marks[0]
            half = max(1, round(period))
            if (self.place >= known) if end else (len(self.marks) == 1 or at + half > known):
                return
            self._add(at, half, 1 / math.sqrt(self.ratio) if voiced else 1.0)
            self.place += max(1.0, period / self.ratio) if voiced else float(half)

    def _add(self, at: int, half: int, gain: float) -> None:
        """Add a grain, multiplied by `gain`, to the output, with its middle at sample `place` of the output.

        at: the mark of the grain, a sample of the input; half: how many samples the grain reaches before and after it.
        """
        assert self.place is not None
        lags = np.arange(-half + 1, half)
        target, source = round(self.place) + lags - self.given, at + lags - self.first
        if (more := int(target[-1]) + 1 - len(self.y)) > 0:
            self.y = np.concatenate((self.y, np.zeros((more, self.channels))))
        inside = (target >= 0) & (source >= 0) & (source < len(self.x))
        window = 0.5 + 0.5 * np.cos(np.pi * lags[inside] / half)
        self.y[target[inside]] += (gain * window)[:, None] * self.x[source[inside]]

    def _forget(self) -> None:
        """Drop samples that neither a grain nor a search needs any more."""
        longest = math.ceil(max(self.longest, unvoiced_step(self.rate)))
        nearest = min(self.marks[0][0] if self.marks else self.search, self.search - longest)
        oldest = min(nearest - longest, self.seen)
        if (gone := min(oldest - self.first, len(self.periods))) > 0:
            self.x, self.periods, self.first = self.x[gone:].copy(), self.periods[gone:].copy(), self.first + gone


@dataclass
class NearestRows:
    """A buffer of rows with one value each, which returns for every sample the value of the row nearest in time.

    rate: samples per second; frames: rows per second; centre: the time of row 0 in seconds; held: the values that are
    kept, [m].
    """

    rate: float
    frames: float
    centre: float
    held: Array
    first: int = 0  # the number of the first row that is kept
    samples: int = 0  # how many samples there are so far
    given: int = 0  # for how many samples a value was returned

    def push(self, count: int, rows: Array, end: bool = False) -> Array:
        """Add m rows; return the values of the nearest rows for the next samples, [n], as far as they are known.

        count: how many more samples there are now; rows: [m], one value per row; end: whether no more rows come; then
        the last row is the nearest to all samples after it.
        """
        self.held = np.concatenate((self.held, rows))
        self.samples += count
        times = np.arange(self.given, self.samples) / self.rate - self.centre
        nearest = np.maximum(np.floor(times * self.frames + 0.5).astype(np.int64), 0) - self.first
        if not end:
            nearest = nearest[nearest < len(self.held)]
        found: Array = self.held[np.minimum(nearest, len(self.held) - 1)]
        self.given += len(found)
        if len(nearest) and (gone := int(min(nearest[-1], len(self.held) - 1))) > 0:
            self.held, self.first = self.held[gone:].copy(), self.first + gone
        return found
