"""Parts that the networks in torch share: saving to files of weights, loading, normalisation, interpolation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad

from dspgraph_nodes._kernels.neural.conditioning import reach
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat

Module = TypeVar("Module", bound=nn.Module)


def save(weights: WeightsFormat[Any], module: nn.Module, path: str | Path) -> None:
    """Write the weights of a network, and its attribute `config`, to a file."""
    state = {name: value.detach().to("cpu", torch.float32).numpy() for name, value in module.state_dict().items()}
    weights.write(path, module.config, state)


def load(weights: WeightsFormat[Config], make: Callable[[Config], Module], path: str | Path) -> Module:
    """Return the network in a file, ready to be used (in evaluation mode).

    make: a function from a configuration to a network. Raises ValueError as `WeightsFormat.read` does.
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
        """Return the normalised numbers: by the statistics of the batch in training, else by the running statistics."""
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training)


def level_features(levels: int, channels: int) -> Tensor:
    """Return initial weights for a network that reads or predicts levels, [levels, channels], with a variance of 1.

    Neighbouring levels have similar weights, so that a network need not learn their order: a channel is
    sqrt(2) * cos(w * level + b), with a random w of standard deviation 1/4, 1/16 or 1/64, and a random phase b.

    Source: A. Rahimi and B. Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007.
    """
    scale = torch.tensor([4.0, 16.0, 64.0])[torch.arange(channels) % 3]
    angles = torch.arange(levels)[:, None] * (torch.randn(channels) / scale) + 2 * math.pi * torch.rand(channels)
    return math.sqrt(2) * torch.cos(angles)


def start_level_layers(*layers: nn.Linear) -> None:
    """Give layers whose outputs are the logits of levels their first weights: `level_features` / sqrt(inputs)."""
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(level_features(*layer.weight.shape) / math.sqrt(layer.in_features))


def stretched(
    rows: Tensor, factors: Sequence[int], widths: Sequence[int], smooth: Sequence[Callable[[Tensor], Tensor]]
) -> Tensor:
    """Return frames interpolated to rows for samples, [batch, frames * hop, channels]. rows: [batch, frames, channels].

    Each stage repeats every row `factor` times and smooths the result in time, with the same filter for every channel.
    factors: one for each stage; their product is the hop; widths: the taps of each filter; smooth: for each stage the
    function that filters [n, 1, samples] and takes items beyond both ends as 0.

    The stages are applied only to short signals in which one frame is 1 and the others are 0. The results are the
    weights with which the frames around a frame add up to its samples. These weights are the same for all frames,
    except near both ends.
    """
    r, count = reach(factors, widths), rows.shape[1]
    known = min(count, 2 * r + 1)
    x = torch.cat((torch.eye(known), torch.zeros(1, known))).to(rows)[:, None]
    for factor, one in zip(factors, smooth, strict=True):
        x = one(x.repeat_interleave(factor, -1))
    *units, offset = x.view(known + 1, known, -1)  # the offset is what the biases of the filters add up to
    place, j = torch.arange(known)[:, None], torch.arange(count)
    around = pad(torch.stack(units) - offset, (0, 0, 0, 0, r, r))[place + torch.arange(2 * r + 1), place]
    like = torch.where(j < r, j, torch.where(count - 1 - j < r, known - count + j, r))  # the frame with these weights
    windows = pad(rows, (0, 0, r, r)).unfold(1, 2 * r + 1, 1)
    found: Tensor = around[like].mT @ windows.mT + offset[like][..., None]
    return found.flatten(1, 2)
