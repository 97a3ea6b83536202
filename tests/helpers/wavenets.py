"""Small WaveNets with random weights, which are the same in every run, and files of such weights."""

from pathlib import Path
from typing import Any

import numpy as np

from dspgraph import Array
from dspgraph_nodes.models.shared.weights import Numbers
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.weights import WEIGHTS, shapes
from helpers.weight_files import shared_file


def tiny(**others: Any) -> Config:
    """Return the configuration of a small WaveNet: two stacks of three layers, with sizes that are no multiples of 16.

    others: fields of `Config` that replace those of this configuration.
    """
    sizes: dict[str, Any] = {
        "layers": 6, "stacks": 2, "residual": 20, "gate": 24, "skip": 18, "components": 3, "bands": 5,
        "context": 1, "scales": (4, 5), "rate": 2000,
    }  # fmt: skip
    return Config(**{**sizes, **others})


MIXTURE = tiny(gain=0.5, preemphasis=0.6)
LEVELS = tiny(kind="categorical", levels=64, skip_sum="plain")
TRANSPOSED = tiny(
    upsampling="transposed", context=0, band_taps=3, condition_bias=True, skip_sum="halved", draw_floor=-4.0
)


def random_arrays(config: Config, seed: int = 0) -> dict[str, Array]:
    """Return the weights, by name, of a random network whose output depends on all inputs."""
    draw = np.random.Generator(np.random.Philox(key=seed))
    arrays = {}
    for name, shape in shapes(config).items():
        fan = int(np.prod(shape[1:], initial=1))
        wide = 0.3 if len(shape) == 1 else 1.7 / np.sqrt(fan)
        arrays[name] = wide * (2 * draw.random(shape) - 1)
    arrays["mean"], arrays["deviation"] = 0.2 * draw.random(config.bands), 1 + draw.random(config.bands)
    for name in arrays:
        if name.startswith("stretch.taps"):
            arrays[name] = (1 + arrays[name]) / len(arrays[name])
        if name.startswith("stretch.weights"):
            arrays[name] = 0.3 + 0.2 * arrays[name]
    if config.kind == "mixture":
        arrays["head.1.weight"] *= 0.5
        arrays["head.1.bias"][2 * config.components :] -= 3
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def published(config: Config, arrays: dict[str, Array], speakers: int = 0) -> dict[str, Array]:
    """Return the arrays, by name, of the checkpoint that the program wavenet_vocoder would write for these weights.

    In it weights are stored with weight normalisation, as lengths and directions, except those of the first layer of
    `stretch` and the table `embed_speakers`. The mean and deviation of the features are not in it. speakers: the number
    of speakers that the checkpoint knows, by random weights; 0: it has no weights for speakers.
    """
    draw, found = np.random.Generator(np.random.Philox(key=3)), {}

    def put(name: str, weight: Array, bias: Array | None = None) -> None:
        size = (len(weight),) + (1,) * (weight.ndim - 1)
        norm = np.sqrt((weight**2).sum(axis=tuple(range(1, weight.ndim)))).reshape(size)
        found[f"{name}.weight_g"], found[f"{name}.weight_v"] = norm, weight * draw.uniform(0.5, 2, size)
        if bias is not None:
            found[f"{name}.bias"] = bias

    def dense(theirs: str, ours: str, taps: int = 1) -> None:
        weight = arrays[f"{ours}.weight"]
        put(theirs, weight.reshape(len(weight), taps, -1).swapaxes(1, 2), arrays.get(f"{ours}.bias"))

    dense("first_conv", "first")
    for i in range(config.layers):
        dense(f"conv_layers.{i}.conv", f"layers.{i}.gate", config.kernel)
        dense(f"conv_layers.{i}.conv1x1c", f"layers.{i}.condition")
        dense(f"conv_layers.{i}.conv1x1_skip", f"layers.{i}.skip")
        dense(f"conv_layers.{i}.conv1x1_out", f"layers.{min(i, config.layers - 2)}.out")  # the last one is not used
        if speakers:
            put(f"conv_layers.{i}.conv1x1g", draw.standard_normal((config.gate, 4, 1)))
    for k in range(2):
        dense(f"last_conv_layers.{2 * k + 1}", f"head.{k}")
    for k in range(len(config.scales)):
        if config.upsampling == "stretch":
            put(f"upsample_net.upsample.up_layers.{2 * k + 1}", arrays[f"stretch.taps.{k}"][None, None, None])
        else:
            put(f"upsample_conv.{2 * k}", arrays[f"stretch.weights.{k}"], arrays[f"stretch.biases.{k}"])
    if config.upsampling == "stretch":
        found["upsample_net.conv_in.weight"] = arrays["stretch.first.weight"]
    if speakers:
        found["embed_speakers.weight"] = draw.standard_normal((speakers, 4))
    return {name: array.astype(np.float32) for name, array in found.items()}


def wavenet_file(
    config: Config = MIXTURE, seed: int = 0, folder: str | Path | None = None, numbers: Numbers = "float32"
) -> str:
    """Return the path of a file of random weights, and write the file if it does not exist.

    seed: of the weights; folder: by default a temporary folder that all test processes of a user share; numbers: the
    type of the numbers in the file.
    """
    return shared_file(WEIGHTS.content(config, random_arrays(config, seed), numbers=numbers), folder)


def restated(config: Config, arrays: dict[str, Array], c: Array, previous: Array) -> Array:
    """Return the parameters [n, width] of the distributions of n samples, computed from the network's equations.

    The computation is in float64, sample by sample. arrays: the weights, by name; c: [n, bands], the features of every
    sample, which are already normalised and upsampled; previous: [n], the sample or, for the kind "categorical", the
    number of the level before each sample. Before the first sample, the inputs of all layers are 0.
    """
    w = {name: array.astype(np.float64) for name, array in arrays.items()}
    half, taps, dilations = config.gate // 2, config.kernel, config.dilations
    past = [np.zeros(((taps - 1) * d + len(c), config.residual)) for d in dilations]
    found = np.zeros((len(c), config.width))
    for t in range(len(c)):
        one_hot = np.eye(config.levels)[int(previous[t])] if config.kind == "categorical" else previous[t : t + 1]
        x, skips = w["first.weight"] @ one_hot + w["first.bias"], []
        for i, d in enumerate(dilations):
            name = f"layers.{i}"
            past[i][(taps - 1) * d + t] = x
            read = np.concatenate([past[i][t + k * d] for k in range(taps)])
            a = w[f"{name}.gate.weight"] @ read + w[f"{name}.gate.bias"]
            a = a + w[f"{name}.condition.weight"] @ c[t] + w.get(f"{name}.condition.bias", 0)
            z = np.tanh(a[:half]) / (1 + np.exp(-a[half:]))
            skips.append(w[f"{name}.skip.weight"] @ z + w[f"{name}.skip.bias"])
            if i + 1 < len(dilations):
                x = (x + w[f"{name}.out.weight"] @ z + w[f"{name}.out.bias"]) * np.sqrt(0.5)
        total = skips[0]
        for skip in skips[1:]:
            total = (total + skip) * (np.sqrt(0.5) if config.skip_sum == "halved" else 1)
        total = total / np.sqrt(len(dilations)) if config.skip_sum == "scaled" else total
        h = np.maximum(w["head.0.weight"] @ np.maximum(total, 0) + w["head.0.bias"], 0)
        found[t] = w["head.1.weight"] @ h + w["head.1.bias"]
    return found
