"""Metrics that model how people hear. They are computed by other packages."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dspgraph.evaluation.metrics.definition import metric
from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.streams import Array

PESQ_LONGEST = 15.0  # seconds
STOI_LONGEST = 60.0  # seconds
STOI_SHORTEST = 0.41  # seconds: 30 frames of 25.6 ms with a hop of 12.8 ms, and one hop more
STOI_RATE = 16000


@metric("MOS-LQO", "higher", {"package": "pesq", "mode": "wb at 16000 Hz; nb at 8000 Hz for rates below 16000",
                               "longest_s": PESQ_LONGEST}, package="pesq")  # fmt: skip
def pesq(pair: Pair) -> float | None:
    """Perceptual evaluation of speech quality, from 1 to 4.64 (wide band) or 4.55 (narrow band).

    Signals with a rate of 16 kHz or more are measured in wide band, resampled to 16 kHz; others in narrow band,
    resampled to 8 kHz. A signal over 15 s is cut into equal pieces of at most 15 s, and the value is the mean over the
    pieces. The reason: ITU-T's code has memory for 50 utterances, and writes outside of it if there are more. An
    utterance with its pause lasts at least 0.4 s, so 15 s contain fewer than 50. None for signals below a
    quarter of a second, and if in any piece a signal is silent, or ITU-T's code finds no utterance or computes NaN.

    Source: Recommendations ITU-T P.862, P.862.1 and P.862.2; the code is ITU-T's, called through the package pesq.
    """
    from pesq import BufferTooShortError, NoUtterancesError
    from pesq import pesq as of

    rate, mode = (16000, "wb") if pair.rate >= 16000 else (8000, "nb")
    found = []
    for x, y in _pieces(*pair.at(rate), PESQ_LONGEST * rate):
        if not (x.any() and y.any()):
            return None
        try:
            found.append(of(rate, x, y, mode))
        except (BufferTooShortError, NoUtterancesError, ValueError):  # ValueError: the result is NaN
            return None
    return float(np.mean(found))


@metric("", "higher", {"package": "pystoi", "extended": False, "rate_hz": STOI_RATE, "longest_s": STOI_LONGEST},
         package="pystoi")  # fmt: skip
def stoi(pair: Pair) -> float | None:
    """Short-time objective intelligibility, at most 1.

    Both signals are resampled to 16 kHz. A signal over a minute is cut into equal pieces of at most a minute, and the
    value is the mean over the pieces. None if either signal is silent in a piece, if the signals are shorter than 0.41
    s, and if the reference has less than about 0.4 s of sound in a piece: pystoi leaves out silent frames.

    Source: C. H. Taal, R. C. Hendriks, R. Heusdens and J. Jensen, An algorithm for intelligibility prediction of
    time-frequency weighted noisy speech, IEEE Transactions on Audio, Speech, and Language Processing 19(7), 2011;
    the code is that of the package pystoi.
    """
    import warnings

    from pystoi import stoi as of

    found = []
    for x, y in _pieces(*pair.at(STOI_RATE), STOI_LONGEST * STOI_RATE):
        if not (x.any() and y.any()) or len(x) < STOI_SHORTEST * STOI_RATE:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found.append(of(x, y, STOI_RATE, extended=False))
        except RuntimeWarning:  # too few frames are not silent
            return None
    return float(np.mean(found))


def _pieces(x: Array, y: Array, longest: float) -> Iterator[tuple[Array, Array]]:
    """Yield the pieces of x and y, both [n] and not empty, cut at the same samples.

    There are as few pieces as possible with at most `longest` samples each. Their lengths differ by one sample at most.
    """
    count = math.ceil(len(x) / longest)
    yield from zip(np.array_split(x, count), np.array_split(y, count), strict=True)
