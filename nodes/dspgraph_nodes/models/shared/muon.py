"""The optimiser Muon, for the matrices of a network's hidden layers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_STEPS = 5
_POLYNOMIAL = 3.4445, -4.7750, 2.0315
"""a, b, c: five steps of X <- a X + b (X X') X + c (X X')^2 X bring all singular values of X that were between 0.002
and 1 to values between 0.7 and 1.2. Source: as for `Muon`.
"""


class Muon(torch.optim.Optimizer):
    """An optimiser that moves each matrix by the nearest orthogonal matrix to its mean gradient.

    With the gradient G of a matrix W [rows, columns], the learning rate r, and the momentum m, 0.95 by default:

        M <- m M + G,    W <- W - r sqrt(max(1, rows / columns)) orthogonal(G + m M)

    All directions of a matrix are learnt at the same rate, also the directions with small gradients. This is
    torch.optim.Muon without weight decay and in float32. Torch computes in bfloat16, which takes twelve times as long
    on a CPU that has no instructions for products of bfloat16 numbers.

    Source: K. Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is called
        """Update all weights that have a gradient, in place. closure: not used."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                mean.mul_(group["momentum"]).add_(weight.grad)
                step = orthogonal(weight.grad + group["momentum"] * mean)
                weight.sub_(step, alpha=group["lr"] * math.sqrt(max(1.0, weight.shape[0] / weight.shape[1])))


def orthogonal(matrix: Tensor) -> Tensor:
    """Return `matrix`, [rows, columns], with its singular values replaced by values between 0.7 and 1.2.

    If U S V' is the singular value decomposition of `matrix`, the result is U f(S) V', nearly an orthogonal matrix.
    Singular values below 0.002 times the root of the sum of all squared elements can stay below 0.7.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    x: Tensor = wide / (wide.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x if wide is matrix else x.mT


def hidden_matrices(network: nn.Module, ends: Iterable[str]) -> list[nn.Parameter]:
    """Return the matrices of a network, in the order of its parameters, except those in some of its modules.

    Matrices are parameters with two axes. ends: the names of these modules, which read or predict samples.
    """
    outer = {id(one) for name in ends for one in network.get_submodule(name).parameters()}
    return [one for one in network.parameters() if one.ndim == 2 and id(one) not in outer]
