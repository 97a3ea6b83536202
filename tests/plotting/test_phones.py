"""The picture of a phone study: rows, bins, counts and densities are at the right places."""

import math

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose
from scipy.stats import logistic

from dspgraph import Array, Frames, RequestError
from dspgraph.plotting.phone_study import PhoneStudy
from dspgraph.plotting.phones import logistic_density, phone_heat_map
from helpers.mixtures import COMPONENTS, RATE, STREAM, mixtures, spoken

SCALES = {"a": 10**-3.25, "s$_1^": 10**-1.55}
PHONES = spoken(list(SCALES), 4000)
ROWS = mixtures(PHONES, SCALES, 0.3)


def study(kind: str = "logistic_mixture", rows: Array = ROWS) -> PhoneStudy:
    codes = np.concatenate([np.full(b - a, list(SCALES).index(name)) for a, b, name in PHONES])
    found = PhoneStudy(kind)
    stream = STREAM if kind == "logistic_mixture" else Frames(RATE, kind, 1)
    found.add("u", stream, 0, rows, codes, tuple(SCALES))
    return found


def test_a_row_of_the_heat_map_has_the_shares_of_a_phone() -> None:
    given = study()
    edges, counts = given.histogram()
    figure = phone_heat_map(given, "a study")
    heat, bars, *_ = figure.axes
    (image,) = heat.images
    assert_allclose(np.asarray(image.get_array()).sum(axis=1), 1)
    assert_allclose(np.asarray(image.get_array()), counts / counts.sum(axis=1, keepdims=True))
    assert_allclose(image.get_extent(), (edges[0], edges[-1], 1.5, -0.5))  # the first phone is at the top
    assert [text.get_text() for text in heat.get_yticklabels()] == list(SCALES)
    assert [bar.get_width() for bar in bars.patches if isinstance(bar, Rectangle)] == [
        given.rows[phone].samples for phone in SCALES
    ]
    assert [text.get_text() for text in bars.texts] == [f" {given.rows[phone].samples:,}" for phone in SCALES]


def test_the_densities_are_those_of_the_least_and_greatest_scale() -> None:
    given = study()
    figure = phone_heat_map(given, "a study", "a")
    panels = [axis for axis in figure.axes if axis.get_ylabel() == "density"]
    for axis, extreme in zip(panels, (given.rows["a"].least, given.rows["a"].greatest), strict=True):
        assert f"10^{extreme.log10_scale:.2f}, u, {extreme.seconds:.4f} s" in axis.get_title()
        logits, means, log_scales = np.split(extreme.row, 3)
        weights = np.exp(logits) / np.exp(logits).sum()
        x, density = (np.asarray(one) for one in axis.lines[-1].get_data())
        expected = (weights[:, None] * logistic.pdf(x, means[:, None], np.exp(log_scales)[:, None])).sum(axis=0)
        assert_allclose(density, expected, rtol=1e-9, atol=1e-9)
        assert_allclose(np.trapezoid(density, x), 1, atol=0.03)  # narrow peaks are not missed
        assert len(axis.lines) == 1 + (weights >= 0.01).sum()


def test_studies_of_scales_have_no_densities() -> None:
    figure = phone_heat_map(study("log_scale", ROWS[:, 2 * COMPONENTS : 2 * COMPONENTS + 1]), "a study")
    assert not [axis for axis in figure.axes if axis.get_ylabel() == "density"]
    assert "scale s" in figure.axes[0].get_xlabel()


def test_an_unknown_phone_is_refused() -> None:
    with pytest.raises(RequestError, match="no sample has the phone 'b'; there are: a, s"):
        phone_heat_map(study(), "a study", "b")


def test_a_density_is_scipys_and_finite_far_away() -> None:
    x = np.array([-1e9, -3.0, 0.0, 0.5, 40.0, 1e300])
    assert_allclose(
        logistic_density(x, np.array(0.3), np.array(0.7)), logistic.pdf(x, 0.3, 0.7), rtol=1e-12, atol=1e-300
    )
    assert math.isclose(float(logistic_density(np.zeros(1), np.zeros(1), np.full(1, 1e-30))[0]), 0.25e30)
