"""The results of a comparison: scores by recording and variant, and their means with confidence intervals."""

from __future__ import annotations

import hashlib
import html
import json
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dspgraph.errors import FileError
from dspgraph.evaluation.statistics import PairedTest, holm_corrected, paired
from dspgraph.io.atomic import write_whole
from dspgraph.io.paths import read_file
from dspgraph.io.tables import csv_bytes
from dspgraph.node import generator

TABLE, JSON = "results.csv", "results.json"
"""The names of the files that `write` makes."""

LARGEST_RESULTS = 2**28
"""The largest size in bytes of a file results.json that is read: about a million scores."""

RESAMPLINGS = 10_000
"""Number of means from which a confidence interval is computed. Each is over recordings drawn with replacement."""

MOST_IN_PAIRS = 10
"""The largest number of variants of which all pairs are tested."""

_BLOCK = 2**20
"""Largest number of indices that are drawn at a time, unless one mean needs more: 8 MiB."""


@dataclass(frozen=True)
class Metric:
    """The description of a metric.

    unit: the unit of the values. better: the best values are the lowest ("lower"), the highest ("higher") or the
    nearest to 0 ("zero"). about: a sentence for users. version: the version of the code that computes the values.
    settings: everything else that the values depend on.
    """

    name: str
    unit: str
    better: Literal["lower", "higher", "zero"]
    about: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One of the compared graphs: its name, its digest, and what was changed in the pipeline to make it.

    For an `OpenChoice`, the digest is a hash of the digests of all its graphs. swaps: slot -> variant. overrides: texts
    "name=value".
    """

    name: str
    digest: str
    swaps: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    recipe: str = ""
    """The hash `Wiring.recipe` of the graph; for an `OpenChoice`, which has several graphs, `OpenChoice.recipe`."""


@dataclass(frozen=True)
class Recording:
    """One recording: its id, its file and its duration."""

    id: str
    source: str
    seconds: float


@dataclass(frozen=True)
class Score:
    """The values of all metrics for one recording in one variant, or the error if it was not rendered or measured.

    values: name of a metric -> value; None if there was nothing to measure. reasons: name of a metric -> why it has no
    value, if the metric gives a reason. NaN and infinite values become None.
    """

    recording: str
    variant: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    error: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = {name: one if one is not None and math.isfinite(one) else None for name, one in self.values.items()}
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Mean:
    """The mean of a metric over n recordings, and its 95 % confidence interval from `low` to `high`, for one variant.

    If n is 1, low and high are NaN, because one recording does not show how much recordings differ. If n is 0, mean,
    low and high are NaN.
    """

    variant: str
    metric: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Cell:
    """A cell of the table of means: a mean, and how it is shown."""

    mean: Mean
    decimals: int
    best: bool
    """True if this and other variants have a mean of this metric, and none of them has a better one."""

    @property
    def text(self) -> str:
        """The mean as a text; empty if there is none."""
        return format_number(self.mean.mean, self.decimals) if self.mean.n else ""


@dataclass(frozen=True)
class Results:
    """The results of a comparison: the scores of recordings and variants, and what was compared.

    They are shown in `results.csv`, in `results.json` and on the page. pipeline, about: the name and the description of
    the pipeline.
    """

    pipeline: str
    about: str
    variants: Sequence[Variant]
    recordings: Sequence[Recording]
    metrics: Sequence[Metric]
    scores: Sequence[Score]
    stages: Mapping[str, int] = field(default_factory=dict)
    """Number of stages of all variants ("asked"), and the number if shared stages count once ("computed").

    Empty if recordings with different rates or channels have different numbers.
    """
    command: str = ""
    """The command line with the arguments that determine the results; "" if the comparison was started from Python."""

    def means(self) -> list[Mean]:
        """Return the mean of every metric for every variant.

        The mean is over the recordings for which the metric has a value; if there are none, its `n` is 0.
        """
        return list(self._means.values())

    def ranking(self, metric: str) -> list[str]:
        """Return the names of the variants by their mean of `metric`, the best first, variants without a mean last."""
        costs = self._costs(metric)
        return sorted((variant.name for variant in self.variants), key=lambda name: costs.get(name, math.inf))

    def table(self) -> list[list[Cell]]:
        """Return the table of means: a row for each of `variants`, with a cell for each of `metrics`."""
        best = {metric.name: self._best(metric.name) for metric in self.metrics}
        return [
            [
                Cell(self._means[variant.name, name], self.decimals[name], variant.name in best[name])
                for name in self.decimals
            ]
            for variant in self.variants
        ]

    def tests(self) -> list[PairedTest]:
        """Return the paired tests of every metric for the pairs of variants, with p-values corrected by Holm.

        All pairs are tested for up to MOST_IN_PAIRS variants, otherwise each variant with the first. The p-values are
        corrected for the number of tests of a metric. A pair has no test of a metric if fewer than two recordings have
        a value for both variants.
        """
        values = {(score.variant, score.recording): score.values for score in self.scores}
        found = []
        for metric in self.metrics:
            tests = []
            for a, b in self._pairs():
                both = [
                    (x, y)
                    for one in self.recordings
                    if (x := values.get((a, one.id), {}).get(metric.name)) is not None
                    and (y := values.get((b, one.id), {}).get(metric.name)) is not None
                ]
                if len(both) > 1:
                    tests.append(paired(metric.name, a, b, *zip(*both, strict=True)))
            found += holm_corrected(tests)
        return found

    def _pairs(self) -> Iterator[tuple[str, str]]:
        names = [variant.name for variant in self.variants]
        return combinations(names, 2) if len(names) <= MOST_IN_PAIRS else ((names[0], name) for name in names[1:])

    @property
    def tests_about(self) -> str:
        """A sentence that says which pairs `tests` tests, if there are too many variants to test all pairs; else ""."""
        if len(self.variants) <= MOST_IN_PAIRS:
            return ""
        return f"As there are more than {MOST_IN_PAIRS} variants, each is tested with the first."

    @property
    def identity(self) -> str:
        """A hash of the names of the pipeline, the variants and the recordings, and of the digests of the variants.

        Files of answers have this hash, so that only answers to the same comparison are merged.
        """
        compared = [[one.name, one.digest] for one in self.variants], [one.id for one in self.recordings]
        return hashlib.sha256(json.dumps([self.pipeline, *compared]).encode()).hexdigest()[:16]

    def _repr_html_(self) -> str:
        """Return the table of means in HTML, which a notebook shows. The best means are bold (see `Cell.best`)."""

        def row(tag: str, cells: Iterable[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

        units = [f"{one.name} ({one.unit})" if one.unit else one.name for one in self.metrics]
        rows = [row("th", ["variant", *map(html.escape, units)])]
        for variant, cells in zip(self.variants, self.table(), strict=True):
            texts = [f"<b>{cell.text}</b>" if cell.best else cell.text for cell in cells]
            rows.append(row("td", [html.escape(variant.name), *texts]))
        return f"<table>{''.join(rows)}</table>"

    def missing_values(self) -> list[str]:
        """Return a sentence for each metric that could not be computed for some scores and gave the reasons.

        The sentence has the number of scores with a reason, and the first of them as an example.
        """
        sentences = []
        for metric in self.metrics:
            missing = [score for score in self.scores if metric.name in score.reasons]
            if missing:
                first = missing[0]
                sentences.append(
                    f"{metric.name} has no value in {len(missing)} of {len(self.scores)} scores, for instance "
                    f"{first.recording}, {first.variant}: {first.reasons[metric.name]}"
                )
        return sentences

    @cached_property
    def decimals(self) -> dict[str, int]:
        """Name of a metric -> number of decimals to show, from the values of all scores (see `count_decimals`)."""
        return {
            metric.name: count_decimals(
                value for score in self.scores if (value := score.values.get(metric.name)) is not None
            )
            for metric in self.metrics
        }

    def _best(self, metric: str) -> set[str]:
        costs = self._costs(metric)
        return {name for name, cost in costs.items() if cost == min(costs.values())} if len(costs) > 1 else set()

    def _costs(self, metric: str) -> dict[str, float]:
        """Return name of a variant -> cost, for variants that have a mean of the metric.

        The best mean has the lowest cost.
        """
        (better,) = (one.better for one in self.metrics if one.name == metric)
        costs: dict[str, Callable[[float], float]] = {"lower": operator.pos, "higher": operator.neg, "zero": abs}
        means = {variant.name: self._means[variant.name, metric] for variant in self.variants}
        return {name: costs[better](mean.mean) for name, mean in means.items() if mean.n}

    @cached_property
    def _means(self) -> dict[tuple[str, str], Mean]:
        return {
            (variant.name, metric.name): self._mean(variant.name, metric.name)
            for variant in self.variants
            for metric in self.metrics
        }

    def _mean(self, variant: str, metric: str) -> Mean:
        found = (score.values.get(metric) for score in self.scores if score.variant == variant)
        values = np.array([value for value in found if value is not None])
        if not len(values):
            return Mean(variant, metric, math.nan, math.nan, math.nan, 0)
        ends = interval(values) if len(values) > 1 else (math.nan, math.nan)
        return Mean(variant, metric, float(values.mean()), *ends, len(values))


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return the 95 % confidence interval (low, high) of the mean of values [n], by the bootstrap.

    The ends are the 2.5 % and 97.5 % quantiles of RESAMPLINGS means, each of n values drawn with replacement. The seed
    is fixed: equal values give equal intervals.

    Source: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (the percentile interval).
    """
    draw = generator(0)
    means, some = np.empty(RESAMPLINGS), max(1, _BLOCK // len(values))
    for start in range(0, RESAMPLINGS, some):
        here = means[start : start + some]
        here[:] = values[draw.integers(len(values), size=(len(here), len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def count_decimals(values: Iterable[float]) -> int:
    """Return the number of decimals with which the largest magnitude has three digits, for instance 1 for 12.3.

    The result is at least 0 and at most 4; it is 2 if all values are 0 or if there are no values.
    """
    largest = max(map(abs, values), default=0.0)
    return min(4, max(0, 2 - math.floor(math.log10(largest)))) if largest else 2


def format_number(value: float, decimals: int) -> str:
    """Return a number as text with `decimals` decimals. A number that is rounded to zero has no minus sign."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def write(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write results.csv (one row for each score) and results.json (everything), atomically; return both paths.

    The paths are in this order. Earlier files of these names are replaced. folder: a folder that exists. Raises
    FileError for a file that cannot be written. In results.csv, texts that a spreadsheet would take for formulas are
    changed (see `csv_bytes`). results.json has all texts unchanged.
    """
    data = {**asdict(results), "means": [_plain(asdict(mean)) for mean in results.means()]}
    data["tests"] = [{**_plain(asdict(one)), "difference": _plain(asdict(one.difference))} for one in results.tests()]
    # results.json is written first: a later comparison that finds it knows that the other files are results too.
    whole = write_whole(folder / JSON, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode("ascii"))
    return write_whole(folder / TABLE, csv_bytes(_rows(results))), whole


def earlier_results(path: Path) -> tuple[list[str], dict[str, str], list[str]] | None:
    """Return (ids of recordings, name of a variant -> its recipe, names of metrics) from a file results.json.

    A recipe that the file lacks is "". Return None if the file is missing, cannot be read, has more than
    LARGEST_RESULTS bytes or has no such content, for instance because another program has written it.
    """
    try:
        data = json.loads(read_file(path, LARGEST_RESULTS))
        recordings = [str(one["id"]) for one in data["recordings"]]
        variants = {str(one["name"]): str(one.get("recipe", "")) for one in data["variants"]}
        return recordings, variants, [str(one["name"]) for one in data["metrics"]]
    except (FileError, OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def _rows(results: Results) -> Iterator[list[Any]]:
    names = [metric.name for metric in results.metrics]
    yield ["recording", "variant", *names, "error"]
    for score in results.scores:
        values = [score.values.get(name) for name in names]
        yield [score.recording, score.variant, *values, score.error]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `values` in which NaN is replaced by None, because JSON has no NaN. Inner dicts stay as is."""
    return {name: None if isinstance(one, float) and math.isnan(one) else one for name, one in values.items()}
