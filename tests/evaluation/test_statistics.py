"""Confidence intervals and significance tests, compared with scipy and with published examples."""

import math

import numpy as np
import pytest
from scipy import stats

from dspgraph.evaluation.results import MOST_IN_PAIRS, Metric, Recording, Results, Score, Variant
from dspgraph.evaluation.statistics import guessing, holm, paired, share_interval, t_interval

NAN = math.nan


def test_the_interval_of_student() -> None:
    values = [3.0, 5.0, 10.0, 2.0]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = t_interval(values)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((5.0, low, high, 4))
    alone = t_interval([3.0])
    assert (alone.value, alone.n) == (3.0, 1) and math.isnan(alone.low)
    assert math.isnan(t_interval([]).value)


def test_the_exact_interval_of_a_share_and_the_chance_of_guessing() -> None:
    found = share_interval(0, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 1 - 0.025**0.1))
    assert guessing(5, 5, above=True) == pytest.approx(1 / 32)
    assert guessing(0, 5, above=True) == 1 and guessing(0, 5, above=False) == pytest.approx(1 / 16)
    assert math.isnan(guessing(0, 0, above=True)) and math.isnan(share_interval(0, 0).value)


def test_paired_tests_are_those_of_scipy() -> None:
    y, x = np.random.default_rng(1).standard_normal((2, 12))
    found = paired("mcd", "a", "b", x, y)
    assert found.t == pytest.approx(stats.ttest_rel(x, y).pvalue)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(x, y).pvalue)
    assert found.difference.value == pytest.approx(np.mean(x - y))


@pytest.mark.parametrize(("x", "t", "wilcoxon"), [([1.0, 2.0, 3.0], NAN, NAN), ([2.0, 3.0, 4.0], NAN, 0.25)])
def test_equal_differences_have_no_t_test(x: list[float], t: float, wilcoxon: float) -> None:
    found = paired("mcd", "a", "b", x, [1.0, 2.0, 3.0])  # three of three signs are equal: p = 2 / 2**3
    assert [found.t, found.wilcoxon] == pytest.approx([t, wilcoxon], nan_ok=True)


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, NAN, 0.9]) == pytest.approx([1.0, NAN, 1.0], nan_ok=True)
    assert holm([]) == []


def results(variants: int, values: dict[tuple[int, int], float]) -> Results:
    """Return the results of one metric, `mcd`, for four recordings.

    variants: the number of variants; values: (recording, variant) -> value, where both are numbered from 0. A pair that
    is not there has no value.
    """
    names = [f"v{k}" for k in range(variants)]
    recordings = [Recording(f"r{k}", "", 1.0) for k in range(4)]
    scores = [
        Score(one.id, name, {"mcd": values.get((r, v))})
        for r, one in enumerate(recordings)
        for v, name in enumerate(names)
    ]
    return Results("p", "", [Variant(name, name) for name in names], recordings,
                   [Metric("mcd", "dB", "lower", "m", "1")], scores)  # fmt: skip


def test_results_test_all_pairs_on_common_recordings_with_corrected_values() -> None:
    values = {(r, v): float(v + ((r + 1) * (v + 2)) % 5 / 10) for r in range(4) for v in range(3)}
    del values[3, 2]
    found = results(3, values).tests()
    assert [(one.a, one.b, one.difference.n) for one in found] == [("v0", "v1", 4), ("v0", "v2", 3), ("v1", "v2", 3)]
    plain = [
        stats.ttest_rel([values[r, a] for r in range(n)], [values[r, b] for r in range(n)]).pvalue
        for a, b, n in ((0, 1, 4), (0, 2, 3), (1, 2, 3))
    ]
    assert [one.t for one in found] == pytest.approx(holm(plain))
    assert results(3, {(0, v): 1.0 for v in range(3)}).tests() == [], "one recording tests nothing"


def test_many_variants_are_tested_with_the_first_only() -> None:
    count = MOST_IN_PAIRS + 1
    found = results(count, {(r, v): float(v + r * v) for r in range(4) for v in range(count)})
    assert [(one.a, one.b) for one in found.tests()] == [("v0", f"v{k}") for k in range(1, count)]
    assert "each is tested with the first" in found.tests_about


def test_a_notebook_shows_the_means_with_the_best_in_bold() -> None:
    shown = results(2, {(r, v): 1.0 + v for r in range(4) for v in range(2)})._repr_html_()
    assert shown == (
        "<table><tr><th>variant</th><th>mcd (dB)</th></tr><tr><td>v0</td><td><b>1.00</b></td></tr>"
        "<tr><td>v1</td><td>2.00</td></tr></table>"
    )
