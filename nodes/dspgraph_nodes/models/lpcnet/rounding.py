"""LPCNet with weights and states in eight bits, as the node `lpcnet` computes it with the precision int8, in torch.

The gradients are those without rounding (straight through), so that a network can be trained for its rounded weights.

Source: Y. Bengio, N. Leonard and A. Courville, Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation, arXiv 1308.3432, 2013.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call

from dspgraph_nodes._kernels.neural.quantisation import dequantised, quantised
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.weights import DIAGONALS, MATRICES

Result = TypeVar("Result")


def with_rounded_weights(model: LPCNet, call: Callable[[LPCNet], Result]) -> Result:
    """Return `call(model)`, where the matrices of the model are rounded to eight bits during the call.

    They are float32 with the values that eight bits give; the diagonals of recurrent matrices are not rounded.
    Gradients go to the unrounded parameters as if nothing were rounded. States are not rounded here. call: a function
    that may use the parameters of the model and `models.lpcnet.cpu.forward`, but not the GRUs as modules, which keep
    copies of their weights. The model is on the CPU, in float32.
    """
    weights = {
        f"model.{name}": _round(model.get_parameter(name), axes, name in DIAGONALS) for name, axes in MATRICES.items()
    }
    return cast(Result, functional_call(_Call(model, call), weights, ()))


class _Call(nn.Module):
    """A module that calls a function with a model, so that `functional_call` can replace the model's parameters."""

    def __init__(self, model: LPCNet, call: Callable[[LPCNet], Any]) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self) -> Any:
        """Return the result of the function."""
        return self.call(self.model)


class _Rounding(Function):
    """The rounding of a matrix to eight bits, as a torch function that passes gradients through.

    `apply` takes the arguments of `quantised` and returns the rounded matrix in float32.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, axes: int, diagonal: bool) -> Tensor:
        return torch.from_numpy(dequantised(quantised(weight.detach().numpy(), axes, diagonal)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0], None, None


_round: Callable[..., Tensor] = _Rounding.apply
