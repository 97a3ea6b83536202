"""Networks of torch, saved to files of weights and loaded from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

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
