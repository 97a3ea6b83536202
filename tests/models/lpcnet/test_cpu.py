"""LPCNet's fast CPU layers: the same logits and gradients as torch's own modules."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.shared.layers import gru
from helpers.networks import SMALL


def gradients(model: LPCNet, f: Tensor, loss: Tensor) -> dict[str, Tensor]:
    """Return the gradients of a loss, by name, with respect to the parameters of a model and the condition "f".

    Those on which the loss does not depend are left out. loss: a single number, whose graph this call uses up.
    """
    wanted = {**dict(model.named_parameters()), "f": f}
    found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}


@pytest.mark.parametrize(("batch", "frames", "per_frame"), [(1, 1, 1), (3, 1, 20), (2, 4, 5)])
@pytest.mark.parametrize("goes_on", [False, True], ids=["from silence", "from a state"])
def test_logits_states_and_gradients_are_those_of_torch(batch: int, frames: int, per_frame: int, goes_on: bool) -> None:
    """Logits and states agree to 1e-12 and gradients to 1e-10, from zero states and from random ones.

    The comparison is in float64, where rounding errors are far below the effect of a missing term.
    """
    torch.manual_seed(0)
    model = LPCNet(SMALL).double()
    for parameter in model.parameters():  # biases and factors too are like no other
        torch.nn.init.normal_(parameter, std=0.3)
    f = torch.randn(batch, frames, SMALL.condition, dtype=torch.float64, requires_grad=True)
    codes = torch.randint(0, 256, (batch, frames * per_frame, 3))
    state = (
        (torch.randn(1, batch, 48, dtype=torch.float64), torch.randn(1, batch, 16, dtype=torch.float64))
        if goes_on else None
    )  # fmt: skip
    expected, _, (a, b) = model(f, codes, state)
    found, (found_a, found_b) = lpcnet_cpu.forward(model, f, codes, state)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close((found_a, found_b), (a, b), rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(expected)
    right, ours = (gradients(model, f, (weight * logits).sum()) for logits in (expected, found))
    assert set(ours) == set(right) > {"f", "embed.weight", "gru_a.bias_hh_l0", "dual_fc.factor"}
    for name, one in right.items():
        torch.testing.assert_close(ours[name], one, rtol=1e-10, atol=1e-10 * float(one.abs().max()), msg=name)


def test_the_gradients_are_those_of_finite_differences() -> None:
    """All inputs of `gru` and `dual_fc` are tested, also the first state, whose gradient is not used in training.

    `dual_fc` is also tested with an input that is transposed in memory.
    """
    torch.manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    assert gradcheck(gru, (drawn(4, 2, 9), drawn(9, 3), drawn(3), drawn(2, 3)))
    assert gradcheck(lpcnet_cpu.dual_fc, (drawn(2, 3, 10), drawn(2, 5)))
    assert gradcheck(lambda a, factor: lpcnet_cpu.dual_fc(a.mT, factor).mT, (drawn(10, 3), drawn(2, 5)))


def test_gradients_of_gradients_are_refused() -> None:
    x = torch.randn(2, 10, dtype=torch.float64, requires_grad=True)
    y = lpcnet_cpu.dual_fc(x, torch.ones(2, 5, dtype=torch.float64))
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        torch.autograd.backward(slope.sum())


def test_single_precision_is_as_near_as_its_rounding() -> None:
    """The logits of 480 samples, up to 2, agree with torch's to 1e-5, and the gradients to 1e-5 of the largest one.

    The gradients are compared array by array. Measured: 1e-6 and 1.4e-6.
    """
    torch.manual_seed(0)
    model = LPCNet(SMALL)
    f, codes = torch.randn(2, 3, SMALL.condition, requires_grad=True), torch.randint(0, 256, (2, 3 * 160, 3))
    expected, found = model(f, codes)[0], lpcnet_cpu.forward(model, f, codes)[0]
    assert found.dtype == torch.float32
    assert float((found - expected).detach().abs().max()) < 1e-5
    right, ours = (gradients(model, f, logits.square().mean()) for logits in (expected, found))
    for name, one in right.items():
        assert float((ours[name] - one).abs().max()) < 1e-5 * float(one.abs().max()), name
