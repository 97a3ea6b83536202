"""Conversion of published WaveNet checkpoints to files of weights of this project.

The checkpoints were written by the program wavenet_vocoder, in its version of 2018-05 or in versions from 2018-12 on.
They use weight normalisation: a weight w is stored as a length g and a direction v, w = g * v / |v|, with one length
for each index of the first axis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes.models.shared.conversion import agreed, complete, fitting, numbered, renamed
from dspgraph_nodes.models.wavenet.config import PRESETS, Config
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

_THEIRS = {
    "kernel": "kernel_size",
    "residual": "residual_channels",
    "gate": "gate_channels",
    "skip": "skip_out_channels",
    "bands": "cin_channels",
    "rate": "sample_rate",
    "gain": "global_gain_scale",
    "loss_floor": "log_scale_min",
}
"""Field of `Config` -> its name in the settings of the program, for fields whose names differ."""

_UNTOLD = ("stacks", "skip_sum", "loss_floor", "draw_floor", "rate", "gain", "preemphasis")
"""Fields of `Config` that do not follow from the arrays of a checkpoint."""

_PREEMPHASIS = {"": 0.0, "preemphasis": 0.85}
"""The coefficient of the pre-emphasis for each value of the program's setting `preprocess`."""


_FEATURES = {
    "stretch": "the program takes base-10 logarithms of mel bands, with the mean and scale of its data; for natural "
    "logarithms multiply both by 2.302585",
    "transposed": "the program takes (20 log10(x) + 80) / 100 of mel bands x, from 0 to 1; for natural logarithms mean "
    "-9.21034 and scale 11.5129 give the same, with a floor of 1e-4 for x",
}
"""Value of `Config.upsampling` -> a text: the features of that version of the program, and how to get them from
`mel_features`.
"""


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are the weights of a WaveNet of the program wavenet_vocoder."""
    return {"first_conv.bias", "conv_layers.0.conv.bias", "last_conv_layers.3.bias"} <= names


def convert(found: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration and the weights of a published network, and the values that had to be assumed, as texts.

    found: the arrays of the checkpoint, by name; given: values that the checkpoint does not hold, by their names in the
    program wavenet_vocoder or in `Config`; also `mean` and `scale` of the features, each a list with one number per
    band, and `speaker`, the number of the speaker if the network has several; values of other names are ignored. Values
    that are neither given nor in the checkpoint are assumed to be the published values, but a mean of 0 and a scale of
    1. Raises ValueError if the arrays are those of another network or of a form that is not supported, if a given value
    contradicts them, if `speaker` is needed and not given, or if `stacks` is not given and the number of layers is not
    the published one.
    """
    with complete("WaveNet"):
        return _converted(folded(found), given)


def _converted(plain: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    config, assumed = _configured(_told(plain), given)
    speaker = _speaker(plain, given)
    state = {
        "mean": _per_band(given, "mean", config, 0.0),
        "deviation": _per_band(given, "scale", config, 1.0),
        **_upsampling(plain, config),
    }

    def add(ours: str, theirs: str) -> None:
        weight = plain[f"{theirs}.weight"]
        state[f"{ours}.weight"] = weight.swapaxes(1, 2).reshape(len(weight), -1)
        if f"{theirs}.bias" in plain:
            state[f"{ours}.bias"] = plain[f"{theirs}.bias"]

    add("first", "first_conv")
    for i in range(config.layers):
        theirs = f"conv_layers.{i}"
        add(f"layers.{i}.gate", f"{theirs}.conv")
        add(f"layers.{i}.condition", f"{theirs}.conv1x1c")
        add(f"layers.{i}.skip", f"{theirs}.conv1x1_skip")
        if i < config.layers - 1:
            add(f"layers.{i}.out", f"{theirs}.conv1x1_out")
        if speaker is not None:
            of_speaker = matmul(speaker[None], plain[f"{theirs}.conv1x1g.weight"][..., 0].T)[0]
            bias = of_speaker + plain.get(f"{theirs}.conv1x1g.bias", 0)
            state[f"layers.{i}.gate.bias"] = state[f"layers.{i}.gate.bias"] + bias
    add("head.0", "last_conv_layers.1")
    add("head.1", "last_conv_layers.3")
    single = fitting(WEIGHTS, config, state)
    for name, number in (("mean", 0), ("scale", 1)):
        if name not in given:
            assumed.append(f"{name} of the features ({number}): {_FEATURES[config.upsampling]}")
    return config, single, assumed


def folded(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays in float64, with each pair of length g and direction v replaced by the weight g * v / |v|.

    The length of `NAME.weight` is called `NAME.weight_g` and its direction `NAME.weight_v`; newer versions of torch
    call them `NAME.parametrizations.weight.original0` and `original1`. A direction of zeros gives a weight of zeros.
    Raises ValueError if a length has a wrong shape, and KeyError if a direction has no length.
    """
    weight = r"parametrizations\.weight\.original"
    plain = renamed(arrays, {rf"{weight}0$": "weight_g", rf"{weight}1$": "weight_v"})
    wide = {name: np.asarray(array, np.float64) for name, array in plain.items()}
    for name in [name for name in wide if name.endswith(".weight_v")]:
        v, g = wide.pop(name), wide.pop(name.removesuffix("v") + "g")
        norm = np.sqrt((v**2).sum(axis=tuple(range(1, v.ndim)), keepdims=True))
        if g.shape != norm.shape:
            raise ValueError(f"{name} has lengths of shape {list(g.shape)}; expected {list(norm.shape)}")
        wide[name.removesuffix("_v")] = g * v / np.where(norm == 0, 1, norm)
    return wide


def _told(plain: Mapping[str, Array]) -> dict[str, Any]:
    """Return the fields of `Config`, by name, that follow from the names and shapes of the arrays.

    plain: the arrays, by name, as `folded` returns them. Raises ValueError if the network has a form that is not
    supported.
    """
    gate, residual, kernel = plain["conv_layers.0.conv.weight"].shape
    width, inputs = len(plain["last_conv_layers.3.bias"]), plain["first_conv.weight"].shape[1]
    if "conv_layers.0.conv1x1c.weight" not in plain:
        raise ValueError("the checkpoint is of a network that reads no features: such a network is not supported")
    if inputs == 1 and width % 3:
        raise ValueError(
            f"the checkpoint predicts {width} numbers per sample; a mixture of logistics has a multiple of three: this "
            "distribution is not supported"
        )
    told: dict[str, Any] = {"kernel": kernel, "residual": residual, "gate": gate}
    told["layers"] = sum(name.endswith(".conv1x1_skip.bias") for name in plain)
    told["skip"] = len(plain["conv_layers.0.conv1x1_skip.bias"])
    told["bands"] = plain["conv_layers.0.conv1x1c.weight"].shape[1]
    told["condition_bias"] = "conv_layers.0.conv1x1c.bias" in plain
    told |= {"components": width // 3} if inputs == 1 else {"kind": "categorical", "levels": width, "mulaw": "even"}
    transposed = [one.shape for name, one in plain.items() if re.fullmatch(r"upsample_conv\..*\.weight", name)]
    if transposed:
        scales = tuple(s for *_, s in transposed)
        return told | {"upsampling": "transposed", "scales": scales, "band_taps": transposed[0][2], "context": 0}
    smoothing = [one.shape for name, one in plain.items() if ".up_layers." in name]
    if not smoothing:
        raise ValueError("the checkpoint has no upsampling of the features: this form is not supported")
    if any(bands != 1 for _, _, bands, _ in smoothing):
        raise ValueError("the checkpoint smooths its features over neighbouring bands: this form is not supported")
    first = plain.get("upsample_net.conv_in.weight", np.zeros((1, 1, 1)))
    return told | {"scales": tuple(taps // 2 for *_, taps in smoothing), "context": first.shape[2] // 2}


def _configured(told: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Return the configuration, and a text for each value that is neither in the checkpoint nor given, but assumed.

    told: the fields of `Config` that follow from the checkpoint. given: as in `convert`. Raises ValueError if a given
    value contradicts `told`, or if `stacks` is needed and not given.
    """
    transposed = told.get("upsampling") == "transposed"
    published, more = PRESETS["wavenet-2018" if transposed else "wavenet"], _given(given, transposed)
    if "stacks" not in more and told["layers"] != published.layers:
        raise ValueError(
            f"the checkpoint does not tell into how many stacks its {told['layers']} layers are divided: give a file "
            'such as {"stacks": 3} with --config'
        )
    rest = {name: getattr(published, name) for name in _UNTOLD if name not in more}
    assumed = [f"{name} ({value})" for name, value in rest.items()]
    return Config(**{**rest, **agreed(told, more)}), assumed


def _given(given: Mapping[str, Any], transposed: bool) -> dict[str, Any]:
    """Return the fields of `Config`, by name, that are given under their names in `Config` or in the program.

    The program's setting `preprocess` gives `preemphasis`. In the version of 2018-05 `legacy` gives `skip_sum`, and
    `log_scale_min` gives `draw_floor` as well as `loss_floor`. A value under its name in `Config` is preferred. given:
    as in `convert`. transposed: whether the checkpoint is of that version.
    """
    found = {name: given[_THEIRS[name]] for name in _THEIRS if _THEIRS[name] in given}
    if given.get("preprocess", None) in _PREEMPHASIS:
        found["preemphasis"] = _PREEMPHASIS[given["preprocess"]]
    if "legacy" in given and transposed:
        found["skip_sum"] = "halved" if given["legacy"] else "plain"
    if "loss_floor" in found and transposed:
        found["draw_floor"] = found["loss_floor"]  # the program of 2018 has the same floor for both
    return found | {name: given[name] for name in Config.model_fields if name in given}


def _speaker(plain: Mapping[str, Array], given: Mapping[str, Any]) -> Array | None:
    """Return the embedding vector of the speaker `given["speaker"]`; None if the network has no embedding of speakers.

    plain: the arrays of the network. Raises ValueError if the number of the speaker is missing or out of range.
    """
    if "conv_layers.0.conv1x1g.weight" not in plain:
        return None
    speakers, number = plain.get("embed_speakers.weight", np.zeros((0, 1))), given.get("speaker")
    if not isinstance(number, int) or not 0 <= number < len(speakers):
        raise ValueError(
            f"the checkpoint is of {len(speakers)} speakers; speaker is {number!r}: give a file such as "
            '{"speaker": 0} with --config'
        )
    embedding: Array = speakers[number]
    return embedding


def _per_band(given: Mapping[str, Any], name: str, config: Config, default: float) -> Array:
    found = np.asarray(given.get(name, [default] * config.bands), np.float64)
    if found.shape != (config.bands,):
        raise ValueError(f"{name} is given with the shape {list(found.shape)}; expected {config.bands} numbers")
    return found


def _upsampling(plain: Mapping[str, Array], config: Config) -> dict[str, Array]:
    if config.upsampling == "transposed":
        names = [f"upsample_conv.{2 * k}" for k in range(len(config.scales))]
        weights = {f"stretch.weights.{k}": plain[f"{name}.weight"] for k, name in enumerate(names)}
        return weights | {f"stretch.biases.{k}": plain[f"{name}.bias"] for k, name in enumerate(names)}
    names = numbered(plain, "up_layers")
    first = plain.get("upsample_net.conv_in.weight", np.eye(config.bands)[..., None])
    return {
        "stretch.first.weight": first,
        **{f"stretch.taps.{k}": plain[f"{name}.weight"].reshape(-1) for k, name in enumerate(names)},
    }
