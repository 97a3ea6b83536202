"""The definition of a metric: a function of a pair of signals, and a description of the numbers it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.evaluation.results import Metric

_OWN_VERSION = "1"
"""Version of the metrics that dspgraph itself computes.

A metric gets version "2" when its code changes in a way that changes a value by more than rounding errors: numbers of
two versions are never compared in one table.
"""


@dataclass(frozen=True)
class Measure:
    """A metric: its description, the function that computes it, and the package it needs, if any."""

    metric: Metric
    of: Callable[[Pair], float | None]
    available: bool = True

    def __call__(self, pair: Pair) -> float | None:
        """Return the value of this metric for a pair; None if there is nothing to measure."""
        return self.of(pair)


def metric(
    unit: str,
    better: Literal["lower", "higher", "zero"],
    settings: Mapping[str, Any],
    package: str | None = None,
) -> Callable[[Callable[[Pair], float | None]], Measure]:
    """Return a decorator that makes a metric of a function of a `Pair`.

    The metric has the name of the function; the first line of the docstring of the function describes it to users.

    unit: of the values. better: which values are the best. settings: everything that the values depend on. package: the
    package that computes the values. Its version is then the version of the metric; if it is not installed, the metric
    is not available.
    """

    def describe(of: Callable[[Pair], float | None]) -> Measure:
        about = (of.__doc__ or "").partition("\n")[0]
        available = package is None or find_spec(package) is not None
        made = version(package) if package and available else _OWN_VERSION
        return Measure(Metric(of.__name__, unit, better, about, made, dict(settings)), of, available)

    return describe
