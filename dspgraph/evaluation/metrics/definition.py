"""The definition of a metric: a function of a pair of signals, and a description of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.evaluation.results import Metric

F0_RANGE_SETTING = "f0_range_hz"
"""The key in `Metric.settings` for the range of the pitch. Only metrics of pitch have this setting."""

_OWN_VERSION = "1"
"""The first version of a metric that dspgraph itself computes.

A metric gets version "2" when a change of its code changes a value by more than rounding errors. Numbers of different
versions must not be compared.
"""


class NoValue(Exception):
    """An exception that a metric raises if it has no value for a pair of signals. The message is the reason."""


@dataclass(frozen=True)
class Measure:
    """A metric with the function that computes it.

    metric: the description. of: the function; it takes a pair of signals. available: whether the package that the
    function needs is installed.
    """

    metric: Metric
    of: Callable[[Pair], float | None]
    available: bool = True

    def __call__(self, pair: Pair) -> float | None:
        """Return the value of this metric for a pair of signals, or None if there is nothing to measure.

        Raises NoValue, with the reason in its message, if the metric gives a reason.
        """
        return self.of(pair)

    def described(self, f0_range: tuple[float, float]) -> Metric:
        """Return the description of the metric.

        A metric of pitch, which already has a range as a setting, gets `f0_range` (lowest and highest pitch, Hz) in its
        place.
        """
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
    """Return a decorator that turns a function of a `Pair` into a metric.

    The metric has the name of the function; the first line of the docstring of the function describes it to users.

    unit: the unit of the values. better: the best values are the lowest ("lower"), the highest ("higher") or the
    nearest to 0 ("zero"). settings: everything that the values depend on. package: the package that computes the
    values, if any; it must have the same name for `import` and for its installer. Its version is then the version of
    the metric; if it is not installed, the metric is not available. own_version: the version of a metric without a
    package.
    """

    def describe(of: Callable[[Pair], float | None]) -> Measure:
        about = (of.__doc__ or "").partition("\n")[0]
        available = package is None or find_spec(package) is not None
        made = version(package) if package and available else own_version
        return Measure(Metric(of.__name__, unit, better, about, made, dict(settings)), of, available)

    return describe
