"""What the converters of published checkpoints share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat


def agreed(told: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration that a checkpoint tells or the user gives.

    told: the fields that follow from the checkpoint; given: those that the user gives. Raises ValueError that names the
    first field for which both differ.
    """
    for name in sorted(set(told) & set(given)):
        if told[name] != given[name]:
            raise ValueError(
                f"{name} is given as {given[name]!r}, but it is {told[name]!r} in the checkpoint: leave it out"
            )
    return {**told, **given}


def fitting(weights: WeightsFormat[Config], config: Config, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of a checkpoint in float32. Raise ValueError if they do not fit the configuration."""
    single = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    weights.check(single, config, "the checkpoint")
    return single
