"""Measures of made sounds in comparison with real ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import sqrtm
from scipy.special import rel_entr
from scipy.stats import chi2_contingency, entropy

from dspgraph import Array
from dspgraph_nodes.models.shared.diversity import (
    SIGNIFICANCE,
    Classifier,
    VoronoiBins,
    frechet_distance,
    inception_score,
    mean_entropy,
)


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(0)


def clusters(draw: np.random.Generator, counts: list[int]) -> Array:
    """Return random points, [sum of counts, 2]; counts[k] of them, one after the other, lie near (10 * k, 0)."""
    places = np.repeat(np.arange(len(counts)), counts)
    return np.stack((10.0 * places, np.zeros(len(places))), 1) + 0.1 * draw.standard_normal((len(places), 2))


def test_the_bins_that_differ_are_those_of_the_test_of_two_proportions(draw: np.random.Generator) -> None:
    """The test of two proportions is equivalent to scipy's chi-squared test of a 2 x 2 table, without correction."""
    real, made = [40, 60, 50, 50], [40, 20, 30, 10]
    centres = np.stack((10.0 * np.arange(4), np.zeros(4)), 1)
    bins = VoronoiBins(centres, np.array(real) / sum(real), sum(real))
    p = [
        chi2_contingency([[a, sum(real) - a], [b, sum(made) - b]], correction=False).pvalue
        for a, b in zip(real, made, strict=True)
    ]
    assert bins.different(clusters(draw, made)) == np.mean(np.array(p) < SIGNIFICANCE) == 0.5


def test_k_means_finds_bins_that_hold_all_rows(draw: np.random.Generator) -> None:
    rows = clusters(draw, [30, 10, 20])
    bins = VoronoiBins.of(rows, 3, seed=1)
    order = np.argsort(bins.centres[:, 0])
    assert_allclose(bins.centres[order, 0], [0, 10, 20], atol=0.1)
    assert_allclose(bins.shares[order], [1 / 2, 1 / 6, 1 / 3])
    assert bins.different(rows) == 0


def test_of_one_distribution_few_bins_differ(draw: np.random.Generator) -> None:
    """The mean share of bins that differ is 0.05, the significance level, to 0.03.

    If all points move by 1 in each of their four dimensions, over half of the bins differ.
    """
    bins = VoronoiBins.of(draw.standard_normal((400, 4)), 20, seed=0)
    same = np.mean([bins.different(draw.standard_normal((200, 4))) for _ in range(50)])
    assert same == pytest.approx(SIGNIFICANCE, abs=0.03)  # 1000 bins: one deviation is 0.007
    assert bins.different(1 + draw.standard_normal((200, 4))) > 0.5


def test_the_classifier_finds_classes_and_is_unsure_between_them(draw: np.random.Generator) -> None:
    rows = clusters(draw, [20, 20, 20])
    classifier = Classifier.of(rows, np.repeat(np.arange(3), 20), 3)
    found = classifier.probabilities(clusters(draw, [5, 5, 5]))
    assert_allclose(found.sum(1), 1)
    assert (found.argmax(1) == np.repeat(np.arange(3), 5)).all() and found.max(1).min() > 0.9
    assert classifier.probabilities(np.array([[5.0, 0.0]])).max() < 0.9


def test_the_inception_score_is_that_of_its_formula(draw: np.random.Generator) -> None:
    p = draw.dirichlet(np.ones(5), 40)
    expected = np.exp(rel_entr(p, p.mean(0)).sum(1).mean())
    assert_allclose(inception_score(p), expected, rtol=1e-12)
    assert_allclose(inception_score(np.eye(5)), 5)
    assert_allclose(inception_score(np.tile(p[:1], (3, 1))), 1)
    assert_allclose(mean_entropy(p), entropy(p, axis=1).mean(), rtol=1e-12)
    assert mean_entropy(np.eye(5)) == 0


def test_the_frechet_distance_is_that_of_its_formula(draw: np.random.Generator) -> None:
    real, made = draw.standard_normal((50, 4)), 0.5 + 2 * draw.standard_normal((60, 4))
    one, two = np.cov(real.T), np.cov(made.T)
    apart = real.mean(0) - made.mean(0)
    expected = apart @ apart + np.trace(one + two - 2 * np.real(sqrtm(one @ two)))
    assert_allclose(frechet_distance(real, made), expected, rtol=1e-9)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
