"""Parts that the converters of published checkpoints share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat


@contextmanager
def complete(model: str) -> Iterator[None]:
    """Return a context in which a missing array, or an array with too few axes, raises ValueError.

    For this, the KeyError and the IndexError of code in the `with` block are converted. model: the name of the model,
    for the message.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(f"the checkpoint of a {model} lacks the array {error}") from None
    except IndexError as error:
        raise ValueError(f"the checkpoint is no {model}: an array has too few axes ({error})") from None


def renamed(found: Mapping[str, Array], patterns: Mapping[str, str]) -> dict[str, Array]:
    """Return the arrays under new names; an array whose name no pattern matches keeps its name.

    In each name all matches of every regular expression of `patterns` are replaced, in the order of `patterns`, each in
    the result of those before. found: name -> array; patterns: regular expression -> its replacement, as in `re.sub`.
    """
    arrays = {}
    for name, array in found.items():
        for pattern, new in patterns.items():
            name = re.sub(pattern, new, name)
        arrays[name] = array
    return arrays


def numbered(found: Mapping[str, Array], folder: str) -> list[str]:
    """Return the names of the layers that end in "FOLDER.N" and have an array "weight", in the order of the numbers N.

    Such a name is "decoder.conv_layers.0", without ".weight". found: name -> array; folder: FOLDER, such as
    "conv_layers", as a regular expression.
    """
    matches = (re.fullmatch(rf"(.*\b{folder}\.(\d+))\.weight", name) for name in found)
    return [match[1] for match in sorted(filter(None, matches), key=lambda match: int(match[2]))]


def agreed(told: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration: those of a checkpoint together with those of the user.

    told: the fields that follow from the checkpoint; given: the fields that the user gives. Raises ValueError for a
    field whose two values differ.
    """
    for name in sorted(set(told) & set(given)):
        if told[name] != given[name]:
            raise ValueError(
                f"{name} is given as {given[name]!r}, but it is {told[name]!r} in the checkpoint: leave it out"
            )
    return {**told, **given}


def fitting(weights: WeightsFormat[Config], config: Config, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of a checkpoint in float32. Raise ValueError as `WeightsFormat.check` does.

    arrays: by the names and in the layout of the files of weights.
    """
    single = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    weights.check(single, config, "the checkpoint")
    return single
