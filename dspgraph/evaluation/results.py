"""What a comparison found: scores by recording and variant, their means with how far these can be trusted."""

from __future__ import annotations

import csv
import io
import json
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dspgraph.io.atomic import AtomicFile
from dspgraph.node import generator

RESAMPLINGS = 10_000
"""Of the recordings, with replacement, for an interval."""

BLOCK = 2**20
"""The most numbers drawn at a time (8 MiB)."""


@dataclass(frozen=True)
class Metric:
    """One way to measure: what its numbers mean, and everything they depend on."""

    name: str
    unit: str
    better: Literal["lower", "higher", "zero"]
    about: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One pipeline among those compared: what was changed in it, and what it was then."""

    name: str
    digest: str
    swaps: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()


@dataclass(frozen=True)
class Recording:
    """One recording that went through all variants."""

    id: str
    source: str
    seconds: float


@dataclass(frozen=True)
class Score:
    """What one variant made of one recording: None where a metric says nothing, an error where nothing came out.

    A value that is no finite number says nothing either, and becomes None.
    """

    recording: str
    variant: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    error: str = ""

    def __post_init__(self) -> None:
        said = {name: one if one is not None and math.isfinite(one) else None for name, one in self.values.items()}
        object.__setattr__(self, "values", said)


@dataclass(frozen=True)
class Mean:
    """The mean of a metric over n recordings, and the interval it lies in with 95 % confidence; NaN for none."""

    variant: str
    metric: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Results:
    """A whole comparison, as `results.csv`, `results.json` and the page show it."""

    pipeline: str
    about: str
    variants: Sequence[Variant]
    recordings: Sequence[Recording]
    metrics: Sequence[Metric]
    scores: Sequence[Score]
    stages: Mapping[str, int] = field(default_factory=dict)
    """How many stages the variants have together (`asked`), and how many of them were computed (`computed`)."""

    def means(self) -> list[Mean]:
        """Of every variant and metric, over the recordings it has a value for."""
        return list(self._means.values())

    def ranking(self, metric: str) -> list[str]:
        """The variants, best first; those without a value last."""
        better = {one.name: one.better for one in self.metrics}[metric]
        means = {variant.name: self._means[variant.name, metric].mean for variant in self.variants}
        costs: dict[str, Callable[[float], float]] = {"lower": operator.pos, "higher": operator.neg, "zero": abs}
        return sorted(means, key=lambda name: math.inf if math.isnan(means[name]) else costs[better](means[name]))

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
        return Mean(variant, metric, float(values.mean()), *interval(values), len(values))


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The 2.5 % and 97.5 % points of the means of values drawn again with replacement; the same each time.

    Source: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (the percentile interval).
    """
    draw = generator(0)
    means, some = np.empty(RESAMPLINGS), max(1, BLOCK // len(values))
    for start in range(0, RESAMPLINGS, some):
        here = means[start : start + some]
        here[:] = values[draw.integers(len(values), size=(len(here), len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def decimals(values: Iterable[float]) -> int:
    """How many decimals give the largest of some values three digits: at most 4, and 2 where all are 0."""
    largest = max(map(abs, values), default=0.0)
    return min(4, max(0, 2 - math.floor(math.log10(largest)))) if largest else 2


def write(results: Results, folder: Path) -> tuple[Path, Path]:
    """results.csv, a row per recording and variant, and results.json, with everything; each whole or not there."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(_rows(results))
    data = {**asdict(results), "means": [_plain(asdict(mean)) for mean in results.means()]}
    return (
        _write(folder / "results.csv", text.getvalue()),
        _write(folder / "results.json", json.dumps(data, indent=1, allow_nan=False) + "\n"),
    )


def _rows(results: Results) -> Iterator[list[Any]]:
    names = [metric.name for metric in results.metrics]
    yield ["recording", "variant", *names, "error"]
    for score in results.scores:
        values = (score.values.get(name) for name in names)
        yield [score.recording, score.variant, *("" if one is None else repr(one) for one in values), score.error]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """What JSON can say: there is no NaN in it."""
    return {name: None if isinstance(one, float) and math.isnan(one) else one for name, one in values.items()}


def _write(path: Path, text: str) -> Path:
    part = AtomicFile(path)
    with part.attempt():
        part.temporary.write_bytes(text.encode(errors="backslashreplace"))  # a file's name need not be text
    part.sync()
    part.place()
    return path
