from collections.abc import Iterator

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.autograd import gradcheck

from dspgraph_nodes._kernels.signal.delta import DeltaWindow, delta_features
from dspgraph_nodes._kernels.signal.mlpg import precisions, trajectory, window_terms
from dspgraph_nodes.models.mlpg import mlpg

STATIC: DeltaWindow = (0, 0, [1.0])
DELTA: DeltaWindow = (1, 1, [-0.5, 0.0, 0.5])
SETS: dict[str, list[DeltaWindow]] = {
    "static": [STATIC],
    "delta": [STATIC, DELTA],
    "delta_delta": [STATIC, DELTA, (1, 1, [1.0, -2.0, 1.0])],
    "five": [STATIC, (2, 2, [-0.2, -0.1, 0.0, 0.1, 0.2])],
    "lopsided": [STATIC, (1, 0, [-1.0, 1.0]), (0, 3, [0.3, 0.0, -0.5, 0.2])],
}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(35)
        yield


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    means, variances = torch.randn(*shape, dtype=dtype), 0.1 + 4 * torch.rand(*shape, dtype=dtype)
    return means.requires_grad_(), variances.requires_grad_()


@pytest.mark.parametrize("frames", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("windows", SETS)
def test_the_gradients_of_means_and_variances_are_those_of_finite_differences(windows: str, frames: int) -> None:
    # The bounds of gradcheck itself let a gradient pass that is 0.1 % wrong.
    assert gradcheck(
        lambda m, v: mlpg(m, v, SETS[windows]), drawn(frames, 2 * len(SETS[windows])), eps=1e-6, atol=1e-8, rtol=1e-6
    )


@pytest.mark.parametrize(
    "shape",
    [(6,), (1, 6), (7, 6), (1, 7, 6), (3, 1, 6), (3, 7, 1), (3, 7, 6)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_variances_that_are_broadcast_get_the_sum_of_the_gradients(shape: tuple[int, ...]) -> None:
    means, _ = drawn(3, 7, 6)
    _, variances = drawn(*shape)
    assert gradcheck(
        lambda m, v: mlpg(m, v, SETS["delta_delta"], [7, 4, 5]), (means, variances), eps=1e-6, atol=1e-8, rtol=1e-6
    )


def test_a_padded_batch_is_each_signal_alone_bit_for_bit() -> None:
    lengths = [9, 1, 40, 0, 23]
    means, variances = drawn(5, 40, 6)
    with torch.no_grad():  # padding is not looked at, be it what it may
        for b, n in enumerate(lengths):
            means[b, n:], variances[b, n:] = torch.nan, -1.0
    y = mlpg(means, variances, SETS["delta_delta"], torch.tensor(lengths))
    weights = torch.randn(5, 40, 2, dtype=torch.float64)
    to_means, to_variances = torch.autograd.grad(y, (means, variances), weights)
    for b, n in enumerate(lengths):
        one = means[b, :n].detach().requires_grad_()
        var = variances[b, :n].detach().requires_grad_()
        alone = mlpg(one, var, SETS["delta_delta"])
        gradients = torch.autograd.grad(alone, (one, var), weights[b, :n])
        for found, expected in zip((y, to_means, to_variances), (alone, *gradients), strict=True):
            assert torch.equal(found[b, :n], expected)
            assert not found[b, n:].any()


@pytest.mark.parametrize("windows", SETS)
def test_it_is_what_the_node_computes(windows: str) -> None:
    means, variances = drawn(50, 3 * len(SETS[windows]))
    m, v = means.detach().numpy(), variances.detach().numpy()
    terms = window_terms(SETS[windows])
    assert_array_equal(
        mlpg(means, variances, SETS[windows]).detach().numpy(), trajectory(m, precisions(v, 50, terms), terms)[0]
    )


def test_it_is_nnmnkwiis() -> None:
    # nnmnkwii 0.1.3, numpy 2.4: mlpg(n * 7919 % 1009 / 1009 - 0.5, n * 104729 % 997 / 997 + 0.05, windows) of
    # n = np.arange(18).reshape(3, 6), windows static, delta, delta-delta.
    n = torch.arange(18).reshape(3, 6)
    means, variances = (n * 7919 % 1009).double() / 1009 - 0.5, (n * 104729 % 997).double() / 997 + 0.05
    expected = [
        [-0.5117714432379964, 0.33404459930698177],
        [-0.37929527544869573, 0.2709559699229559],
        [-0.2393572628206159, -0.08513360242851932],
    ]
    assert_allclose(mlpg(means, variances, SETS["delta_delta"]).numpy(), expected, rtol=0, atol=1e-14)


def test_the_gradient_of_the_means_is_nnmnkwiis() -> None:
    # nnmnkwii 0.1.3: paramgen.mlpg_grad(means, variances, windows, g)[:, [0, 2, 4]] of the numbers above, with
    # g = [[1.0, 2.0], [-0.5, 0.25], [0.0, 3.0]]; it computes in float32.
    n = torch.arange(18).reshape(3, 6)
    means, variances = (n * 7919 % 1009).double() / 1009 - 0.5, (n * 104729 % 997).double() / 997 + 0.05
    y = mlpg(means.requires_grad_(), variances, SETS["delta_delta"])
    (found,) = torch.autograd.grad(y, means, torch.tensor([[1.0, 2.0], [-0.5, 0.25], [0.0, 3.0]]).double())
    assert_allclose(
        found[:, [0, 2, 4]].numpy(),
        [[0.77123332, 0.0, 0.0], [-0.165979207, -0.123512588, 0.167010397], [-0.105254106, 0.0, 0.0]],
        rtol=0,
        atol=1e-6,
    )  # float32 of numbers about 1


def test_the_features_of_a_trajectory_give_it_back_under_any_variance() -> None:
    x = torch.randn(1000, 5, dtype=torch.float64)
    means = torch.from_numpy(delta_features(x.numpy(), SETS["delta_delta"]))
    variances = 0.5 + 1.5 * torch.rand(1000, 15, dtype=torch.float64)
    found = mlpg(means, variances, SETS["delta_delta"])
    assert_allclose(found.numpy(), x.numpy(), rtol=0, atol=8e-15)  # as known of this solution; measured 5e-15


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_device_are_kept_and_single_is_double_rounded(dtype: torch.dtype, device: str) -> None:
    means, variances = (array.detach().to(device, dtype).requires_grad_() for array in drawn(2, 30, 6))
    y = mlpg(means, variances, SETS["delta_delta"], [30, 12])
    torch.autograd.backward(y.square().sum())
    for tensor in (y, means.grad, variances.grad):
        assert tensor is not None
        assert (tensor.dtype, tensor.device) == (means.dtype, means.device)
    double = mlpg(means.detach().double().cpu(), variances.detach().double().cpu(), SETS["delta_delta"], [30, 12])
    assert torch.equal(y.detach().cpu(), double.to(dtype))


def test_strided_and_expanded_tensors_are_taken() -> None:
    means, variances = drawn(6, 30)
    strided = mlpg(means.T, variances.T, SETS["delta_delta"])
    assert torch.equal(strided, mlpg(means.T.contiguous(), variances.T.contiguous(), SETS["delta_delta"]))
    torch.autograd.backward(strided.sum())
    row = variances[:, 0].detach()
    one, all_rows = mlpg(means.T, row, SETS["delta_delta"]), mlpg(means.T, row.repeat(30, 1), SETS["delta_delta"])
    assert torch.equal(one, all_rows)


def test_a_gradient_descent_recovers_a_trajectory() -> None:
    target = torch.sin(torch.arange(40) / 5).double()[:, None]
    means = torch.zeros(40, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([means], lr=0.3)
    losses = []
    for _ in range(200):
        loss = (mlpg(means, torch.ones(3, dtype=torch.float64), SETS["delta_delta"]) - target).square().sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 1e-3 * losses[0]


def test_a_batch_of_none_and_signals_of_no_frames_are_taken() -> None:
    assert mlpg(torch.zeros(0, 5, 6), torch.ones(6), SETS["delta_delta"]).shape == (0, 5, 2)
    assert mlpg(torch.zeros(0, 6), torch.ones(6), SETS["delta_delta"]).shape == (0, 2)
    means, variances = drawn(3, 4, 6)
    torch.autograd.backward(mlpg(means, variances, SETS["delta_delta"], [0, 0, 0]).sum())
    assert means.grad is not None
    assert not means.grad.any()


def test_only_the_gradients_that_are_asked_for_are_made() -> None:
    means, variances = drawn(9, 6)
    torch.autograd.backward(mlpg(means, variances.detach(), SETS["delta_delta"]).sum())
    assert means.grad is not None
    torch.autograd.backward(mlpg(means.detach(), variances, SETS["delta_delta"]).sum())
    assert variances.grad is not None


def test_a_second_derivative_is_refused_not_wrong() -> None:
    means, variances = drawn(9, 6)
    (gradient,) = torch.autograd.grad(
        mlpg(means, variances, SETS["delta_delta"]).square().sum(), means, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(gradient.sum())


def test_a_result_changed_in_place_changes_no_gradient() -> None:
    means, variances = drawn(9, 6)
    g = torch.randn(9, 2, dtype=torch.float64)
    expected = torch.autograd.grad(mlpg(means, variances, SETS["delta_delta"]), variances, g)[0]
    y = mlpg(means, variances, SETS["delta_delta"])
    y.detach().zero_()
    assert torch.equal(torch.autograd.grad(y, variances, g)[0], expected)


def test_means_changed_in_place_before_the_backward_are_refused() -> None:
    means, variances = drawn(9, 6)
    inner = means * 1
    y = mlpg(inner, variances, SETS["delta_delta"])
    inner.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(y.sum())


@pytest.mark.parametrize(
    ("means", "variances", "windows", "lengths", "message"),
    [
        ((9, 6), (9, 6), [DELTA, STATIC], None, "the first window is .*, not the static one"),
        ((9, 7), (9, 7), SETS["delta"], None, "columns that 2 windows divide"),
        ((6,), (6,), SETS["delta"], None, r"takes floating-point means \[T, D windows\]"),
        ((9, 6), (8, 6), SETS["delta"], None, r"\[8, 6\] does not broadcast to \[9, 6\]"),
        ((9, 6), (2, 9, 6), SETS["delta"], None, "does not broadcast"),
        ((2, 9, 6), (6,), SETS["delta"], [9], r"2 lengths from 0 to 9; found \[9\]"),
        ((2, 9, 6), (6,), SETS["delta"], [9, 10], r"found \[9, 10\]"),
        ((9, 6), (6,), SETS["delta"], [-1], r"1 lengths from 0 to 9; found \[-1\]"),
    ],
)
def test_what_does_not_fit_is_refused(
    means: tuple[int, ...],
    variances: tuple[int, ...],
    windows: list[DeltaWindow],
    lengths: list[int] | None,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        mlpg(torch.zeros(*means), torch.ones(*variances), windows, lengths)


def test_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="floating-point"):
        mlpg(torch.zeros(9, 6, dtype=torch.int64), torch.ones(6), SETS["delta"])


@pytest.mark.parametrize("variance", [0.0, -1.0, torch.nan, torch.inf])
def test_variances_that_are_none_are_refused(variance: float) -> None:
    variances = torch.ones(9, 4)
    variances[7, 3] = variance
    with pytest.raises(ValueError, match="a variance must be from 1e-100 to .*; row 7, column 3 is"):
        mlpg(torch.zeros(9, 4), variances, SETS["delta"])
