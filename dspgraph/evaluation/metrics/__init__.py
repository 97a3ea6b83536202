"""Metrics: how far a degraded signal is from its reference.

`measure` takes two arrays, `score` two files. Every metric is a function of a `Pair`, which `metric` makes a `Measure`;
METRICS holds them all by name. A metric gives None where there is nothing to measure (silence, no common voiced frame,
a signal that is too short), and never NaN or infinity. In the formulas x is the reference, x' the degraded signal,
n counts their samples, t their frames.
"""

from dspgraph.evaluation.metrics.definition import Measure, metric
from dspgraph.evaluation.metrics.pair import RATES, Pair
from dspgraph.evaluation.metrics.registry import METRICS, check_names, measure, score

__all__ = ["METRICS", "RATES", "Measure", "Pair", "check_names", "measure", "metric", "score"]
