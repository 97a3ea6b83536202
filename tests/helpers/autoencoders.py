"""Small WaveNet autoencoders with random weights, files of such weights, and recorded results of published programs.

The weights are the same in every run.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from dspgraph import Array
from dspgraph_nodes._kernels.signal.mulaw import floor_levels
from dspgraph_nodes.models.wavenet_autoencoder.config import TAPS, Config
from dspgraph_nodes.models.wavenet_autoencoder.convert import convert
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.packing import packed_decoder, packed_encoder
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS, shapes
from helpers.paths import GOLDEN
from helpers.weight_files import shared_file

__all__ = [
    "NORMALISED", "PITCHED", "RECORDED", "TINY", "Config", "autoencoder_file", "frames_in_torch", "logits_in_torch", "packed_decoder",
    "packed_encoder", "published", "published_by_chainer", "random_arrays", "recorded", "recorded_by_chainer", "settings_of", "their_name", "tiny",
]  # fmt: skip

RECORDED = GOLDEN / "gansynth"


def tiny(**others: Any) -> Config:
    """Return the configuration of a small WaveNet autoencoder: two stacks of three layers.

    Its sizes are no multiples of 16. others: fields of `Config` that replace those of this configuration.
    """
    sizes = {
        "layers": 6,
        "stacks": 2,
        "encoder": 9,
        "latent": 5,
        "width": 20,
        "skip": 18,
        "hop": 20,
        "rate": 2000,
        "lowest": 0,
    }
    return Config(**{**sizes, **others})


TINY = tiny()
PITCHED = tiny(pitches=3)
"""A network whose decoder reads the pitch of a note, MIDI 0, 1 or 2."""

NORMALISED = tiny(form="normalised", encoder=18, width=9, pitches=3)
"""A network of the normalised form, whose decoder also reads the pitch."""


def random_arrays(config: Config = TINY, seed: int = 0) -> dict[str, Array]:
    """Return the weights, by name, of a random network whose output depends on all inputs."""
    draw = np.random.Generator(np.random.Philox(key=seed))
    arrays = {}
    for name, shape in shapes(config).items():
        wide = 0.3 if len(shape) == 1 else 1.7 / np.sqrt(shape[1])
        if name.endswith((".out.weight", ".out.bias")):
            wide /= np.sqrt(config.layers)  # the sum over all layers is about as large as the result of one layer
        arrays[name] = (wide * (2 * draw.random(shape) - 1)).astype(np.float32)
        if name.endswith(("running_var", "norms.0.weight", "norms.1.weight")):
            arrays[name] += np.float32(1)
    if config.form == "normalised":
        arrays["decoder.first.weight"] = arrays["encoder.first.weight"]
    return arrays


def settings_of(config: Config) -> dict[str, Any]:
    """Return the settings, by name, of a training run that trains a network of this configuration."""
    return {"preset": "wavenet_autoencoder-small", **config.model_dump()}


def autoencoder_file(config: Config = TINY, seed: int = 0, folder: str | Path | None = None) -> str:
    """Return the path of a file of random weights, and write the file if it does not exist.

    folder: by default a temporary folder that all test processes of a user share.
    """
    return shared_file(WEIGHTS.content(config, random_arrays(config, seed)), folder)


_THEIRS = {"conv": "ae_dilatedconv_", "gate": "dilatedconv_", "condition": "cond_map_", "skip": "skip_"}
_SINGLE = {
    "encoder.first": "ae_startconv", "encoder.last": "ae_bottleneck", "decoder.first": "startconv",
    "decoder.skip": "skip_start", "decoder.head.0": "out1", "decoder.head.1": "logits",
    "decoder.condition": "cond_map_out1",
}  # fmt: skip


def their_name(ours: str) -> str:
    """Return the name that NSynth's program gives a layer: for instance "dilatedconv_3" for "decoder.layers.2.gate"."""
    if ours in _SINGLE:
        return _SINGLE[ours]
    part, _, number, layer = ours.split(".")
    out = "ae_res_" if part == "encoder" else "res_"
    return f"{_THEIRS.get(layer, out)}{int(number) + 1}"


def published(config: Config, arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the arrays, by name, of the checkpoint that NSynth's program would write for these weights.

    config: the configuration of the network, of the gated form and without pitches; arrays: its weights, by their names
    in this project.
    """
    found: dict[str, Array] = {}
    for name in {one.rpartition(".")[0] for one in arrays}:
        weight, bias, theirs = arrays[f"{name}.weight"], arrays[f"{name}.bias"], their_name(name)
        if theirs.startswith(("dilatedconv", "cond_map_")) and theirs != "cond_map_out1":
            weight, bias = (np.concatenate((one[config.width :], one[: config.width])) for one in (weight, bias))
        taps = TAPS if "conv" in theirs else 1
        found[f"{theirs}/W"] = np.ascontiguousarray(weight.T).reshape(1, taps, -1, len(bias))
        found[f"{theirs}/biases"] = bias
    last, width = config.layers, config.width
    found[f"res_{last}/W"] = np.zeros((1, 1, width, width), np.float32)  # the program has it, and does not use it
    found[f"res_{last}/biases"] = np.zeros(width, np.float32)
    return found


def published_by_chainer(config: Config, arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the arrays, by name, of the checkpoint that wavenet-autoencoder-chainer would write for these weights.

    config: the configuration of the network, of the normalised form; arrays: its weights, by their names in this
    project. The program adds the bias of the encoding once for every layer, so it stores this bias divided by the
    number of layers. It also adds 1e-5 more to every variance than torch does, so it stores variances that are smaller
    by 1e-5.
    """
    single = {
        "encoder.last": "ecd_fnl_conv", "decoder.condition": "dcd_bias_conv", "decoder.head.0": "dcd_fnl_conv1",
        "decoder.head.1": "dcd_fnl_conv2",
    }  # fmt: skip
    within = {"conv": "conv", "out": "afr_conv", "norms.0": "bfr_bn", "norms.1": "afr_bn"}
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "avg_mean", "running_var": "avg_var"}
    found: dict[str, Array] = {"embedid/W": arrays["encoder.first.weight"]}
    for name, one in arrays.items():
        layer, _, kind = name.rpartition(".")
        if layer.endswith("first"):
            continue
        part, _, number, inner = layer.split(".", 3) if ".layers." in layer else (layer, "", "", "")
        theirs = single[layer] if not inner else f"{'ecd' if part == 'encoder' else 'dcd'}_{within[inner]}{number}"
        if inner.startswith("norms"):
            found[f"{theirs}/{kinds[kind]}"] = one - np.float32(1e-5) if kind == "running_var" else one
            found[f"{theirs}/N"] = np.array(3)
        elif kind == "bias":
            found[f"{theirs}/b"] = one / np.float32(config.layers) if layer == "encoder.last" else one
        else:
            taps = one.shape[1] // config.encoder if inner == "conv" else 1
            found[f"{theirs}/W"] = one.reshape(len(one), taps, -1).swapaxes(1, 2)[..., None]
    return found


def recorded(name: str) -> tuple[dict[str, Array], Config, dict[str, Array]]:
    """Return recorded results of NSynth's program, the configuration of the network, and its weights.

    name: the name of the network, "small" or "deep". The results and the weights are arrays, by name. Among the results
    are the weights of the checkpoint, as "w/NAME". The folder RECORDED must exist.
    """
    with np.load(RECORDED / f"nsynth_wavenet_{name}.npz") as file:
        golden = {key: file[key] for key in file.files}
    given = {"small": {"stacks": 2, "hop": 32}, "deep": {}}[name]
    theirs = {key.removeprefix("w/"): golden[key] for key in golden if key.startswith("w/")}
    config, arrays, _ = convert(theirs, given)
    return golden, config, arrays


def recorded_by_chainer(name: str) -> tuple[dict[str, Array], Config, dict[str, Array]]:
    """Return recorded results of wavenet-autoencoder-chainer, the configuration of the network, and its weights.

    name: the name of the network, "small" or "full". The results and the weights are arrays, by name. The result "z" is
    the encoding [frames, latent]; "read" is the same with the one-hot code of the pitch appended, as the decoder reads
    it; "w/NAME" are the weights of the checkpoint. The folder RECORDED must exist.
    """
    with np.load(RECORDED / f"wavenet_ae_chainer_{name}.npz") as file:
        golden = {key: file[key] for key in file.files}
    given = {"small": {"stacks": 2, "hop": 32}, "full": {}}[name]
    theirs = {key.removeprefix("w/"): golden[key] for key in golden if key.startswith("w/")}
    config, arrays, _ = convert(theirs, given)
    code = np.eye(config.pitches)[golden["pitch"][:: config.hop]]
    return {**golden, "z": golden["z"].T, "read": np.concatenate((golden["z"].T, code), axis=1)}, config, arrays


def _network(config: Config, arrays: dict[str, Array]) -> Any:
    """Return a WaveNetAutoencoder in torch with these weights, in float64."""
    model = WaveNetAutoencoder(config).eval()
    model.load_state_dict({name: torch.from_numpy(one) for name, one in arrays.items()})
    return model.double()


def frames_in_torch(config: Config, arrays: dict[str, Array], x: Array) -> Array:
    """Return the encoding [frames, latent] of a signal x [n], computed by the network in torch, in float64.

    x has full scale +-1; the network reads its mu-law levels. Zeros are appended to x up to a whole number of frames.
    arrays: the weights, by name.
    """
    network, whole = _network(config, arrays).encoder, np.pad(x, (0, -len(x) % config.hop))
    with torch.no_grad():
        found: Array = network(torch.from_numpy(floor_levels(whole))[None])[0].numpy()
    return found


def logits_in_torch(config: Config, arrays: dict[str, Array], z: Array, previous: Array) -> Array:
    """Return the logits [n, 256] for all samples of a signal, computed by the network in torch, in float64.

    arrays: the weights, by name; z: [frames, latent + pitches], the encoding, with the one-hot code of the pitch if the
    network has pitches; previous: [n], n = frames * hop, the mu-law level of the sample before each sample, integers;
    before the first sample it is 128.
    """
    network = _network(config, arrays).decoder
    with torch.no_grad():
        found: Array = network(torch.from_numpy(z)[None].double(), torch.from_numpy(previous)[None])[0].numpy()
    return found
