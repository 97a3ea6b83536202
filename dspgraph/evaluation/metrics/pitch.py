"""Metrics of pitch and voicing."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from dspgraph.errors import NodeError, RequestError, SignalError
from dspgraph.evaluation.metrics.definition import F0_RANGE_SETTING, NoValue, metric
from dspgraph.evaluation.metrics.pair import F0_RANGE, Pair
from dspgraph.graph import Graph
from dspgraph.io.resampling import resample_signal
from dspgraph.pipeline.pipeline import load
from dspgraph.pipeline.shipped import PITCH, PITCH_SWAP
from dspgraph.streams import Array

CENTS = 1200  # in an octave

F0_LIMITS = (30.0, 1200.0)
"""The widest range of pitch that a user can choose, in Hz."""

F0_SEARCHED = (25.0, 1400.0)
"""The range in which the pitch is tracked, in Hz. It does not depend on the range that the user chooses."""

MOST_BEYOND = 0.1
"""At most this share of the voiced frames of a signal may have a pitch at or beyond an end of the range."""

_F0: dict[str, Any] = {
    "pipeline": PITCH,
    "variant": dict(PITCH_SWAP),
    "rate_hz": 16000,
    "hop_s": 0.005,
    F0_RANGE_SETTING: list(F0_RANGE),
    "most_beyond": MOST_BEYOND,
}


@metric("cents", "lower", _F0, own_version="2")
def log_f0_rmse(pair: Pair) -> float | None:
    """RMS difference of log pitch, over the frames in which both signals are voiced.

        1200 * sqrt(mean over t of log2(f0(t) / f0'(t))**2)

    The pipeline `f0` with the tracker SWIPE' tracks the pitch every 5 ms; the signals are resampled to its rate, 16
    kHz. A frame is voiced if its pitch lies inside the range `f0_range` of the pair, not at an end; the range is 40 to
    1000 Hz if no other is given. Raises NoValue if no frame is voiced in both signals, if the pitch cannot be tracked,
    or if the range is wrong for the voice: if in either signal more than a tenth of the frames with a pitch have it at
    or beyond an end of the range. The level of a signal changes nothing. Tests found no octave errors in three vowels
    at every semitone from 45 to 809 Hz, in eight vowels at every quarter tone up to 500 Hz, and in speech that was
    band-limited to 300 to 3400 Hz.

    Source: Deep learning-based expressive speech synthesis: a systematic review, EURASIP Journal on Audio, Speech, and
    Music Processing, 2024, doi:10.1186/s13636-024-00329-7, table 8 (RMSE; here of the logarithm).
    """
    x, y = _f0(pair)
    voiced = (x > 0) & (y > 0)
    if not voiced.any():
        low, high = pair.f0_range
        raise NoValue(f"no frame has a pitch between {low:g} and {high:g} Hz in both signals")
    return CENTS * math.sqrt(float((np.log2(x[voiced] / y[voiced]) ** 2).mean()))


@metric("%", "lower", _F0, own_version="2")
def voicing_error(pair: Pair) -> float | None:
    """Share of frames that are voiced in one signal and unvoiced in the other.

        100 * (number of t with voicing(t) != voicing'(t)) / (number of t)

    Pitch, range and voicing are those of `log_f0_rmse`. The value stays the same if the signals are exchanged. Raises
    NoValue if the range is wrong for the voice, as for `log_f0_rmse`, or if the pitch cannot be tracked.

    Source: as for `log_f0_rmse`, table 8 (voice decision error).
    """
    x, y = _f0(pair)
    return 100 * float(((x > 0) != (y > 0)).mean())


def check_f0_range(f0_range: tuple[float, float]) -> None:
    """Raise RequestError unless a range of pitch lies within F0_LIMITS and spans at least half an octave.

    f0_range: lowest and highest pitch, Hz.
    """
    (low, high), (least, most) = f0_range, F0_LIMITS
    if not (least <= low <= high / math.sqrt(2) and high <= most):
        raise RequestError(
            f"the range of the pitch is {low:g} to {high:g} Hz; it must lie between {least:g} and {most:g} Hz and span "
            f"half an octave: take {F0_RANGE[0]:g} to {F0_RANGE[1]:g} Hz"
        )


def _f0(pair: Pair) -> tuple[Array, Array]:
    """Return the pitch of the reference and of the degraded signal, each [t] in Hz, one value every 5 ms.

    The pitch is 0 in unvoiced frames, and where it is not inside the range of the pair. Raises NoValue if the pitch
    cannot be tracked, or if the range is wrong for the voice.
    """
    x, y, reason = pair.shared(_track)
    if reason:
        raise NoValue(reason)
    return x, y


def _track(pair: Pair) -> tuple[Array, Array, str]:
    """Return (pitch of the reference, pitch of the degraded signal, reason why they cannot be compared or "").

    Pitch: [t] in Hz, 0 in unvoiced frames and where the pitch is not inside the range; empty if there is a reason. The
    pitch is tracked also outside the range, so that a voice outside the range gives a reason, and is not taken for an
    unvoiced signal.
    """
    low, high = pair.f0_range
    graph = _tracker()
    ((name, stream),) = graph.inputs.items()
    try:
        tracks = [next(iter(graph(**{name: one}).values()))[:, 0] for one in pair.at(int(stream.rate))]
    except (NodeError, SignalError) as error:  # trackers refuse samples far beyond full scale
        return np.empty(0), np.empty(0), f"the pitch cannot be tracked: {error}"
    for what, track in zip(("reference", "degraded signal"), tracks, strict=True):
        beyond = (track > 0) & ((track <= low) | (track >= high))
        share = float(beyond.sum() / max(1, np.count_nonzero(track)))
        if share > MOST_BEYOND:
            reason = (
                f"the range of the pitch, {low:g} to {high:g} Hz, cannot hold the voice of the {what}: in "
                f"{100 * share:.0f} % of its voiced frames the pitch lies at or beyond an end, about "
                f"{np.median(track[beyond]):.0f} Hz: give another range (--f0-range, f0_range)"
            )
            return np.empty(0), np.empty(0), reason
    x, y = (np.where((one > low) & (one < high), one, 0.0) for one in tracks)
    return x, y, ""


def pitch_track(samples: Array, rate: int) -> tuple[float, Array]:
    """Return (hop in seconds, pitch of each frame in Hz), for a picture.

    samples: float64 [n], full scale +-1. rate: Hz. The pitch is tracked as for the metric `log_f0_rmse`. It is 0 in
    unvoiced frames, and where it is not inside F0_RANGE. The array is empty if the tracking fails.
    """
    graph = _tracker()
    ((name, stream),) = graph.inputs.items()
    try:
        track = next(iter(graph(**{name: resample_signal(samples, Fraction(rate), int(stream.rate))}).values()))[:, 0]
    except (NodeError, SignalError):
        return _F0["hop_s"], np.empty(0)
    low, high = F0_RANGE
    return _F0["hop_s"], np.where((track > low) & (track < high), track, 0.0)


@lru_cache(maxsize=1)
def _tracker() -> Graph:
    low, high = F0_SEARCHED
    return load(PITCH, [f"f0_min={low:g}", f"f0_max={high:g}"], PITCH_SWAP)
