"""Distances of pitch and voicing."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from dspgraph.errors import NodeError, SignalError
from dspgraph.evaluation.metrics.definition import metric
from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.graph import Graph
from dspgraph.pipeline.pipeline import load
from dspgraph.pipeline.shipped import PITCH
from dspgraph.streams import Array

CENTS = 1200  # in an octave

_F0 = {"pipeline": PITCH, "rate_hz": 16000, "hop_s": 0.005, "lowest_hz": 60.0, "highest_hz": 400.0}


@metric("cents", "lower", _F0)
def log_f0_rmse(pair: Pair) -> float | None:
    """RMS difference of log pitch, over the frames in which both signals are voiced.

        1200 * sqrt(mean over t of log2(f0(t) / f0'(t))**2)

    The pipeline `f0` tracks the pitch every 5 ms; the signals are resampled to its rate, 16 kHz. None if no frame is
    voiced in both signals. The level of a signal can change the value: the tracker adds noise of a fixed level, and
    takes soft frames for unvoiced.

    Source: Deep learning-based expressive speech synthesis: a systematic review, EURASIP Journal on Audio, Speech, and
    Music Processing, 2024, doi:10.1186/s13636-024-00329-7, table 8 (RMSE; here of the logarithm).
    """
    x, y = pair.shared(f0)
    voiced = (x > 0) & (y > 0)
    if not voiced.any():
        return None
    return CENTS * math.sqrt(float((np.log2(x[voiced] / y[voiced]) ** 2).mean()))


@metric("%", "lower", _F0)
def voicing_error(pair: Pair) -> float | None:
    """Share of frames that are voiced in one signal and unvoiced in the other.

    Voicing is that of the pitch as for `log_f0_rmse`. The value stays the same if the signals are exchanged. None if
    the pitch cannot be tracked.

    Source: as for `log_f0_rmse`, table 8 (voice decision error).
    """
    x, y = pair.shared(f0)
    return 100 * float(((x > 0) != (y > 0)).mean()) if len(x) else None


def f0(pair: Pair) -> tuple[Array, Array]:
    """Return the pitch of both signals, [t] in Hz, 0 in unvoiced frames; two empty arrays if it cannot be tracked."""
    graph = _tracker()
    ((name, stream),) = graph.inputs.items()
    try:
        x, y = (next(iter(graph(**{name: one}).values()))[:, 0] for one in pair.at(int(stream.rate)))
    except (NodeError, SignalError):  # trackers refuse samples far beyond full scale
        return np.empty(0), np.empty(0)
    return x, y


@lru_cache(maxsize=1)
def _tracker() -> Graph:
    return load(PITCH)
