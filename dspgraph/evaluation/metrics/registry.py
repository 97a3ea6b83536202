"""All metrics by name, and functions that measure arrays and files with them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np

from dspgraph import registry
from dspgraph.closure import closure
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

    Metrics whose package is not installed are yielded too. Raises RequestError for an entry point that is not a
    `Measure`.
    """
    yield from SHIPPED
    for entry in registry.announced(registry.METRIC_GROUP):
        found = entry.load()
        if not isinstance(found, Measure):
            raise RequestError(
                f"the metric '{entry.name}' of {entry.pack} ({entry.where}) is {shown(found)}: decorate it with metric"
            )
        yield found


def _by_name(measures: Iterable[Measure]) -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    for one in measures:
        if one.metric.name in found:
            raise RequestError(f"two metrics are called '{one.metric.name}': rename one, or uninstall its package")
        if one.available:
            found[one.metric.name] = one
    return found


METRICS: Mapping[str, Measure] = MappingProxyType(_by_name(_all()))
"""Name -> metric, for all metrics whose packages are installed, in the order in which they are shown."""


def known(files: Sequence[str | Path] = ()) -> Mapping[str, Measure]:
    """Return METRICS and the metrics of a user's own Python files: name -> metric. The files are imported.

    The metrics of a file are those whose functions are defined in it. The settings of such a metric get the name of the
    file, and a hash of its code and of the modules that it imports. Raises RequestError for a file that cannot be
    imported or has no metric, and for two metrics with the same name.
    """
    return _known(tuple(os.path.realpath(path) for path in files)) if files else METRICS


@lru_cache(maxsize=8)
def _known(files: tuple[str, ...]) -> Mapping[str, Measure]:
    return MappingProxyType(_by_name(chain(METRICS.values(), *(_of_file(Path(path)) for path in dict.fromkeys(files)))))


def _of_file(path: Path) -> Iterator[Measure]:
    module = registry.imported_file(path, "metric")
    found = [one for one in vars(module).values() if isinstance(one, Measure) and one.of.__module__ == module.__name__]
    if not found:
        raise RequestError(f"{path} has no metric in it: decorate a function of a pair with dspgraph's metric(...)")
    source = {"file": path.name, "source": closure(module.__name__).digest}
    for one in found:
        yield replace(one, metric=replace(one.metric, settings={**one.metric.settings, **source}))


@dataclass(frozen=True)
class Measured:
    """The values of metrics for one pair of signals.

    values: name of a metric -> value; None if there was nothing to measure, or if the result was not finite. reasons:
    name of a metric without a value -> the reason, if the metric gives one.
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
    files: Sequence[str | Path] = (),
) -> dict[str, float | None]:
    """Return name of a metric -> value, in the order of `names`; None for a metric without a value.

    The arguments and errors are those of `evaluate`, which also returns the reasons for missing values.
    """
    return evaluate(reference, degraded, rate, names, f0_range=f0_range, files=files).values


def evaluate(
    reference: Array,
    degraded: Array,
    rate: Number,
    names: Sequence[str] | None = None,
    *,
    f0_range: tuple[float, float] = F0_RANGE,
    files: Sequence[str | Path] = (),
) -> Measured:
    """Return the values of metrics, in the order of `names`, and the reasons for missing values.

    reference, degraded, rate: see `Pair`, which may raise SignalError. names: the names of metrics, by default all.
    f0_range: lowest and highest pitch that metrics of pitch look for, Hz. files: Python files with more metrics (see
    `known`). If a signal has no samples, all values are None. Raises UnknownName for a name that no metric has, and
    RequestError for a range that cannot be searched (see `check_f0_range`) and for a file that `known` refuses.
    """
    measures = known(files)
    names = list(measures) if names is None else names
    check_names(names, files)
    check_f0_range(f0_range)
    pair = Pair(reference, degraded, rate, f0_range)
    found = Measured({}, {})
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # samples may be near the largest float
        for name in names:
            try:
                found.values[name] = _finite(measures[name](pair)) if len(pair.reference) else None
            except NoValue as reason:
                found.values[name], found.reasons[name] = None, str(reason)
    return found


def descriptions(
    names: Sequence[str] | None = None, f0_range: tuple[float, float] = F0_RANGE, files: Sequence[str | Path] = ()
) -> list[Metric]:
    """Return the descriptions of metrics, by default of all. Metrics of pitch have `f0_range`, in Hz, as a setting.

    names: names of metrics that exist (see `check_names`). files: Python files with more metrics (see `known`).
    """
    measures = known(files)
    return [measures[name].described(f0_range) for name in (measures if names is None else names)]


def check_names(names: Sequence[str], files: Sequence[str | Path] = ()) -> None:
    """Raise UnknownName for a name that no metric has. files: Python files with more metrics (see `known`)."""
    measures = known(files)
    for name in names:
        if name not in measures:
            raise UnknownName(f"there is no metric '{name}'; {suggest(name, measures)}")


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def score(
    reference: Path,
    degraded: Path,
    f0_range: tuple[float, float] = F0_RANGE,
    files: Sequence[str | Path] = (),
) -> tuple[list[Metric], Measured, list[str]]:
    """Return (descriptions of all metrics, their values for two audio files, notes on conversions and cuts).

    Both audio files are mixed to one channel, the degraded one is resampled to the rate of the reference, and the end
    of the longer signal is cut off. f0_range: lowest and highest pitch that metrics of pitch look for, Hz. files:
    Python files with more metrics, see `known`. Raises FileError for audio that cannot be read or has a sample that is
    not finite, SignalError for a reference with a rate outside RATES, and RequestError for an f0_range that cannot be
    searched and for a Python file whose metrics cannot be used.
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
    measured = evaluate(signals[0], signals[1], stream.rate, f0_range=f0_range, files=files)
    return descriptions(f0_range=f0_range, files=files), measured, notes
