"""The definition of a metric: a function of a pair of signals, and a description of the numbers it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.evaluation.results import Metric

F0_RANGE_SETTING = "f0_range_hz"
"""The name of the setting of a metric that depends on the range of the pitch."""

_OWN_VERSION = "1"
"""First version of the metrics that dspgraph itself computes.

A metric gets version "2" when its code changes in a way that changes a value by more than rounding errors: numbers of
two versions are never compared in one table.
"""


class NoValue(Exception):
    """Raised by a metric that has no value for a pair. Its text is the reason, in words for users."""


@dataclass(frozen=True)
class Measure:
    """A metric: its description, the function that computes it, and the package it needs, if any."""

    metric: Metric
    of: Callable[[Pair], float | None]
    available: bool = True

    def __call__(self, pair: Pair) -> float | None:
        """Return the value of this metric for a pair; None, or NoValue with the reason, if there is none."""
        return self.of(pair)

    def described(self, f0_range: tuple[float, float]) -> Metric:
        """Return the description of the metric, with this range of the pitch, in Hz, if the metric depends on it."""
        if F0_RANGE_SETTING not in self.metric.settings:
            return self.metric
        return replace(self.metric, settings={**self.metric.settings, F0_RANGE_SETTING: list(f0_range)})


def metric(
    unit: str,
    better: Literal["lower", "higher", "zero"],
    settings: Mapping[str, Any],
    package: str | None = None,
    own_version: str = _OWN_VERSION,
) -> Callable[[Callable[[Pair], float | None]], Measure]:
    """Return a decorator that makes a metric of a function of a `Pair`.

    The metric has the name of the function; the first line of the docstring of the function describes it to users.

    unit: of the values. better: which values are the best. settings: everything that the values depend on. package: the
    package that computes the values. Its version is then the version of the metric; if it is not installed, the metric
    is not available. own_version: the version of a metric that dspgraph itself computes.
    """

    def describe(of: Callable[[Pair], float | None]) -> Measure:
        about = (of.__doc__ or "").partition("\n")[0]
        available = package is None or find_spec(package) is not None
        made = version(package) if package and available else own_version
        return Measure(Metric(of.__name__, unit, better, about, made, dict(settings)), of, available)

    return describe
