"""All metrics by name, and functions that measure arrays and files with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from dspgraph import registry
from dspgraph.errors import RequestError, UnknownName, suggest
from dspgraph.evaluation.metrics.cepstral import mcd, mcd_dtw
from dspgraph.evaluation.metrics.definition import Measure, NoValue
from dspgraph.evaluation.metrics.listening import pesq, stoi
from dspgraph.evaluation.metrics.loudness import loudness_difference
from dspgraph.evaluation.metrics.pair import F0_RANGE, Pair
from dspgraph.evaluation.metrics.pitch import check_f0_range, log_f0_rmse, voicing_error
from dspgraph.evaluation.metrics.spectral import lsd, mrstft
from dspgraph.evaluation.metrics.waveform import si_sdr
from dspgraph.evaluation.results import Metric
from dspgraph.io.audio import AudioSource, rate_of
from dspgraph.shown import shown
from dspgraph.streams import Array, Audio, Number

SHIPPED = (mcd, mcd_dtw, lsd, mrstft, log_f0_rmse, voicing_error, si_sdr, loudness_difference, pesq, stoi)
"""The metrics that come with dspgraph, in the order in which they are shown. Add new ones here."""


def _all() -> Iterator[Measure]:
    """Yield all metrics: those of dspgraph, and those that installed packages announce by an entry point.

    Raises RequestError for an entry point that is not a `Measure`.
    """
    yield from SHIPPED
    for entry in registry.announced(registry.METRIC_GROUP):
        found = entry.load()
        if not isinstance(found, Measure):
            raise RequestError(
                f"the metric '{entry.name}' of {entry.pack} ({entry.where}) is {shown(found)}: decorate it with metric"
            )
        yield found


def _by_name(measures: Iterator[Measure]) -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    for one in measures:
        if one.metric.name in found:
            raise RequestError(f"two metrics are called '{one.metric.name}': rename one, or uninstall its package")
        if one.available:
            found[one.metric.name] = one
    return found


METRICS: Mapping[str, Measure] = MappingProxyType(_by_name(_all()))
"""Name -> metric, for all metrics whose packages are installed, in the order in which they are shown."""


@dataclass(frozen=True)
class Measured:
    """The values of metrics for one pair of signals.

    values: name of a metric -> value; None if there was nothing to measure. reasons: name of a metric without a value
    -> the reason, if the metric gives one.
    """

    values: dict[str, float | None]
    reasons: dict[str, str]


def measure(
    reference: Array,
    degraded: Array,
    rate: Number,
    names: Sequence[str] | None = None,
    *,
    f0_range: tuple[float, float] = F0_RANGE,
) -> dict[str, float | None]:
    """Return name of a metric -> value, in the order of `names`; None for a metric with nothing to measure.

    The arguments and errors are those of `evaluate`, which also returns the reasons for missing values.
    """
    return evaluate(reference, degraded, rate, names, f0_range=f0_range).values


def evaluate(
    reference: Array,
    degraded: Array,
    rate: Number,
    names: Sequence[str] | None = None,
    *,
    f0_range: tuple[float, float] = F0_RANGE,
) -> Measured:
    """Return the values of metrics, in the order of `names`, and the reasons for missing values.

    reference, degraded, rate: see `Pair`, which may raise SignalError. names: the names of metrics, by default all in
    METRICS. f0_range: lowest and highest pitch that metrics of pitch look for, Hz. Raises UnknownName for a name that
    is not in METRICS, and RequestError for a range that cannot be searched.
    """
    names = list(METRICS) if names is None else names
    check_names(names)
    check_f0_range(f0_range)
    pair = Pair(reference, degraded, rate, f0_range)
    found = Measured({}, {})
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # samples may be near the largest float
        for name in names:
            try:
                found.values[name] = _finite(METRICS[name](pair)) if len(pair.reference) else None
            except NoValue as reason:
                found.values[name], found.reasons[name] = None, str(reason)
    return found


def descriptions(names: Sequence[str] | None = None, f0_range: tuple[float, float] = F0_RANGE) -> list[Metric]:
    """Return the descriptions of metrics, by default of all. Metrics of pitch have `f0_range`, in Hz, as a setting."""
    return [METRICS[name].described(f0_range) for name in (METRICS if names is None else names)]


def check_names(names: Sequence[str]) -> None:
    """Raise UnknownName for a name that is not in METRICS."""
    for name in names:
        if name not in METRICS:
            raise UnknownName(f"there is no metric '{name}'; {suggest(name, METRICS)}")


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def score(
    reference: Path, degraded: Path, f0_range: tuple[float, float] = F0_RANGE
) -> tuple[list[Metric], Measured, list[str]]:
    """Return (descriptions of all metrics, their values for two audio files, notes on conversions of the files).

    Both files are mixed to one channel, the degraded file is resampled to the rate of the reference, and the end of the
    longer signal is cut off. f0_range: lowest and highest pitch that metrics of pitch look for, Hz. Raises FileError
    for a file that cannot be read or has a sample that is not finite, SignalError for a reference with a rate outside
    RATES, and RequestError for an f0_range that cannot be searched.
    """
    check_f0_range(f0_range)
    stream = Audio(rate_of(reference))
    sources = [AudioSource(path, stream) for path in (reference, degraded)]
    notes = [f"{source.path}: {conversion}" for source in sources for conversion in source.conversions]
    signals = [source.read() for source in sources]
    lengths = [len(samples) for samples in signals]
    if lengths[0] != lengths[1]:
        longer = sources[int(lengths[1] > lengths[0])].path
        seconds = [f"{float(stream.seconds(n)):.3f} s" for n in sorted(lengths)]
        notes.append(f"{longer}: cut from {seconds[1]} to {seconds[0]}, the length of the other")
    return descriptions(f0_range=f0_range), evaluate(signals[0], signals[1], stream.rate, f0_range=f0_range), notes
