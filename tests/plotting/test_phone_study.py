"""The phone study, with known results, compared with histograms by numpy."""

import csv
import io
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from dspgraph import Frames, RequestError
from dspgraph.plotting.phone_study import BINS_PER_DECADE, MOST_LABELS, PhoneStudy
from helpers.mixtures import COMPONENTS, RATE, STREAM, mixtures, spoken

SCALES = {name: 10.0**power for name, power in {"aa": -3.25, "s": -1.55, "t": -2.05, "m": -3.65, "sil": -4.95}.items()}
"""Phone -> its scale, which lies in the middle of a bin of the histogram."""

N = 20000
LABELS = ("(outside)", *sorted(SCALES))


def study(spread: float, blocks: int = 1) -> tuple[PhoneStudy, np.ndarray, np.ndarray]:
    phones = spoken(list(SCALES), N)
    rows = mixtures(phones, SCALES, spread)
    codes = np.concatenate([np.full(b - a, LABELS.index(name)) for a, b, name in phones])
    found = PhoneStudy("logistic_mixture")
    for part in np.array_split(np.arange(N), blocks):
        found.add("u", STREAM, int(part[0]), rows[part], codes[part], LABELS)
    return found, rows, codes


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_a_scale_that_is_set_for_each_phone_is_recovered_within_a_bin(spread: float) -> None:
    """The bin with the most samples of a phone is that of its scale, or a neighbour if the scales vary.

    The mean of log10(scale) is right too. spread: the standard deviation of natural logarithms of the scales.
    """
    found, _, _ = study(spread)
    edges, counts = found.histogram()
    assert found.phones == sorted(SCALES)
    assert_allclose(np.diff(edges), 1 / BINS_PER_DECADE)
    for phone, count in zip(found.phones, counts, strict=True):
        peak = edges[count.argmax()] + 0.5 / BINS_PER_DECADE
        assert abs(peak - math.log10(SCALES[phone])) < (0.5 if spread == 0 else 1.01) / BINS_PER_DECADE
        assert_allclose(count.sum(), found.rows[phone].samples)  # every sample counts 1
        assert_allclose(found.rows[phone].mean, math.log10(SCALES[phone]), atol=1e-9 if spread == 0 else 0.02)


def test_the_counts_are_those_of_independent_draws() -> None:
    """The counts are sums of weights; drawn components have a total variation distance below 0.05 from these counts.

    There are 20,000 samples. If all samples share one vector of random numbers, as in a published script, the shares
    of samples for which each component is drawn have a distance above 0.3 from the weights (median of ten vectors).
    """
    found, rows, _ = study(0.5)
    edges, counts = found.histogram()
    exact = counts.sum(axis=0) / N
    draw = np.random.default_rng(5)
    logits, log_scales = rows[:, :COMPONENTS], rows[:, 2 * COMPONENTS :] / math.log(10)

    def variation(gumbel: np.ndarray) -> float:
        component = (logits + gumbel).argmax(axis=1)[:, None]
        counts = np.histogram(np.take_along_axis(log_scales, component, 1), np.r_[-np.inf, edges[1:-1], np.inf])[0]
        return float(0.5 * np.abs(counts / N - exact).sum())

    assert variation(draw.gumbel(size=logits.shape)) < 0.05
    weights = softmax(logits, axis=1)
    expected, _ = np.histogram(log_scales, np.r_[-np.inf, edges[1:-1], np.inf], weights=weights)
    assert_allclose(exact, expected / N, atol=2e-6)

    def chosen(gumbel: np.ndarray) -> np.ndarray:
        return np.bincount((logits + gumbel).argmax(axis=1), minlength=COMPONENTS) / N

    assert 0.5 * np.abs(chosen(draw.gumbel(size=logits.shape)) - weights.mean(axis=0)).sum() < 0.05
    shared = [0.5 * np.abs(chosen(draw.gumbel(size=COMPONENTS)) - weights.mean(axis=0)).sum() for _ in range(10)]
    assert float(np.median(shared)) > 0.3


def test_blocks_change_nothing() -> None:
    (one, _, _), (many, _, _) = study(0.5), study(0.5, 77)
    assert one.seconds == many.seconds
    for phone in one.phones:
        assert one.rows[phone].samples == many.rows[phone].samples
        assert_allclose(one.rows[phone].counts, many.rows[phone].counts, rtol=1e-12, atol=1e-12)
        assert_allclose([one.rows[phone].mean, one.rows[phone].deviation], [many.rows[phone].mean, many.rows[phone].deviation], rtol=1e-9)  # fmt: skip
        for a, b in ((one.rows[phone].least, many.rows[phone].least), (one.rows[phone].greatest, many.rows[phone].greatest)):  # fmt: skip
            assert a[:4] == b[:4]


def test_the_extremes_are_samples_of_the_phone() -> None:
    found, rows, codes = study(0.5)
    expected = (softmax(rows[:, :COMPONENTS], axis=1) * rows[:, 2 * COMPONENTS :]).sum(axis=1) / math.log(10)
    for phone in found.phones:
        items = np.flatnonzero(codes == LABELS.index(phone))
        least, greatest = found.rows[phone].least, found.rows[phone].greatest
        assert (least.item, greatest.item) == (items[expected[items].argmin()], items[expected[items].argmax()])
        assert_allclose((least.log10_scale, greatest.log10_scale), (expected[items].min(), expected[items].max()))
        assert (least.recording, least.seconds) == ("u", least.item / RATE)
        assert_allclose(least.row, rows[least.item])


def test_the_phone_that_varies_most_is_no_pause() -> None:
    found = PhoneStudy("log_scale")
    stream = Frames(RATE, "log_scale", 1)
    rows = np.array([[-9.0], [-1.0], [-5.0], [-4.0], [-5.0], [-4.5]])
    found.add("u", stream, 0, rows, np.array([0, 0, 1, 1, 2, 2]), ("SIL", "a", "b"))
    assert found.widest() == "a"
    with pytest.raises(
        RequestError, match="no sample has the phone 'A'; did you mean|no sample has the phone 'A'; there"
    ):
        found.row("A")


def test_scales_beyond_all_bins_are_counted_in_the_outermost() -> None:
    found = PhoneStudy("log_scale")
    rows = np.array([[-1e4], [1e4], [0.0]])
    found.add("u", Frames(RATE, "log_scale", 1), 0, rows, np.zeros(3, np.int64), ("a",))
    edges, counts = found.histogram()
    assert (edges[0], edges[-1]) == (-20, 5)
    assert counts.sum() == 3
    assert counts[0, [0, -1]].tolist() == [1, 1]


def test_columns_with_a_millionth_of_the_counts_are_added_to_the_outermost() -> None:
    found = PhoneStudy("logistic_mixture")
    rows = np.tile([20.0, 0.0, 0.0, 0.0, math.log(0.002), -30.0], (100, 1))  # the other weight is 2e-9
    found.add("u", Frames(RATE, "logistic_mixture", 6), 0, rows, np.zeros(100, np.int64), ("a",))
    edges, counts = found.histogram()
    assert_allclose(edges, [-2.7, -2.6])
    assert_allclose(counts, [[100]])


def test_the_table_says_what_was_counted_and_no_text_is_a_formula(tmp_path: Path) -> None:
    found = PhoneStudy("log_scale")
    rows = np.log(10) * np.array([[-2.05], [-1.55], [-2.05]])
    found.add("-u", Frames(100, "log_scale", 1), 200, rows, np.array([1, 1, 1]), ("(outside)", "=a"))
    text = found.write(tmp_path / "a.csv").read_text()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["phone"], row["least_recording"], row["greatest_recording"]) == ("'=a", "'-u", "'-u")
    numbers = {key: float(value) for key, value in row.items() if key not in ("phone", "least_recording", "greatest_recording")}  # fmt: skip
    expected = {
        "samples": 3, "seconds": 0.03, "mean_log10_scale": -5.65 / 3, "deviation_log10_scale": math.sqrt(2) / 6,
        "least_log10_scale": -2.05, "least_seconds": 2.0, "greatest_log10_scale": -1.55, "greatest_seconds": 2.01,
        **{f"count_from_{edge:.1f}": 0.0 for edge in (-2.0, -1.9, -1.8, -1.7)}, "count_from_-2.1": 2, "count_from_-1.6": 1,
    }  # fmt: skip
    assert set(numbers) == set(expected)
    assert_allclose([numbers[key] for key in expected], list(expected.values()), atol=1e-7)
    assert found.seconds == {"=a": Fraction(3, 100)}


def test_a_tier_of_words_is_refused() -> None:
    found, stream = PhoneStudy("log_scale"), Frames(RATE, "log_scale", 1)
    n = MOST_LABELS + 1
    with pytest.raises(
        RequestError, match="more than 1000 different labels, for instance 'w0': choose the tier of phones"
    ):
        found.add("u", stream, 0, np.zeros((n, 1)), np.arange(n), tuple(f"w{k}" for k in range(n)))
