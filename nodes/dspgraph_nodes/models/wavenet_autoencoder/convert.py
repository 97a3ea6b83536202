"""Conversion of NSynth's published checkpoints, by the program magenta, to the files of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.conversion import agreed, complete, fitting
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, TAPS, Config
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS

_AVERAGE = "/ExponentialMovingAverage"
"""The end of the names of the moving averages of the weights, which the published decoder does not use."""

_UNTOLD = ("stacks", "hop", "rate")
"""Fields of `Config` that do not follow from the arrays; by default they are those of the published program."""


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are a WaveNet autoencoder of the program magenta."""
    wanted = {"ae_startconv/W", "ae_bottleneck/W", "startconv/W", "cond_map_out1/W"}
    return wanted <= {name.removesuffix(_AVERAGE) for name in names}


def convert(found: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration, the weights, and the values that neither argument has.

    found: the arrays of a checkpoint, by name. The weights themselves are taken, as the published decoder does; their
    moving averages only if the checkpoint has nothing else. given: values of fields of `Config`. Raises ValueError if
    the arrays are those of another network, or if a given value contradicts them.
    """
    if unknown := sorted(set(given) - set(Config.model_fields)):
        raise ValueError(f"a WaveNet autoencoder has no setting {unknown[0]}; it has {', '.join(Config.model_fields)}")
    ending = "" if "ae_startconv/W" in found else _AVERAGE
    plain = {name.removesuffix(ending): found[name] for name in found if name.endswith(ending)}
    with complete("WaveNet autoencoder"):
        told = _told(plain)
        if "stacks" not in given and told["layers"] != Config().layers:
            raise ValueError(
                f"the checkpoint does not tell into how many stacks its {told['layers']} layers are divided: give a "
                'file such as {"stacks": 3} with --config'
            )
        config = Config(**agreed(told, given))
        arrays = _arrays(plain, config)
    defaults = config.model_dump()
    return (
        config,
        fitting(WEIGHTS, config, arrays),
        [f"{name} {defaults[name]}" for name in _UNTOLD if name not in given],
    )


def _told(plain: Mapping[str, Array]) -> dict[str, Any]:
    """Return the fields of `Config` that follow from the shapes of the arrays."""
    one, taps, _, encoder = plain["ae_startconv/W"].shape
    levels = plain["logits/W"].shape[-1]
    if (one, taps, levels) != (1, TAPS, MULAW_LEVELS):
        raise ValueError(
            f"the checkpoint has convolutions of {taps} taps and {levels} levels; those of NSynth have {TAPS} and "
            f"{MULAW_LEVELS}: this form is not supported"
        )
    layers = len([name for name in plain if re.fullmatch(r"dilatedconv_\d+/W", name)])
    width, skip = plain["skip_start/W"].shape[-2:]
    latent = plain["ae_bottleneck/W"].shape[-1]
    return {"layers": layers, "encoder": encoder, "latent": latent, "width": width, "skip": skip}


def _arrays(plain: Mapping[str, Array], config: Config) -> dict[str, Array]:
    """Return the arrays by our names. A matrix [1, taps, inputs, outputs] becomes [outputs, taps * inputs].

    The published gates are first those of the sigmoid, then those of the tanh; here it is the other way round.
    """
    arrays: dict[str, Array] = {}

    def add(ours: str, theirs: str, taps: int = 1, shift: int = 0) -> None:
        weight = plain[f"{theirs}/W"]
        if weight.shape[:2] != (1, taps):
            raise ValueError(f"{theirs}/W has the shape {list(weight.shape)}; expected [1, {taps}, inputs, outputs]")
        arrays[f"{ours}.weight"] = np.roll(weight.reshape(-1, weight.shape[-1]).T, shift, axis=0)
        arrays[f"{ours}.bias"] = np.roll(plain[f"{theirs}/biases"], shift)

    add("encoder.first", "ae_startconv", TAPS)
    add("encoder.last", "ae_bottleneck")
    add("decoder.first", "startconv", TAPS)
    add("decoder.skip", "skip_start")
    for i in range(config.layers):
        add(f"encoder.layers.{i}.conv", f"ae_dilatedconv_{i + 1}", TAPS)
        add(f"encoder.layers.{i}.out", f"ae_res_{i + 1}")
        add(f"decoder.layers.{i}.gate", f"dilatedconv_{i + 1}", TAPS, config.width)
        add(f"decoder.layers.{i}.condition", f"cond_map_{i + 1}", 1, config.width)
        add(f"decoder.layers.{i}.skip", f"skip_{i + 1}")
        if i < config.layers - 1:
            add(f"decoder.layers.{i}.out", f"res_{i + 1}")
    add("decoder.head.0", "out1")
    add("decoder.head.1", "logits")
    add("decoder.condition", "cond_map_out1")
    return arrays
