"""Fast layers: they give the same outputs and gradients as torch's layers."""

import pytest
import torch
from torch import Tensor

from dspgraph_nodes.models.shared.layers import gru, gru_layer, rounded_state


def both_ways(dtype: torch.dtype, samples: int, batch: int) -> list[tuple[Tensor, ...]]:
    """Return two tuples of outputs, last state and gradients of a random GRU: by `gru_layer`, then by torch's module.

    The GRU has 16 units. The gradients are those of its four parameters, its input [batch, samples, 5] and its first
    state, of a loss of all outputs and the last state.
    """
    torch.manual_seed(0)
    layer = torch.nn.GRU(5, 16, batch_first=True).to(dtype)
    x, state = torch.randn(batch, samples, 5, dtype=dtype), torch.randn(batch, 16, dtype=dtype)
    weight = torch.randn(batch, samples, 16, dtype=dtype)
    wanted = [*layer.parameters(), x.requires_grad_(), state.requires_grad_()]
    results = []
    outputs, last = layer(x, state[None])
    for h, end in (gru_layer(x, list(layer.parameters()), state), (outputs, last[0])):
        loss = (weight * h).sum() + end.square().sum()
        results.append((h, end, *torch.autograd.grad(loss, wanted)))
    return results


@pytest.mark.parametrize(("samples", "batch"), [(1, 1), (40, 3)])
def test_a_gru_has_the_outputs_and_gradients_of_torch(samples: int, batch: int) -> None:
    ours, theirs = both_ways(torch.float64, samples, batch)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    ours, theirs = both_ways(torch.float32, samples, batch)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_rounding_to_eight_bits_has_the_gradient_of_the_identity() -> None:
    """Outputs and gradients of weights equal those of a reference, which rounds the states of the GRU in torch.

    The reference adds the rounding error to a state as a constant, so that the gradient is that of the identity.
    """
    torch.manual_seed(1)
    layer = torch.nn.GRU(5, 16, batch_first=True).double()
    weights: list[Tensor] = list(layer.parameters())
    inner, recurrent, bias, recurrent_bias = weights
    x, state = torch.randn(3, 20, 5).double(), torch.rand(3, 16).double()
    weight = torch.randn(3, 20, 16).double()
    both = recurrent_bias * (torch.arange(48) < 32) + bias
    ours = gru(torch.nn.functional.linear(x.transpose(0, 1), inner, both), recurrent, recurrent_bias[32:], state, True)
    theirs, _ = gru_layer(x, weights, state, lambda h: h + (rounded_state(h) - h).detach())
    torch.testing.assert_close(ours.transpose(0, 1), theirs, rtol=1e-12, atol=1e-12)
    found, expected = (torch.autograd.grad((weight * h).sum(), weights) for h in (ours.transpose(0, 1), theirs))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_without_gradients_torch_computes_the_same() -> None:
    torch.manual_seed(0)
    layer = torch.nn.GRU(5, 16, batch_first=True)
    x, state = torch.randn(2, 30, 5), torch.randn(2, 16)
    with torch.no_grad():
        found = gru_layer(x, list(layer.parameters()), state)
        expected, last = layer(x, state[None])
    torch.testing.assert_close(found, (expected, last[0]), rtol=0, atol=0)
