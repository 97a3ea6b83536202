"""Statistics of comparisons and listening tests: intervals, paired tests, corrections for several tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

LEVEL = 0.95
"""The level of all confidence intervals."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a share, of n values with its confidence interval from low to high. NaN where there is none."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedTest:
    """The difference a - b of two variants in the same recordings.

    difference: its mean with the interval of Student's t. t, wilcoxon: p-values of the paired t-test and of Wilcoxon's
    signed-rank test, two-sided; NaN where a test says nothing, for instance if all differences are equal.
    """

    metric: str
    a: str
    b: str
    difference: Estimate
    t: float
    wilcoxon: float


def t_interval(values: Sequence[float] | np.ndarray[Any, Any]) -> Estimate:
    """Return the mean of values with the confidence interval of Student's t.

    mean +- t(n - 1) * s / sqrt(n), with the standard deviation s of the sample. One value has no interval.

    Source: Recommendation ITU-R BS.1534-3 (the interval of mean scores).
    """
    from scipy import stats

    n = len(values)
    if n < 2:
        return Estimate(float(values[0]) if n else math.nan, math.nan, math.nan, n)
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n)


def share_interval(hits: int, n: int) -> Estimate:
    """Return the share hits / n with the exact interval of the binomial distribution (Clopper and Pearson)."""
    from scipy import stats

    if not n:
        return Estimate(math.nan, math.nan, math.nan, 0)
    low, high = stats.binomtest(hits, n).proportion_ci(LEVEL, "exact")
    return Estimate(hits / n, float(low), float(high), n)


def guessing(hits: int, n: int, *, above: bool) -> float:
    """Return the p-value of `hits` right answers of n for a listener who guesses, with probability one half.

    above: only more than half the answers count against guessing (ABX). Otherwise both sides count (preference).
    """
    from scipy import stats

    if not n:
        return math.nan
    return float(stats.binomtest(hits, n, 0.5, "greater" if above else "two-sided").pvalue)


def paired(metric: str, a: str, b: str, x: Sequence[float], y: Sequence[float]) -> PairedTest:
    """Return the paired tests of values x and y, which belong to the same recordings. x, y: at least two values each.

    Source: scipy.stats.ttest_1samp of the differences, scipy.stats.wilcoxon with zeros left out.
    """
    from scipy import stats

    differences = np.asarray(x, float) - np.asarray(y, float)
    estimate = t_interval(differences)
    spread = np.ptp(differences) > 1e-12 * np.abs(differences).max(initial=0.0)
    t = float(stats.ttest_1samp(differences, 0).pvalue) if spread else math.nan
    wilcoxon = float(stats.wilcoxon(differences).pvalue) if differences.any() else math.nan
    return PairedTest(metric, a, b, estimate, t, wilcoxon)


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for the number of tests, such that the first error is made with the chosen level only.

    The k-th smallest of m p-values is multiplied by m - k + 1; no corrected value is below one before it, or above 1.
    NaN stays NaN, and does not count as a test.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6,
    1979.
    """
    known = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    corrected, least = [math.nan] * len(values), 0.0
    for k, (value, place) in enumerate(known):
        least = corrected[place] = min(1.0, max(least, value * (len(known) - k)))
    return corrected


def holm_corrected(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return paired tests with p-values that are corrected for the number of tests, by `holm`."""
    t, wilcoxon = holm([one.t for one in tests]), holm([one.wilcoxon for one in tests])
    return [replace(one, t=p, wilcoxon=q) for one, p, q in zip(tests, t, wilcoxon, strict=True)]
