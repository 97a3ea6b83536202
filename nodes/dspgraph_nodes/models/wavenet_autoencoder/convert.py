"""Conversion of checkpoints of NSynth (from the program magenta) and of wavenet-autoencoder-chainer."""

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

_NSYNTH: dict[str, Any] = {"stacks": 3, "hop": 512, "rate": 16000}
_CHAINER: dict[str, Any] = {"stacks": 3, "least_dilation": 2, "hop": 512, "rate": 4410, "lowest": 0}
"""Fields of `Config` that do not follow from the arrays, with the values of the two programs."""

_ADDED = 1e-5
"""A batch normalisation adds 2e-5 to the variance in Chainer, and 1e-5 here. So 1e-5 is added to stored variances."""


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are weights of a network of magenta or wavenet-autoencoder-chainer."""
    nsynth = {"ae_startconv/W", "ae_bottleneck/W", "startconv/W", "cond_map_out1/W"}
    chainer = {"embedid/W", "ecd_fnl_conv/W", "dcd_bias_conv/W", "dcd_fnl_conv2/W"}
    return nsynth <= {name.removesuffix(_AVERAGE) for name in names} or chainer <= names


def convert(found: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration, the weights, and the values that had to be assumed, as texts.

    found: the arrays of a checkpoint, by name. If a checkpoint of NSynth has the weights and their moving averages, the
    weights are used, as in the published decoder; the moving averages are used if it has nothing else. given: values of
    fields of `Config`. Values that are neither given nor in the checkpoint are assumed to be those of the program.
    Raises ValueError if the arrays are those of another network, if a given value is no field or contradicts them, or
    if `stacks` is not given and the number of layers is not the published one.
    """
    if unknown := sorted(set(given) - set(Config.model_fields)):
        raise ValueError(f"a WaveNet autoencoder has no setting {unknown[0]}; it has {', '.join(Config.model_fields)}")
    ending = _AVERAGE if f"ae_startconv/W{_AVERAGE}" in found and "ae_startconv/W" not in found else ""
    plain = {name.removesuffix(ending): found[name] for name in found if name.endswith(ending)}
    chainer = "embedid/W" in plain
    with complete("WaveNet autoencoder"):
        told = _told_by_chainer(plain) if chainer else _told(plain)
        if "stacks" not in given and told["layers"] != Config().layers:
            raise ValueError(
                f"the checkpoint does not tell into how many stacks its {told['layers']} layers are divided: give a "
                'file such as {"stacks": 3} with --config'
            )
        untold = {name: value for name, value in (_CHAINER if chainer else _NSYNTH).items() if name not in given}
        config = Config(**untold, **agreed(told, given))
        arrays = _arrays_of_chainer(plain, config) if chainer else _arrays(plain, config)
    return config, fitting(WEIGHTS, config, arrays), [f"{name} ({value})" for name, value in untold.items()]


def _told(plain: Mapping[str, Array]) -> dict[str, Any]:
    """Return the fields of `Config`, by name, that follow from the shapes of the arrays of an NSynth checkpoint.

    plain: the arrays, by name. Raises ValueError if they are not those of an NSynth network.
    """
    one, taps, _, encoder = plain["ae_startconv/W"].shape
    levels = plain["logits/W"].shape[-1]
    if (one, taps, levels) != (1, TAPS, MULAW_LEVELS):
        raise ValueError(
            f"the checkpoint has convolutions of {taps} taps and {levels} levels; NSynth has {TAPS} taps and "
            f"{MULAW_LEVELS} levels: this form is not supported"
        )
    layers = len([name for name in plain if re.fullmatch(r"dilatedconv_\d+/W", name)])
    width, skip = plain["skip_start/W"].shape[-2:]
    latent = plain["ae_bottleneck/W"].shape[-1]
    return {"layers": layers, "encoder": encoder, "latent": latent, "width": width, "skip": skip}


def _arrays(plain: Mapping[str, Array], config: Config) -> dict[str, Array]:
    """Return the arrays of an NSynth checkpoint by their names in `weights.shapes`. plain: the arrays, by name.

    A matrix [1, taps, inputs, outputs] becomes [outputs, taps * inputs]. In a checkpoint the gates with a sigmoid come
    before the gates with a tanh; here they come after them. Raises ValueError if an array does not have its number of
    taps.
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


def _told_by_chainer(plain: Mapping[str, Array]) -> dict[str, Any]:
    """Return the fields of `Config`, by name, that follow from a checkpoint of wavenet-autoencoder-chainer.

    plain: the arrays, by name. Raises ValueError if they are not those of such a network.
    """
    levels, channels = plain["embedid/W"].shape
    width, taps = (plain["ecd_conv0/W"].shape[axis] for axis in (0, 2))
    if (levels, taps, plain["dcd_conv0/W"].shape[2]) != (MULAW_LEVELS, TAPS, TAPS - 1):
        raise ValueError(
            f"the checkpoint has {levels} levels and convolutions of {taps} and {plain['dcd_conv0/W'].shape[2]} taps; "
            f"wavenet-autoencoder-chainer has {MULAW_LEVELS} levels, {TAPS} and {TAPS - 1} taps: this form is not "
            "supported"
        )
    layers = len([name for name in plain if re.fullmatch(r"dcd_conv\d+/W", name)])
    latent = len(plain["ecd_fnl_conv/b"])
    sizes = {"layers": layers, "encoder": channels, "latent": latent, "width": width, "skip": channels}
    return {"form": "normalised", **sizes, "pitches": plain["dcd_bias_conv/W"].shape[1] - latent}


def _arrays_of_chainer(plain: Mapping[str, Array], config: Config) -> dict[str, Array]:
    """Return the arrays of a checkpoint of wavenet-autoencoder-chainer by their names in `weights.shapes`.

    plain: the arrays, by name. The weights of a convolution [outputs, inputs, taps, 1] become a matrix [outputs, taps *
    inputs]. `_ADDED` is added to the variances, and the bias of the encoding is multiplied by the number of layers,
    because the program adds it in every layer.
    """
    arrays: dict[str, Array] = {f"{part}.first.weight": plain["embedid/W"] for part in ("encoder", "decoder")}

    def add(ours: str, theirs: str, bias: bool = True) -> None:
        weight = plain[f"{theirs}/W"]
        arrays[f"{ours}.weight"] = weight[..., 0].swapaxes(1, 2).reshape(len(weight), -1)
        if bias:
            arrays[f"{ours}.bias"] = plain[f"{theirs}/b"]

    def add_norm(ours: str, theirs: str) -> None:
        arrays[f"{ours}.weight"], arrays[f"{ours}.bias"] = plain[f"{theirs}/gamma"], plain[f"{theirs}/beta"]
        arrays[f"{ours}.running_mean"] = plain[f"{theirs}/avg_mean"]
        arrays[f"{ours}.running_var"] = plain[f"{theirs}/avg_var"].astype(np.float64) + _ADDED

    for part, theirs in (("encoder", "ecd"), ("decoder", "dcd")):
        for i in range(config.layers):
            add_norm(f"{part}.layers.{i}.norms.0", f"{theirs}_bfr_bn{i}")
            add_norm(f"{part}.layers.{i}.norms.1", f"{theirs}_afr_bn{i}")
            add(f"{part}.layers.{i}.conv", f"{theirs}_conv{i}", bias=part == "encoder")
            add(f"{part}.layers.{i}.out", f"{theirs}_afr_conv{i}")
    add("encoder.last", "ecd_fnl_conv")
    # The program adds this bias once for every layer.
    arrays["encoder.last.bias"] = config.layers * arrays["encoder.last.bias"]
    add("decoder.condition", "dcd_bias_conv")
    add("decoder.head.0", "dcd_fnl_conv1")
    add("decoder.head.1", "dcd_fnl_conv2")
    return arrays
