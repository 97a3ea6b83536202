"""A mixture of logistic distributions: its loss, its gradients and its draws."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp

from dspgraph import Array
from dspgraph_nodes._kernels.neural.draws import draw_logistic, inner_numbers, mixture_noise
from dspgraph_nodes.models.shared.distributions.logistic_mixture import LogisticMixture
from helpers import paths

GOLDEN = paths.GOLDEN / "wavenet" / "mol.npz"
recorded = pytest.mark.skipif(not GOLDEN.is_file(), reason="what the programs gave is recorded beside the repository")


def mixture(count: int, components: int, seed: int = 0, wide: bool = False) -> Array:
    """Return random parameters of mixtures, [count, 3 * components]: logits, means and log-scales.

    wide: log-scales from -4 to 0, otherwise from -9 to 0.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    logits, means = 2 * draw.standard_normal((count, components)), 1.6 * draw.random((count, components)) - 0.8
    return np.concatenate((logits, means, (-4 if wide else -9) * draw.random((count, components))), axis=1)


def classes_of(row: Array, levels: int) -> Array:
    """Return ln P of each of `levels` levels, [levels], from differences of the distribution function F of a mixture.

    The levels are equal intervals around -1 .. 1; the first and the last one are open to infinity. row: [3 * K], the
    parameters of the mixture. Where F of a component is above 1/2, differences of 1 - F are taken, which are more
    exact.
    """
    logits, means, log_scales = np.split(row, 3)
    edges = (2 * np.arange(1, levels) - levels) / (levels - 1)
    x = (edges[:, None] - means) * np.exp(-log_scales)
    below = np.concatenate((np.zeros((1, len(means))), expit(x), np.ones((1, len(means)))))
    above = np.concatenate((np.ones((1, len(means))), expit(-x), np.zeros((1, len(means)))))
    each = np.where(below[1:] < 0.5, np.diff(below, axis=0), -np.diff(above, axis=0))
    found: Array = np.log(each @ np.exp(logits - logsumexp(logits)))
    return found


def test_the_loss_is_that_of_the_interval_of_the_level() -> None:
    levels, y = 512, (2 * np.arange(512) - 511) / 511
    for row in mixture(8, 5):
        loss = LogisticMixture(5, levels).loss(torch.from_numpy(row).expand(levels, -1), torch.from_numpy(y))
        probable = classes_of(row, levels) > -25  # below, the difference of the test itself has no digits left
        np.testing.assert_allclose(loss.numpy()[probable], -classes_of(row, levels)[probable], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mean", [0.0, 0.99, 0.9995, -0.9995, -1.0])
def test_the_probabilities_of_all_levels_add_up_to_one(mean: float) -> None:
    """The sum is 1, but not by the published formula, which opens all levels beyond +-0.999 to infinity.

    For narrow mixtures whose mean is at least 0.999, or at most -0.999, the sum by that formula differs from 1 by more
    than 0.5; it reaches 30.
    """
    y = torch.linspace(-1, 1, 65536, dtype=torch.float64)
    for log_scale in (-2.0, -4.0, -9.0, -12.0):
        row = torch.tensor([0.0, mean, log_scale], dtype=torch.float64).expand(65536, -1)
        total = (-LogisticMixture(1).loss(row, y)).exp().sum()
        assert abs(float(total) - 1) < 1e-6
        single = (-LogisticMixture(1).loss(row.float(), y.float()).double()).exp().sum()
        assert abs(float(single) - 1) < 1e-4
    published = (-LogisticMixture(1, formula="published").loss(row, y)).exp().sum()
    assert abs(float(published) - 1) > 0.5 or abs(mean) < 0.999


def test_only_the_outermost_levels_are_open() -> None:
    """The losses of the levels -1 and 1 are those of the open tails, to 1e-4; at +-0.9995 they are larger by over 5.

    In the published formula, all levels beyond +-0.999 are open.
    """
    row = torch.tensor([0.0, 0.0, -2.0])
    loss = LogisticMixture(1).loss(row.expand(4, -1), torch.tensor([0.9995, 1.0, -0.9995, -1.0]))
    tail = math.log1p(math.exp((1 - 1 / 65535) * math.exp(2)))
    assert abs(float(loss[1]) - tail) < 1e-4
    assert abs(float(loss[3]) - tail) < 1e-4
    assert float(loss[0]) > tail + 5
    assert float(loss[2]) > tail + 5


def test_a_narrow_component_far_away_has_a_finite_loss_and_gradient() -> None:
    row = torch.tensor([[0.0, 0.8, -16.0]], requires_grad=True)
    loss = LogisticMixture(1).loss(row, torch.zeros(1)).sum()
    (gradient,) = torch.autograd.grad(loss, row)
    assert abs(float(loss.detach()) / (0.8 * math.exp(16)) - 1) < 1e-3  # the distance in scales
    assert torch.isfinite(gradient).all()


def test_a_log_scale_below_the_floor_counts_as_the_floor() -> None:
    row = torch.tensor([[0.0, 0.1, -9.0], [0.0, 0.1, -7.0]], requires_grad=True)
    loss = LogisticMixture(1, floor=-7.0).loss(row, torch.zeros(2))
    assert loss[0] == loss[1]
    (gradient,) = torch.autograd.grad(loss.sum(), row)
    assert gradient[0, 2] == 0


@recorded
@pytest.mark.parametrize(
    ("name", "classes", "floor"),
    [
        ("r9y9_default", 256, -7.0),
        ("r9y9_preset", 65536, -16.0),
        ("r9y9_2018", 65536, math.log(1e-14)),
        ("fatchord", 65536, math.log(1e-14)),
    ],
)
def test_the_published_formula_gives_what_the_programs_gave(name: str, classes: int, floor: float) -> None:
    golden = np.load(GOLDEN)
    params, y = torch.from_numpy(golden["params"]).requires_grad_(), torch.from_numpy(golden["y"])
    loss = LogisticMixture(10, classes, floor, "published").loss(params, y)
    np.testing.assert_allclose(loss.detach().numpy(), golden[f"nll_{name}"], rtol=1e-3)
    if name != "fatchord":
        (gradient,) = torch.autograd.grad(loss.sum(), params)
        expected = golden[f"grad_{name}"]
        # The programs lose digits where two values of the distribution function nearly agree.
        scale = np.abs(expected).max(axis=1, keepdims=True)
        assert np.abs(gradient.numpy() - expected).max(initial=0, where=scale < 1e5) < 2e-2 * scale.max()
        assert np.median(np.abs(gradient.numpy() - expected) / scale) < 1e-5


@recorded
@pytest.mark.parametrize(("classes", "floor"), [(65536, -16.0), (256, -7.0)])
def test_the_exact_formula_gives_the_exact_loss_and_gradient(classes: int, floor: float) -> None:
    golden = np.load(GOLDEN)
    params = torch.from_numpy(golden["params"].astype(np.float64)).requires_grad_()
    loss = LogisticMixture(10, classes, floor).loss(params, torch.from_numpy(golden["y"].astype(np.float64)))
    np.testing.assert_allclose(loss.detach().numpy(), golden[f"nll_exact_{classes}"], rtol=1e-9)
    (gradient,) = torch.autograd.grad(loss.sum(), params)
    np.testing.assert_allclose(gradient.numpy(), golden[f"grad_exact_{classes}"], rtol=1e-7, atol=1e-9)


def drawn_by_the_kernel(params: Array, numbers: Array, floor: float) -> Array:
    """Return samples [n] that the kernel draws, each in a lane of its own, from n mixtures.

    params: [n, 3 * K], the parameters; numbers: [n, K + 1], random numbers between 0 and 1, neither included; floor:
    the least log-scale, -inf for none.
    """
    rows, noise = np.ascontiguousarray(params.T), np.ascontiguousarray(mixture_noise(numbers).T)
    return np.array([draw_logistic(rows, noise, lane, floor) for lane in range(len(params))])


@recorded
@pytest.mark.parametrize(("name", "floor"), [("unclamped", None), ("clamped_m7", -7.0), ("fatchord", math.log(1e-14))])
def test_the_draws_are_those_of_the_programs(name: str, floor: Any) -> None:
    golden = np.load(GOLDEN)
    params = golden["sample_params"].T
    numbers = np.concatenate((golden["sample_u_mix"], golden["sample_u_log"][:, None]), axis=1)
    found = LogisticMixture(floor=floor).draw(torch.from_numpy(params), torch.from_numpy(numbers))
    np.testing.assert_allclose(found.numpy(), golden[f"sample_{name}"], rtol=0, atol=1e-6)
    by_kernel = drawn_by_the_kernel(params, numbers, -np.inf if floor is None else floor)
    np.testing.assert_allclose(by_kernel, golden[f"sample_{name}"], rtol=0, atol=1e-6)


def test_kernel_and_torch_draw_the_same() -> None:
    params = mixture(500, 7).astype(np.float32)
    numbers = inner_numbers(np.random.Generator(np.random.Philox(key=1)).random((500, 8)))
    found = LogisticMixture(7, floor=None).draw(torch.from_numpy(params), torch.from_numpy(numbers)).numpy()
    np.testing.assert_allclose(drawn_by_the_kernel(params, numbers, -np.inf), found, rtol=0, atol=1e-12)


def test_draws_have_the_distribution_of_the_mixture() -> None:
    """For each of 20 mixtures, the Kolmogorov-Smirnov statistic of 20,000 draws is below 1.95 / sqrt(20,000) = 0.0138.

    By chance it would be above in one of 1000 cases. It is taken between -1 and 1, to which the draws are limited.
    """
    count, draw = 20000, np.random.Generator(np.random.Philox(key=3))
    for row in mixture(20, 10, seed=2, wide=True):
        numbers = torch.from_numpy(inner_numbers(draw.random((count, 11))))
        found = LogisticMixture(floor=None).draw(torch.from_numpy(row).expand(count, -1), numbers).numpy()
        logits, means, log_scales = np.split(row, 3)
        x = np.sort(found)
        below = expit((x[:, None] - means) * np.exp(-log_scales)) @ np.exp(logits - logsumexp(logits))
        inside = np.abs(x) < 1  # the mass beyond is drawn as +-1
        worst = np.abs(below - (np.arange(count) + 0.5) / count)[inside].max() + 0.5 / count
        assert worst < 0.0138


def test_components_are_chosen_independently_at_every_time() -> None:
    """The drawn shares of the components differ from their weights by less than 0.05 (total variation distance).

    If all samples shared one vector of noise, as in a published script, this distance would be 0.75 in the median.
    """
    row = mixture(1, 10, seed=4)[0]
    row[10:20], row[20:] = np.linspace(-0.9, 0.9, 10), -9  # the component can be told from the sample
    numbers = inner_numbers(np.random.Generator(np.random.Philox(key=5)).random((5000, 11)))
    found = drawn_by_the_kernel(np.tile(row, (5000, 1)), numbers, -np.inf)
    counts = np.bincount(np.rint((found + 0.9) / 0.2).astype(int), minlength=10)
    weights = np.exp(row[:10] - logsumexp(row[:10]))
    assert np.abs(counts / 5000 - weights).sum() / 2 < 0.05


def test_leading_axes_stay() -> None:
    params = torch.from_numpy(mixture(12, 3).reshape(3, 4, 9))
    one = LogisticMixture(3)
    assert one.loss(params, torch.zeros(3, 4, dtype=torch.float64)).shape == (3, 4)
    assert one.draw(params, torch.full((3, 4, 4), 0.5)).shape == (3, 4)
    assert one.width == 9
