"""What the networks of torch share: saving to files of weights and loading from them, normalisation, interpolation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from dspgraph_nodes.models.shared.weights import Config, WeightsFormat

Module = TypeVar("Module", bound=nn.Module)


def save(weights: WeightsFormat[Any], module: nn.Module, path: str | Path) -> None:
    """Write the weights of a network, and its attribute `config`, to a file."""
    state = {name: value.detach().to("cpu", torch.float32).numpy() for name, value in module.state_dict().items()}
    weights.write(path, module.config, state)


def load(weights: WeightsFormat[Config], make: Callable[[Config], Module], path: str | Path) -> Module:
    """Return the network in a file, ready to be used (in evaluation mode).

    make: returns a network of a configuration. Raises ValueError as `WeightsFormat.read` does.
    """
    config, arrays = weights.read(path)
    module = make(config)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module.eval()


class Norm(nn.Module):
    """Batch normalisation of [batch, channels, frames]. Its buffers are all float32, as in a file of weights."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised numbers, by the statistics of the batch in training, else by the running ones."""
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training)


def stretched(rows: Tensor, factors: Sequence[int], smooth: Iterable[Callable[[Tensor], Tensor]]) -> Tensor:
    """Return rows [batch, channels, frames * hop] for samples. rows: [batch, channels, frames].

    Each stage repeats every row `factor` times and smooths the result, with the same filter for every channel. smooth:
    for each stage a function that does so with [n, 1, samples]. hop: the product of the factors.
    """
    batch, channels, count = rows.shape
    flat = rows.reshape(batch * channels, 1, count)
    for factor, one in zip(factors, smooth, strict=True):
        flat = one(flat.repeat_interleave(factor, -1))
    return flat.view(batch, channels, -1)
