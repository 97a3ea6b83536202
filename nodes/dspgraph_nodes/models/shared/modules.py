"""Parts that the networks in torch share: files of weights, initial weights, normalisation, interpolation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from dspgraph import RequestError
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat

Module = TypeVar("Module", bound=nn.Module)


def save(weights: WeightsFormat[Any], module: nn.Module, path: str | Path, **fields: Any) -> None:
    """Write the weights of a network, and its attribute `config`, to a file.

    fields: new values of fields of the configuration, for the file only. Raises ValueError as `WeightsFormat.write`
    does.
    """
    config: Any = module.config
    weights.write(path, config.replace(**fields) if fields else config, arrays_of(module))


def arrays_of(module: nn.Module) -> dict[str, Array]:
    """Return the arrays of a network by name, float32, as in a file of weights. They can share the network's memory."""
    return {name: value.detach().to("cpu", torch.float32).numpy() for name, value in module.state_dict().items()}


def load(weights: WeightsFormat[Config], make: Callable[[Config], Module], path: str | Path) -> Module:
    """Return the network in a file, ready to be used (on the CPU, in evaluation mode).

    make: a function from a configuration to a network. Raises ValueError as `WeightsFormat.read` does.
    """
    config, arrays = weights.read(path)
    module = make(config)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module.eval()


class Norm(nn.Module):
    """A layer of batch normalisation for arrays [batch, channels, frames].

    All its buffers are float32, as in a file of weights; the layer of torch also has an integer that counts batches.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, [batch, channels, frames], normalised per channel, times `weight`, plus `bias`.

        In training, mean and variance are those of the batch, and the running mean and variance move a tenth of the way
        to them; otherwise x is normalised by the running mean and variance.
        """
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
    """Set the weights of new layers that return logits of levels to `level_features` / sqrt(number of inputs)."""
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(level_features(*layer.weight.shape) / math.sqrt(layer.in_features))


FIRST_LOG_SCALE = -3.0
"""Log-scale of the components of a new network. It is about right for speech, which makes the first updates useful."""


def start_log_scales(layer: nn.Linear) -> None:
    """Set the biases of the log-scales to FIRST_LOG_SCALE in a new layer that returns mixtures of logistics.

    The outputs of the layer are all logits, then all means, then all log-scales.
    """
    with torch.no_grad():
        layer.bias[2 * layer.out_features // 3 :] = FIRST_LOG_SCALE


def start_random_filters(upsampling: nn.Module) -> None:
    """Replace the smooth filters of an upsampling by normally distributed taps.

    upsampling: a module; its smooth filters are the parameters whose taps all have one value a other than 0. The
    standard deviation of the new taps is sqrt(abs(a)), so that n taps of 1 / n keep the variance of white noise.

    Smooth filters give rows that change slowly from sample to sample. A network learns only slowly, or not at all, a
    function that changes faster than the inputs of the network. With random taps all rows of a frame differ.

    Raises RequestError if the upsampling has no smooth filters.

    Source: M. Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains,
    NeurIPS 2020.
    """
    smooth = [one for one in upsampling.parameters() if one.flatten()[0] and bool((one == one.flatten()[0]).all())]
    if not smooth:
        raise RequestError("upsampling_start=random: this network has no upsampling: leave upsampling_start out")
    with torch.no_grad():
        for one in smooth:
            one.normal_(std=math.sqrt(abs(float(one.flatten()[0]))))


def stretched(
    rows: Tensor, factors: Sequence[int], smooth: Iterable[Callable[[Tensor], Tensor]], inside: Tensor | None = None,
    linear: bool = True,
) -> Tensor:  # fmt: skip
    """Interpolate rows, one per frame, to one row per sample: [batch, frames * hop, channels].

    rows: [batch, frames, channels]. The work is done in steps. Step i repeats every row factors[i] times, and then
    smooths the result in time with smooth[i], a function of arrays [n, 1, time] that keeps their shape, in the same way
    for every channel. The product of all factors is the hop. inside: [batch, frames], 1 for frames of a recording, and
    0 for frames beyond its ends, whose rows count as 0 in every step; by default all frames are in the recording.
    linear: whether the functions are linear; one that adds a bias is not. If they are linear and there are fewer frames
    than channels, the result is computed faster: by the weights of the rows in each sample, which are the same for all
    channels.
    """
    batch, count, channels = rows.shape
    if linear and count < channels:
        units = torch.eye(count, dtype=rows.dtype, device=rows.device).expand(1 if inside is None else batch, -1, -1)
        return stretched(units, factors, smooth, inside) @ rows
    mask = None if inside is None else inside[:, None]
    x = rows.mT if mask is None else rows.mT * mask
    for factor, one in zip(factors, smooth, strict=True):
        x = one(x.reshape(batch * channels, 1, -1).repeat_interleave(factor, -1)).view(batch, channels, -1)
        if mask is not None:
            mask = mask.repeat_interleave(factor, -1)
            x = x * mask
    return x.mT
