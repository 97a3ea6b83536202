"""Scales of mixtures of logistics, compared with scipy's logistic distribution and with mixtures of known scales."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp, softmax
from scipy.stats import logistic

from dspgraph import Array, Audio, Frames, ParameterError, generator
from dspgraph.testing import Example
from dspgraph_nodes.neural.mixture_scale import MixtureScale, mixture_scale

RNG = np.random.default_rng(88)
K = 10
STREAM, SPEECH = Frames(16000, "logistic_mixture", 3 * K), Audio(16000)


def mixtures(n: int, k: int = K) -> Array:
    """Return n random mixtures of k components, [n, 3 * k], with scales from 1e-4 to 0.1 and means within +-0.5."""
    logits, means = 2 * RNG.standard_normal((n, k)), RNG.uniform(-0.5, 0.5, (n, k))
    return np.concatenate([logits, means, RNG.uniform(math.log(1e-4), math.log(0.1), (n, k))], axis=1)


def draws(rows: Array, clip: bool = True) -> tuple[Array, Array]:
    """Draw a sample from each mixture: return the samples [n], and the number of the component of each [n].

    rows: [n, 3 * k], the mixtures of k components; clip: whether samples are limited to -1 .. 1.
    """
    logits, means, log_scales = np.split(rows, 3, axis=1)
    component = (logits + RNG.gumbel(size=logits.shape)).argmax(axis=1)
    mean, log_scale = (np.take_along_axis(one, component[:, None], 1)[:, 0] for one in (means, log_scales))
    x = mean + np.exp(log_scale) * RNG.logistic(size=len(rows))
    return np.clip(x, -1, 1) if clip else x, component


ROWS = mixtures(700)
X = draws(ROWS)[0]
EXAMPLES = [
    Example(MixtureScale(), mixture=(STREAM, ROWS), x=(SPEECH, X)),
    Example(MixtureScale(sample_bits=None, seed=3), mixture=(STREAM, ROWS), x=(SPEECH, X)),
    Example(MixtureScale(sample_bits=8), mixture=(STREAM.like(width=6), ROWS[:, ::5]), x=(SPEECH, X)),
]


def render(rows: Array, x: Array, bits: int | None = 16, seed: int = 0) -> tuple[Array, Array, Array]:
    drawn, expected, deviation = mixture_scale(rows, x, generator(seed), bits)
    return drawn[:, 0], expected[:, 0], deviation[:, 0]


def test_expected_scale_and_deviation_are_the_formulas() -> None:
    """The outputs equal the mean log-scale and ln sqrt(E x**2 - (E x)**2), computed with scipy's logistic."""
    weights = softmax(ROWS[:, :K], axis=1)
    means, scales = ROWS[:, K : 2 * K], np.exp(ROWS[:, 2 * K :])
    _, expected, deviation = render(ROWS, X)
    assert_allclose(expected, (weights * np.log(scales)).sum(axis=1), rtol=1e-13)
    moments = means**2 + logistic.var() * scales**2
    variance = (weights * moments).sum(axis=1) - (weights * means).sum(axis=1) ** 2
    assert_allclose(deviation, 0.5 * np.log(variance), rtol=0, atol=1e-12)


def test_a_narrow_mixture_far_from_0_keeps_its_deviation() -> None:
    """The deviation is right where E x**2 - (E x)**2 is useless in float64.

    This difference is 0 for the scales 1e-12 at the mean 0.9 and e**-400 at 0.5, and overflows for e**400.
    """
    rows = np.array(
        [[0, 0, 0.9, 0.9, math.log(1e-12), math.log(1e-12)], [0, 0, 0.5, 0.5, -400, -400], [0, 0, 0, 0, 400, 400]]
    )
    deviation = render(rows, np.zeros(3))[2]
    assert_allclose(deviation, rows[:, 4] + math.log(math.pi / math.sqrt(3)), rtol=1e-12)


@pytest.mark.parametrize("bits", [None, 16, 8])
def test_a_component_is_drawn_with_its_probability_given_the_sample(bits: int | None) -> None:
    """In 20,000 rows of one mixture and one sample, the shares are within 4.5 standard deviations of scipy's posterior."""
    row = np.array([0.5, -1.0, 0.2, 0.1, -0.2, 0.3, *np.log([0.02, 0.3, 0.004])])
    for x in (0.11, 0.29, -0.6, 1.0, -1.0):
        half = 0 if bits is None else 1 / (2**bits - 1)
        laws = [logistic(mean, math.exp(scale)) for mean, scale in zip(row[3:6], row[6:], strict=True)]
        if abs(x) == 1:
            likelihood = [law.sf(x - half) if x > 0 else law.cdf(x + half) for law in laws]
        else:
            likelihood = [law.cdf(x + half) - law.cdf(x - half) if half else law.pdf(x) for law in laws]
        expected = softmax(row[:3]) * likelihood
        expected /= expected.sum()
        drawn = render(np.tile(row, (20000, 1)), np.full(20000, x), bits)[0]
        shares = [(drawn == scale).mean() for scale in row[6:]]
        assert sum(shares) == 1
        assert (np.abs(shares - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / 20000) + 1e-9).all()


@pytest.mark.parametrize("bits", [None, 16])
def test_drawn_scales_have_the_distribution_of_those_that_were_drawn(bits: int | None) -> None:
    """Histograms of drawn and of true log-scales are within 0.05 (total variation distance) of the exact one.

    There are 5000 samples. Taking the most probable component would prefer narrow ones, by more than 0.05 for
    components this close together.
    """
    n, k = 5000, 4
    rows = np.concatenate([np.tile([0.0, 0.5, 1.0, -0.5], (n, 1)), RNG.uniform(-0.01, 0.01, (n, k)), np.log([0.005, 0.02, 0.05, 0.15]) + 0.05 * RNG.standard_normal((n, k))], axis=1)  # fmt: skip
    x, component = draws(rows)
    edges = np.linspace(math.log(0.002), math.log(0.4), 25)
    exact = np.histogram(rows[:, 2 * k :], edges, weights=softmax(rows[:, :k], axis=1))[0] / n
    found = np.histogram(render(rows, x, bits)[0], edges)[0] / n
    true = np.histogram(np.take_along_axis(rows[:, 2 * k :], component[:, None], 1), edges)[0] / n
    assert abs(exact.sum() - 1) < 1e-12
    assert 0.5 * np.abs(true - exact).sum() < 0.05
    assert 0.5 * np.abs(found - exact).sum() < 0.05
    terms = [
        math.log(share) + logistic.logpdf(x, rows[:, k + j], np.exp(rows[:, 2 * k + j]))
        for j, share in enumerate(softmax(rows[0, :k]))
    ]
    likely = (
        np.histogram(np.take_along_axis(rows[:, 2 * k :], np.argmax(np.array(terms), axis=0)[:, None], 1), edges)[0] / n
    )
    assert 0.5 * np.abs(likely - exact).sum() > 0.05


def test_samples_in_steps_are_explained_by_components_narrower_than_a_step() -> None:
    """In 16-bit steps, a sample 18 scales from the mean of a narrow component is still attributed to this component.

    The density of the component at the sample is only about e**-17 of its peak, but the step reaches to its mean. By
    density alone, the sample is attributed to the wide component.
    """
    step = 2 / 65535
    row = np.array([0.0, 0.0, 0.3 * step, 0.3 * step, math.log(5e-7), math.log(1e-3)])
    x = np.zeros(2000)
    in_steps, by_density = (render(np.tile(row, (2000, 1)), x, bits)[0] for bits in (16, None))
    assert (in_steps == row[4]).mean() > 0.97  # the narrow one has almost all of its probability in this step
    assert (by_density == row[4]).mean() < 0.03


def test_extreme_parameters_give_numbers() -> None:
    rows = np.array([
        [1e4, -1e4, 0.0, 0.5, -5.0, -5.0],  # a weight of 0
        [0.0, 0.0, 100.0, -100.0, -32.0, -32.0],  # all probabilities are 0 in float64: the nearest mean wins
        [0.0, 0.0, 0.0, 0.0, -5000.0, 60.0],
        [0.0, 0.0, 1e30, 1e30, -700.0, 700.0],
    ])  # fmt: skip
    for bits in (None, 16):
        drawn, expected, deviation = render(rows, np.array([0.5, 1e-3, 0.0, -1.0]), bits)
        assert np.isfinite([drawn, expected, deviation]).all()
        assert drawn[0] == -5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_that_of_the_mixture(dtype: Any) -> None:
    found = mixture_scale(ROWS.astype(dtype), X.astype(dtype), generator(0))
    for column, wide in zip(found, mixture_scale(ROWS.astype(dtype).astype(float), X.astype(dtype), generator(0)), strict=True):  # fmt: skip
        assert column.dtype == dtype
        assert_allclose(column, wide, rtol=float(np.finfo(dtype).eps))  # rounded once


def test_one_component_has_its_own_scale() -> None:
    rows = ROWS[:, [0, K, 2 * K]]
    drawn, expected, deviation = render(rows, X)
    assert_array_equal(drawn, rows[:, 2])
    assert_allclose(expected, rows[:, 2], rtol=1e-15)
    assert_allclose(deviation, rows[:, 2] + math.log(math.pi / math.sqrt(3)), rtol=1e-14)


def test_the_evidence_is_that_of_scipy() -> None:
    """Each component is drawn as often as its posterior probability says, which is computed from scipy's densities."""
    rows = np.tile(mixtures(1, 3), (4000, 1))
    x = draws(rows, clip=False)[0]
    terms = np.log(softmax(rows[:, :3], axis=1)) + logistic.logpdf(x[:, None], rows[:, 3:6], np.exp(rows[:, 6:]))
    posterior = np.exp(terms - logsumexp(terms, axis=1, keepdims=True))
    inside = np.abs(x) < 1
    drawn = render(rows[inside], x[inside], None)[0]
    for k in range(3):
        share, mean = (drawn == rows[0, 6 + k]).mean(), posterior[inside, k].mean()
        assert abs(share - mean) < 4.5 * math.sqrt(0.25 / inside.sum())


@pytest.mark.parametrize(
    ("mixture", "x", "message"),
    [
        (STREAM.like(width=29), SPEECH, "takes real rows of K logits, K means and K log-scales; found"),
        (STREAM.like(dtype=np.dtype(np.complex128)), SPEECH, "takes real rows"),
        (STREAM, Audio(8000), "takes a row for each sample; found"),
        (STREAM, Audio(16000, channels=2), "takes one channel"),
    ],
)
def test_streams_that_do_not_fit_are_refused(mixture: Frames, x: Audio, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MixtureScale().streams(mixture, x)


def test_kinds_rate_and_centre() -> None:
    scale = STREAM.like(kind="log_scale", width=1)
    assert MixtureScale().streams(STREAM, SPEECH) == (scale, scale, scale.like(kind="log_deviation"))
