"""Statistics of comparisons and listening tests: confidence intervals, paired tests, corrections for several tests."""

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
    """A mean or a share `value`, computed from n values, with its confidence interval from `low` to `high`.

    A number that does not exist is NaN.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedTest:
    """The difference of a metric between the variants a and b, over the recordings for which both have a value.

    metric: its name. difference: the mean of a - b with the interval of Student's t. t, wilcoxon: the p-values of the
    paired t-test and of Wilcoxon's signed-rank test, two-sided; `holm_corrected` corrects them. A test that is not
    defined has NaN: the t-test if all differences are equal, Wilcoxon's test if all are 0.
    """

    metric: str
    a: str
    b: str
    difference: Estimate
    t: float
    wilcoxon: float


def t_interval(values: Sequence[float] | np.ndarray[Any, Any]) -> Estimate:
    """Return the mean of values with the confidence interval of Student's t.

    The interval is mean +- t * s / sqrt(n), with the standard deviation s of the n values and the quantile t of
    Student's distribution with n - 1 degrees of freedom. One value has no interval: its ends are NaN. Without values
    the mean is NaN too.

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
    """Return the share hits / n, with its 95 % confidence interval: the exact one of Clopper and Pearson (binomial).

    If n = 0, the share and the ends of the interval are NaN.
    """
    from scipy import stats

    if not n:
        return Estimate(math.nan, math.nan, math.nan, 0)
    low, high = stats.binomtest(hits, n).proportion_ci(LEVEL, "exact")
    return Estimate(hits / n, float(low), float(high), n)


def guessing(hits: int, n: int, *, above: bool) -> float:
    """Return the p-value of `hits` among n answers, under the hypothesis that each is a hit with probability 1/2.

    above: test on one side, so that only many hits have a small p-value (for ABX); otherwise on both sides (for
    preference). NaN if n = 0.
    """
    from scipy import stats

    if not n:
        return math.nan
    return float(stats.binomtest(hits, n, 0.5, "greater" if above else "two-sided").pvalue)


def paired(metric: str, a: str, b: str, x: Sequence[float], y: Sequence[float]) -> PairedTest:
    """Return the tests of whether a metric differs between the variants a and b, paired by recording.

    The p-values are not corrected (see `holm_corrected`). metric, a, b: names, for the result. x, y: the values of a
    and of b, at least two each; x[k] and y[k] belong to the same recording.

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
    """Return p-values that are corrected for the number of tests by Holm's method, in the order of `values`.

    If all hypotheses are true, the probability that any corrected value is below a level is at most that level. The
    k-th smallest of m p-values is multiplied by m - k + 1. A corrected value is at least as large as those of smaller
    p-values, and at most 1. NaN stays NaN, and does not count as a test.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6,
    1979.
    """
    known = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    corrected, least = [math.nan] * len(values), 0.0
    for k, (value, place) in enumerate(known):
        least = corrected[place] = min(1.0, max(least, value * (len(known) - k)))
    return corrected


def holm_corrected(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return the tests with p-values that `holm` has corrected: those of the t-tests, and those of Wilcoxon's tests.

    All tests of each kind are corrected together.
    """
    t, wilcoxon = holm([one.t for one in tests]), holm([one.wilcoxon for one in tests])
    return [replace(one, t=p, wilcoxon=q) for one, p, q in zip(tests, t, wilcoxon, strict=True)]
