"""Matrix products of a network that is used many times in a row, with the gradients of its weights made at once.

The gradient of a weight matrix is a sum over all uses. One product over the rows of all uses is faster than one product
for each use: matrices are then large, and no partial results are added up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

_Uses = list[tuple[Tensor, Tensor]]
"""For each use: the inputs, and the gradient of the outputs."""


class Products:
    """The products of the linear layers of a network, for one forward pass. The layers have no bias."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._weights: dict[str, tuple[Tensor, _Uses]] = {}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """Return x W' for the layer `name`. x: [rows, inputs]."""
        if name not in self._weights:
            uses: _Uses = []
            self._weights[name] = _Shared.apply(self._network.get_submodule(name).weight, uses), uses  # type: ignore[no-untyped-call]
        result: Tensor = _Product.apply(x, *self._weights[name])  # type: ignore[no-untyped-call]
        return result


class _Shared(Function):
    """A weight matrix as an operation of torch. Its gradient is computed after the backward passes of all its uses."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, uses: _Uses) -> Tensor:
        ctx.uses = uses
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> tuple[Tensor, None]:
        inputs, gradients = zip(*ctx.uses, strict=True)
        ctx.uses.clear()
        return torch.cat(gradients).mT @ torch.cat(inputs), None


class _Product(Function):
    """The product x W' as an operation of torch. `_Shared` computes the gradient of W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, uses: _Uses) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.uses = uses
        return x @ weight.mT

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        ctx.uses.append((x, gradient))
        return (gradient @ weight if ctx.needs_input_grad[0] else None), None, None
