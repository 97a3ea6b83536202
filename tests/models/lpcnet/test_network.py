"""LPCNet's network in torch and its files of weights: its equations, conversion from Keras, files that are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file

from dspgraph import Array
from dspgraph.errors import FileError
from dspgraph.training.conversion import convert_weights
from dspgraph_nodes.models.lpcnet.config import PRESETS, Config
from dspgraph_nodes.models.lpcnet.convert import from_keras
from dspgraph_nodes.models.lpcnet.network import DualFC, LPCNet
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS, shapes
from dspgraph_nodes.models.shared.modules import load, save
from helpers import paths
from helpers.networks import SMALL, random_arrays

GOLDEN = paths.GOLDEN / "lpcnet_network_random.npz"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LPCNet(SMALL)
    save(WEIGHTS, model, tmp_path / "a.safetensors")
    loaded = load(WEIGHTS, LPCNet, tmp_path / "a.safetensors")
    assert loaded.config == SMALL
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize("config", [SMALL, *PRESETS.values()])
def test_the_shapes_are_those_of_the_network(config: Config) -> None:
    found = {name: tuple(value.shape) for name, value in LPCNet(config).state_dict().items()}
    assert found == shapes(config)


def test_the_full_network_has_the_weights_of_the_published_one_but_those_of_unused_features() -> None:
    """The network lacks only 54 * 128 weights of the published one, which has 1,239,904 of them.

    Those are for 18 features that are always 0, in the three taps of the first convolution, which has 128 outputs.
    """
    assert sum(int(np.prod(shape)) for shape in shapes(Config()).values()) + 54 * 128 == 1_239_904


def test_the_embedding_of_codes_begins_as_a_ramp() -> None:
    """Each dimension of the embedding is 0.1 * sqrt(12) * (i - 127.5) / 256 for code i, plus uniform noise.

    The standard deviation of the noise is 0.1.
    """
    torch.manual_seed(0)
    weight = LPCNet(Config()).embed.weight.detach().numpy()
    ramp = 0.1 * np.sqrt(12) * (np.arange(256) - 127.5) / 256
    rest = weight - ramp[:, None]
    assert abs(rest.mean()) < 0.002  # 4 times 0.1 / sqrt(256 * 128)
    assert abs(rest.std() - 0.1) < 0.002
    assert np.abs(rest).max() <= 0.1 * np.sqrt(3) + 1e-6


def test_frame_features_reach_two_frames_on_either_side() -> None:
    torch.manual_seed(0)
    model, x = LPCNet(SMALL).eval(), torch.randn(1, 12, 18)
    other = x.clone()
    other[0, 6] += 1
    with torch.no_grad():
        a, b = (model.condition(one, torch.zeros(1, 12), torch.zeros(1, 12)) for one in (x, other))
    differ = (a != b).any(-1)[0]
    assert_array_equal(np.flatnonzero(differ.numpy()), [4, 5, 6, 7, 8])


@pytest.mark.parametrize(("pitch", "row"), [(-1.34, 33), (-1.0, 50), (0.0, 100), (3.1, 255), (3.12, 255), (9.0, 255)])
def test_a_pitch_out_of_range_has_the_nearest_row_of_the_table(pitch: float, row: int) -> None:
    """The row is floor(0.1 + 50 * pitch + 100), limited to 33 .. 255; the first programs allowed 256, one too many."""
    model = LPCNet(SMALL).eval()
    with torch.no_grad():
        model.embed_pitch.weight.zero_()
        silent = model.condition(torch.zeros(1, 1, 18), torch.full((1, 1), pitch), torch.zeros(1, 1))
        model.embed_pitch.weight[row] = 1.0
        found = model.condition(torch.zeros(1, 1, 18), torch.full((1, 1), pitch), torch.zeros(1, 1))
    assert (found != silent).any()


def test_two_layers_are_weighted_and_summed() -> None:
    torch.manual_seed(0)
    one, h = DualFC(16, 256), torch.randn(5, 16)
    with torch.no_grad():
        one.factor.uniform_()
        one.bias.uniform_()
        a, w, b = one.factor, one.kernel, one.bias
        expected = a[0] * torch.tanh(h @ w[0].T + b[0]) + a[1] * torch.tanh(h @ w[1].T + b[1])
        torch.testing.assert_close(one(h), expected)
    assert DualFC(16, 256).kernel.abs().max() <= np.sqrt(6 / 272)
    assert sum(value.numel() for value in one.parameters()) == 9216  # without the biases' 512 it would be 8704


def keras(config: Config, seed: int = 0, zeros: int = 18) -> dict[str, Array]:
    """Return random weights of an LPCNet, by name, in the layout of Keras.

    zeros: the number of features that are always 0, which published networks have beside the used ones.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    c, width = config, config.bands + zeros + 2 + config.pitch_embedding
    found: dict[str, tuple[int, ...]] = {
        "embed_sig": (256, c.embedding),
        "embed_pitch": (256, c.pitch_embedding),
        "feature_conv1/kernel": (3, width, c.condition),
        "feature_conv2/kernel": (3, c.condition, c.condition),
        "feature_dense1/kernel": (c.condition, c.condition),
        "feature_dense2/kernel": (c.condition, c.condition),
        "dual_fc/kernel": (256, c.gru_b, 2),
        "dual_fc/bias": (256, 2),
        "dual_fc/factor": (256, 2),
        "gru_a/kernel": (3 * c.embedding + c.condition, 3 * c.gru_a),
        "gru_a/recurrent": (c.gru_a, 3 * c.gru_a),
        "gru_a/bias": (2, 3 * c.gru_a),
        "gru_b/kernel": (c.gru_a + c.condition, 3 * c.gru_b),
        "gru_b/recurrent": (c.gru_b, 3 * c.gru_b),
        "gru_b/bias": (2, 3 * c.gru_b),
    }
    found |= {f"feature_{name}/bias": (c.condition,) for name in ("conv1", "conv2", "dense1", "dense2")}
    return {name: (draw.random(shape) - 0.5).astype(np.float32) for name, shape in found.items()}


def sigmoid(x: Array) -> Array:
    y: Array = 1 / (1 + np.exp(-x))
    return y


def keras_step(w: dict[str, Array], name: str, x: Array, h: Array) -> Array:
    """Return the next state of a GRU by the equations of Keras (reset_after, gates z, r, h).

    w: the weights of the network, by name; name: the name of the GRU; x: its inputs; h: its state.
    """
    n = len(h)
    a, b = x @ w[f"{name}/kernel"] + w[f"{name}/bias"][0], h @ w[f"{name}/recurrent"] + w[f"{name}/bias"][1]
    z, r = sigmoid(a[:n] + b[:n]), sigmoid(a[n : 2 * n] + b[n : 2 * n])
    new: Array = z * h + (1 - z) * np.tanh(a[2 * n :] + r * b[2 * n :])
    return new


@pytest.mark.parametrize("zeros", [0, 18])
def test_a_keras_network_computes_the_same_after_it_is_converted(zeros: int) -> None:
    """The logits of the converted network equal those of Keras's equations, computed in float64, to 2e-5."""
    w = {name: array.astype(np.float64) for name, array in keras(SMALL, zeros=zeros).items()}
    model = from_keras({f"weights/{name}": array for name, array in w.items()})
    draw = np.random.Generator(np.random.Philox(key=1))
    cepstrum, pitch, correlation = draw.random((6, 18)), draw.random(6), draw.random(6)
    rows = w["embed_pitch"][np.floor(0.1 + 50 * pitch + 100).astype(int)]
    x = np.concatenate((cepstrum, np.zeros((6, zeros)), pitch[:, None], correlation[:, None], rows), axis=1)
    for k in (1, 2):
        padded = np.pad(x, ((1, 1), (0, 0)))
        kernel = w[f"feature_conv{k}/kernel"]
        x = np.tanh(sum(padded[j : j + 6] @ kernel[j] for j in range(3)) + w[f"feature_conv{k}/bias"])
    for k in (1, 2):
        x = np.tanh(x @ w[f"feature_dense{k}/kernel"] + w[f"feature_dense{k}/bias"])
    codes = draw.integers(0, 256, (6, 3))
    h_a, h_b = np.zeros(SMALL.gru_a), np.zeros(SMALL.gru_b)
    expected = []
    for f, code in zip(x, codes, strict=True):
        h_a = keras_step(w, "gru_a", np.concatenate((w["embed_sig"][code].reshape(-1), f)), h_a)
        h_b = keras_step(w, "gru_b", np.concatenate((h_a, f)), h_b)
        halves = np.tanh(np.einsum("oik,i->ok", w["dual_fc/kernel"], h_b) + w["dual_fc/bias"])
        expected.append((w["dual_fc/factor"] * halves).sum(axis=1))
    with torch.no_grad():
        given = (torch.from_numpy(one.astype(np.float32))[None] for one in (cepstrum, pitch, correlation))
        found, _, _ = model(model.condition(*given), torch.from_numpy(codes)[None])
    assert np.abs(found[0].numpy() - expected).max() < 2e-5


def stored(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def test_files_of_keras_are_converted(tmp_path: Path) -> None:
    import h5py

    arrays = keras(SMALL)
    stored(tmp_path / "a.npz", {f"weights/{name}": array for name, array in arrays.items()})
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[f"model/{name}"] = array
    for kind in ("npz", "h5"):
        convert_weights(tmp_path / f"a.{kind}", tmp_path / f"{kind}.safetensors")
    assert (tmp_path / "npz.safetensors").read_bytes() == (tmp_path / "h5.safetensors").read_bytes()
    assert WEIGHTS.read(tmp_path / "npz.safetensors")[0] == SMALL


def test_a_keras_file_that_lacks_something_is_refused(tmp_path: Path) -> None:
    arrays = keras(SMALL)
    del arrays["gru_b/bias"]
    stored(tmp_path / "a.npz", arrays)
    with pytest.raises(FileError, match="has one array 'gru_b/bias'; found 0 among"):
        convert_weights(tmp_path / "a.npz", tmp_path / "a.safetensors")
    arrays = keras(SMALL)
    arrays["gru_b/bias"] = arrays["gru_b/bias"][:, :-1]
    stored(tmp_path / "a.npz", arrays)
    with pytest.raises(FileError, match="Keras layout: gru_b.bias_.h_l0 has shape"):
        convert_weights(tmp_path / "a.npz", tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(FileError, match="no file of plain arrays"):
        convert_weights(tmp_path / "a.npz", tmp_path / "a.safetensors")


def broken(tmp_path: Path, change: Any = None, said: dict[str, str] | None = None) -> Path:
    arrays, path = random_arrays(SMALL), tmp_path / "broken.safetensors"
    if change is not None:
        change(arrays)
    save_file(arrays, path, WEIGHTS.metadata(SMALL) if said is None else said)
    return path


def refused(path: Path, rule: str) -> None:
    for reader in (WEIGHTS.read, lambda file: load(WEIGHTS, LPCNet, file)):
        with pytest.raises(ValueError, match=rule):
            reader(path)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    refused(broken(tmp_path, said={}), "holds no weights of a model: its metadata have no configuration")
    refused(broken(tmp_path, said={"config": "[1]"}), "holds no weights of a model")
    refused(broken(tmp_path, said={"config": "{"}), "holds no weights of a model")
    refused(broken(tmp_path, said={"config": json.dumps({"model": "wavenet"})}), "holds weights of 'wavenet'")
    refused(broken(tmp_path, said={**WEIGHTS.metadata(SMALL), "model": "wavenet"}), "weights of 'wavenet'; .* 'lpcnet'")


def test_a_file_of_a_later_layout_is_refused_and_one_of_the_first_layout_is_read(tmp_path: Path) -> None:
    later = {**WEIGHTS.metadata(SMALL), "format": "3"}
    refused(broken(tmp_path, said=later), "has the layout '3'; this version of dspgraph reads 1 and 2 for")
    first = {"config": json.dumps({"model": "lpcnet", **SMALL.model_dump()})}
    assert WEIGHTS.read(broken(tmp_path, said=first))[0] == SMALL


def configured(config: dict[str, Any]) -> dict[str, str]:
    return {**WEIGHTS.metadata(SMALL), "config": json.dumps(config)}


def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path) -> None:
    def says(**changes: Any) -> dict[str, str]:
        found = json.loads(WEIGHTS.metadata(SMALL)["config"])
        found.update(changes)
        return configured({name: value for name, value in found.items() if value is not None})

    refused(broken(tmp_path, said=says(gru_a=None)), "configuration of .*; expected .*'gru_a'")
    refused(broken(tmp_path, said=says(layers=3)), "configuration of .*'layers'.*; expected")
    refused(
        broken(tmp_path, said=says(gru_a=40)),
        "impossible configuration: gru_a is 40; it must be a whole number, .* a multiple of 16",
    )
    for value in (0, -16, 1.5, "384", True, 10**9):
        refused(
            broken(tmp_path, said=says(gru_a=value)),
            "impossible configuration: gru_a is .*; it must be a whole number, at least 1, at most 4096, a multiple of 16",
        )
    refused(
        broken(tmp_path, said=says(gru_a=64)),
        r"gru_a.weight_ih_l0 has shape \[144, 40\]; its configuration says \[192, 40\]",
    )


@pytest.mark.parametrize("name", list(Config.model_fields))
def test_a_field_that_does_not_fit_is_refused_by_name(name: str, tmp_path: Path) -> None:
    found = json.loads(WEIGHTS.metadata(SMALL)["config"])
    for value in (0, "16", None):
        refused(
            broken(tmp_path, said=configured({**found, name: value})), f"impossible configuration: {name} is {value!r};"
        )
    more = configured({**found, name: found[name] + 16})
    if name in ("rate", "hop"):  # no array tells them
        assert getattr(WEIGHTS.read(broken(tmp_path, said=more))[0], name) == found[name] + 16
    else:
        refused(broken(tmp_path, said=more), r"its configuration says \[")


def test_a_file_without_rate_and_hop_has_the_published_ones(tmp_path: Path) -> None:
    found = json.loads(WEIGHTS.metadata(SMALL)["config"])
    del found["rate"], found["hop"]
    assert WEIGHTS.read(broken(tmp_path, said=configured(found)))[0] == SMALL


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = broken(tmp_path)
    monkeypatch.setattr("safetensors.safe_open", closed)
    refused(path, "broken.safetensors cannot be read: Permission denied")


def test_arrays_that_are_not_those_of_the_network_are_refused(tmp_path: Path) -> None:
    name = "gru_a.bias_hh_l0"

    def double(arrays: dict[str, Array]) -> None:
        arrays[name] = arrays[name].astype(np.float64)

    def endless(arrays: dict[str, Array]) -> None:
        arrays[name][3] = np.nan

    refused(broken(tmp_path, lambda arrays: arrays.pop(name)), "the arrays of 'lpcnet': it lacks gru_a.bias_hh_l0")
    refused(broken(tmp_path, lambda arrays: arrays.update(more=np.zeros(1, np.float32))), "it also has more")
    refused(broken(tmp_path, double), "gru_a.bias_hh_l0 is float64; expected float32")
    refused(broken(tmp_path, endless), "gru_a.bias_hh_l0 holds numbers that are not finite")


def test_files_that_are_cut_or_something_else_are_refused(tmp_path: Path) -> None:
    path = broken(tmp_path)
    content = path.read_bytes()
    for part in (b"", content[:7], content[:60], content[:-1], content + b"\0", b"PK\3\4" + content, b"\xff" * 100):
        path.write_bytes(part)
        refused(path, "broken.safetensors is not a whole safetensors file")
    refused(tmp_path / "none", "there is no file .*none")
    refused(tmp_path, "is no regular file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "pipe is no regular file")


def test_a_configuration_that_is_nested_deeply_is_refused(tmp_path: Path) -> None:
    refused(broken(tmp_path, said={"config": "[" * 20_000}), "its metadata have no configuration")


def test_a_foreign_file_is_refused_before_its_arrays_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file declares an array of 2**40 bytes; it is sparse, so that it takes only a few bytes on the disk."""
    header = json.dumps(
        {"__metadata__": WEIGHTS.metadata(SMALL), "x": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}
    )
    with (tmp_path / "a.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + 2**40)
    refused(tmp_path / "a.safetensors", "does not hold the arrays of 'lpcnet': .* also has x")


def test_numbers_that_numpy_lacks_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    arrays = {name: torch.from_numpy(array).to(torch.bfloat16) for name, array in random_arrays(SMALL).items()}
    save_torch(arrays, tmp_path / "a.safetensors", WEIGHTS.metadata(SMALL))
    refused(tmp_path / "a.safetensors", "numbers that are not float32|is .*; expected float32")


@pytest.mark.skipif(not GOLDEN.is_file(), reason="what the C program gave is recorded beside the repository")
def test_the_published_network_is_computed() -> None:
    """Conditions, logits and states of GRU_B agree with a recorded run of the published program, to 2e-5 .. 3e-4.

    The weights are those in the record. The test is skipped if the record, which is kept beside the repository, is not
    there.
    """
    golden = np.load(GOLDEN)
    model = from_keras({name: golden[name] for name in golden if name.startswith("weights/")})
    assert model.config == Config()
    rows = torch.from_numpy(golden["features"])[None]
    with torch.no_grad():
        f = model.condition(rows[..., :18], rows[..., 36], rows[..., 37])
        assert np.abs(f[0, :28].numpy() - golden["cond"][2:]).max() <= 2e-5  # measured 6.5e-6
        codes = torch.from_numpy(golden["exc_sig_pred"].astype(np.int64)[:, [1, 2, 0]])[None]
        logits, states, _ = model(torch.from_numpy(golden["cond"][2:6])[None], codes)
    assert np.abs(logits[0].numpy() - golden["logits"]).max() <= 3e-4  # measured 5.6e-5
    assert np.abs(states[0].numpy() - golden["gru_b"]).max() <= 3e-5  # measured 3.6e-6


def test_weights_are_read_and_synthesised_without_torch() -> None:
    """The import of the modules of the node, of the weights and of the kernel does not import torch.

    So rendering does not depend on the version of torch, or wait for its import.
    """
    modules = "dspgraph_nodes.models.lpcnet.weights, dspgraph_nodes._kernels.neural.lpcnet_stream"
    code = f"import sys, dspgraph_nodes.neural.lpcnet, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
