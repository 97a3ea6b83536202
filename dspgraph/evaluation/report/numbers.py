"""Functions that turn the numbers of the page into texts, and into keys by which its tables are sorted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dspgraph.evaluation.results import Cell, Mean, Metric, Results, Score, format_number


def count(number: int, name: str) -> str:
    """Return a number with a noun: "1 metric", "1,200 metrics". name: the noun in the singular."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration as text: "12.3 s", "2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if seconds >= 60 else f"{seconds:.1f} s"


def number_text(value: float, decimals: int) -> str:
    """Return a number as text with `decimals` decimals and, if it is negative, a minus sign (U+2212)."""
    return format_number(value, decimals).replace("-", "\N{MINUS SIGN}")


def score_row(score: Score, metrics: Sequence[Metric], decimals: Mapping[str, int]) -> dict[str, Any]:
    """Return one row of the table of scores: the data that the template of the page needs.

    The keys are "recording", "variant", "error" and "cells": for each metric the key for sorting ("order"), the value
    ("text", empty if there is none) and the reason for a missing value. score: the values of one recording in one
    variant. metrics: the columns. decimals: name of a metric -> number of decimals.
    """
    values = [(metric, score.values.get(metric.name)) for metric in metrics]
    cells = [
        {
            "order": _order(metric, value),
            "text": "" if value is None else number_text(value, decimals[metric.name]),
            "reason": score.reasons.get(metric.name, ""),
        }
        for metric, value in values
    ]
    return {"recording": score.recording, "variant": score.variant, "error": score.error, "cells": cells}


def mean_rows(results: Results) -> list[list[dict[str, Any]]]:
    """Return the cells of the table of means, [variants][metrics]: the data that the template of the page needs.

    A cell has a mean and its confidence interval, as texts and as a bar. The bars of a metric have one scale in all
    rows. A cell without a mean has empty texts and no bar.
    """
    table = results.table()
    places = [_scale([row[k].mean for row in table if row[k].mean.n]) for k in range(len(results.metrics))]
    return [
        [
            _mean_cell(metric, cell, place, len(results.recordings))
            for metric, cell, place in zip(results.metrics, row, places, strict=True)
        ]
        for row in table
    ]


def test_rows(results: Results) -> list[dict[str, Any]]:
    """Return the rows of the table of paired tests: for each test a dictionary with its names and numbers.

    The numbers are texts, except `n`, the number of recordings, which is an int.
    """
    return [
        {
            "metric": test.metric,
            "a": test.a,
            "b": test.b,
            "mean": number_text(test.difference.value, results.decimals[test.metric]),
            "interval": " to ".join(
                number_text(end, results.decimals[test.metric]) for end in (test.difference.low, test.difference.high)
            ),
            "n": test.difference.n,
            "t": p_value(test.t),
            "wilcoxon": p_value(test.wilcoxon),
        }
        for test in results.tests()
    ]


def p_value(value: float) -> str:
    """Return a p-value as text with three decimals; "< 0.001" if it is less than that, "-" if it is NaN."""
    return "-" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _mean_cell(metric: Metric, cell: Cell, place: Callable[[float], str], recordings: int) -> dict[str, Any]:
    mean = cell.mean
    if not mean.n:
        return {"mean": "", "best": False, "order": ""}
    low, high = _ends(mean)
    interval = f"{number_text(low, cell.decimals)} to {number_text(high, cell.decimals)}"
    return {
        "mean": number_text(mean.mean, cell.decimals),
        "interval": interval if mean.n > 1 else "-",
        "n": mean.n if mean.n < recordings else None,
        "best": cell.best,
        "order": _order(metric, mean.mean),
        "left": place(low),
        "at": place(mean.mean),
        "right": place(high),
    }


def _ends(mean: Mean) -> tuple[float, float]:
    """Return (low, high), the ends of the confidence interval of a mean.

    The mean of one value has no interval; the result is then (mean, mean).
    """
    return (mean.low, mean.high) if mean.n > 1 else (mean.mean, mean.mean)


def _order(metric: Metric, value: float | None) -> str:
    """Return the text by which the page sorts the cells of a column; "" for a cell without a value.

    It is the value or, for a metric whose best value is 0, the magnitude of the value.
    """
    return "" if value is None else repr(abs(value) if metric.better == "zero" else value)


def _scale(means: Sequence[Mean]) -> Callable[[float], str]:
    """Return a function that maps a value to its horizontal position in a drawing, in percent, as text.

    The lowest end of the confidence intervals of `means` is at 4 %, the highest end at 96 %. If all ends are equal,
    or there is none, every value is at 50 %. means: each of at least one recording.
    """
    ends = [_ends(mean) for mean in means]
    low = min((low for low, _ in ends), default=0.0)
    span = max((high for _, high in ends), default=0.0) - low
    return lambda value: f"{4 + 92 * (value - low) / span if span > 0 else 50:.1f}"
