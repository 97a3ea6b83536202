"""Pitch-synchronous overlap-add (PSOLA): pitch marks at the periods of a voice, and grains moved to other distances."""

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

_SLACK = 0.2  # a mark lies at most so many periods beside the one before it plus a period
_UNVOICED = 0.005  # seconds between the marks of unvoiced sounds


class PitchMarks(NamedTuple):
    """The pitch marks of a signal: arrays with one element per mark.

    at: the index of the sample at which the mark is; period: the period around the mark, in samples; voiced: whether
    the signal is voiced there.
    """

    at: Array
    period: Array
    voiced: Array


def pitch_marks(x: Array, rate: float, periods: Array) -> PitchMarks:
    """Return the pitch marks of a signal: the largest peak of every period; evenly spaced where it is unvoiced.

    x: [n]; rate: Hz; periods: [n], the period in samples at each sample, 0 where unvoiced. Peaks are maxima of x or, if
    the largest magnitude of x is negative, of -x.
    """
    peaks = x if x.max(initial=0) >= -x.min(initial=0) else -x
    step = max(1, round(_UNVOICED * rate))
    at: list[int] = []
    lengths: list[float] = []
    voiced: list[bool] = []
    place, before = 0, False
    while place < len(x):
        period = float(periods[place])
        if period > 0:
            first = place - round(_SLACK * period) if before else place
            last = place + round((_SLACK if before else 1) * period)
            first = max(first, at[-1] + 1 if at else 0)
            span = peaks[first : max(last, first) + 1]
            place = first + int(span.argmax()) if len(span) else place
        at.append(place)
        lengths.append(period if period > 0 else float(step))
        voiced.append(period > 0)
        before = period > 0
        place += max(1, round(lengths[-1]))
    return PitchMarks(np.array(at), np.array(lengths), np.array(voiced))


def psola(x: Array, marks: PitchMarks, ratio: float) -> Array:
    """Return the signal with its pitch multiplied by `ratio`, [n] float64.

    A grain is x times a Hann window that reaches from one period before a mark to one period after it. Grains are added
    at new places: where the signal is voiced, one every period / ratio samples. There each grain is also divided by
    sqrt(ratio), so that the power stays the same. x: [n]; marks: from `pitch_marks`.
    """
    y = np.zeros(len(x))
    if not len(marks.at):
        return y
    between = (marks.at[:-1] + marks.at[1:]) / 2
    place = float(marks.at[0])
    while place < len(x):
        i = int(np.searchsorted(between, place))
        half = max(1, round(float(marks.period[i])))
        lags = np.arange(-half + 1, half)
        target, source = round(place) + lags, marks.at[i] + lags
        inside = (target >= 0) & (target < len(x)) & (source >= 0) & (source < len(x))
        window = 0.5 + 0.5 * np.cos(np.pi * lags[inside] / half)
        gain = 1 / np.sqrt(ratio) if marks.voiced[i] else 1.0
        y[target[inside]] += gain * window * x[source[inside]]
        place += max(1.0, float(marks.period[i]) / ratio) if marks.voiced[i] else float(half)
    return y
