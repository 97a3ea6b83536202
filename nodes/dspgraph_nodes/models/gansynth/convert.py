"""Conversion of GANSynth's checkpoints, which the program magenta wrote, to weights of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.gansynth.weights import WEIGHTS
from dspgraph_nodes.models.shared.conversion import agreed, complete

_ARRAY = re.compile(
    r"Generator/progressive_gan_generator/progressive_gan_block_(\d+)/(conv0|conv1|to_rgb)/(?:(conv2d/kernel)|bias)"
    r"(/ExponentialMovingAverage)?"
)
_ONE = "Generator/progressive_gan_generator/progressive_gan_block_1/conv0/conv2d/kernel"
_PITCHES = "Discriminator/discriminator_cond/classification_logits/bias"

_UNTOLD = ("lowest", "form", "scale", "drop", "rate", "magnitude", "angle")
"""Fields of `Config` that do not follow from the arrays; `convert` names those of them that it assumes.

Their defaults are the values of the published program.
"""


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are the weights of a GANSynth of the program magenta."""
    return _ONE in names or f"{_ONE}/ExponentialMovingAverage" in names


def convert(found: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration, the arrays of the generator, and the values that had to be assumed, as texts.

    A text is such as "rate (16000)". found: the arrays of a checkpoint, by the names of magenta. If the checkpoint has
    a moving average of an array, the average is used, because the program makes notes with it. given: values of fields
    of `Config`. Values that are neither given nor in the checkpoint are assumed to be the defaults. Raises ValueError
    if the arrays are those of another network or are not finite, if a given value contradicts them or is out of bounds,
    or if `Config` has no field of a name in `given`.
    """
    arrays = _generator(found)
    with complete("GANSynth"):
        told = _told(arrays, found, given)
    if unknown := sorted(set(given) - set(Config.model_fields)):
        raise ValueError(f"a GANSynth has no setting {unknown[0]}; it has {', '.join(Config.model_fields)}")
    config = Config(**agreed(told, given))
    WEIGHTS.check(arrays, config, "the checkpoint")
    defaults = config.model_dump()
    untold = [f"{name} ({defaults[name]})" for name in _UNTOLD if name not in given]
    if _PITCHES not in found and "pitches" not in given:
        untold.append(f"pitches ({config.pitches})")
    return config, arrays, untold


def _generator(found: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights and biases of the generator in float32, by their names and in the layout of `weights.shapes`.

    found: the arrays of a checkpoint; those of other networks are left out. A kernel [rows, bins, inputs, outputs]
    becomes a weight [outputs, inputs, rows, bins]. If the checkpoint has an array and its moving average over the
    training, the average is returned.
    """
    arrays: dict[str, Array] = {}
    for name in sorted(found):  # a name without the ending for the average comes before the one with it
        if match := _ARRAY.fullmatch(name):
            layer = {"to_rgb": "picture"}.get(match[2], match[2])
            array = found[name].transpose(3, 2, 0, 1) if match[3] and found[name].ndim == 4 else found[name]
            leaf = "weight" if match[3] else "bias"
            arrays[f"blocks.{int(match[1]) - 1}.{layer}.{leaf}"] = np.ascontiguousarray(array, np.float32)
    return arrays


def _told(arrays: Mapping[str, Array], found: Mapping[str, Array], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Config` that follow from the arrays, by name.

    arrays: the result of `_generator`. found, given: as in `convert`. If the checkpoint has no discriminator, the
    number of pitches is taken from `given` or, if it is not there, from the defaults of `Config`. A missing array
    raises KeyError, and one with too few axes IndexError (see `complete`) or ValueError.
    """
    inputs, *start = arrays["blocks.0.conv0.weight"].shape[1:]
    pitches = len(found[_PITCHES]) if _PITCHES in found else given.get("pitches", Config().pitches)
    blocks = len({name.split(".")[1] for name in arrays})
    widest, narrowest = len(arrays["blocks.0.conv0.bias"]), len(arrays[f"blocks.{blocks - 1}.conv1.bias"])
    return {
        "latent": inputs - pitches,
        "pitches": pitches,
        "start_rows": start[0],
        "start_bins": start[1],
        "blocks": blocks,
        "channels": narrowest << blocks,
        "most_channels": widest,
    }
