"""Metrics: how far a degraded signal is from its reference.

`measure` takes two arrays, `score` two files. A metric is a function of a `Pair`; the decorator `metric` turns the
function into a `Measure`. METRICS contains all metrics whose packages are installed, by name. A value is None if there
is nothing to measure (silence, no common voiced frame, a signal that is too short); it is never NaN or infinite.
`evaluate` also returns the reasons for missing values. In the formulas x is the reference, x' the degraded signal, n
the index of a sample, t the index of a frame.
"""

from dspgraph.evaluation.metrics.definition import Measure, NoValue, metric
from dspgraph.evaluation.metrics.pair import F0_RANGE, RATES, Pair
from dspgraph.evaluation.metrics.pitch import check_f0_range
from dspgraph.evaluation.metrics.registry import (
    METRICS,
    Measured,
    check_names,
    descriptions,
    evaluate,
    known,
    measure,
    score,
)

__all__ = [
    "F0_RANGE",
    "METRICS",
    "RATES",
    "Measure",
    "Measured",
    "NoValue",
    "Pair",
    "check_f0_range",
    "check_names",
    "descriptions",
    "evaluate",
    "known",
    "measure",
    "metric",
    "score",
]
