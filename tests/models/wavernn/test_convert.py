"""Published checkpoints of WaveRNN: the four layouts, and the results of their programs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose
from torch.nn.functional import batch_norm, conv1d, conv2d, linear, relu

from dspgraph import Array
from dspgraph.cli.main import main
from dspgraph_nodes.models.shared.modules import load as load_network
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.convert import convert, recognises
from dspgraph_nodes.models.wavernn.network import WaveRNN, network
from dspgraph_nodes.models.wavernn.weights import WEIGHTS
from helpers import paths
from helpers.wavernn import SMALL, random_weights

GOLDEN = paths.GOLDEN / "wavenet"
recorded = pytest.mark.skipif(not GOLDEN.is_dir(), reason="what other programs gave is recorded beside the repository")

FATCHORD = {
    "conditions.first": "upsample.resnet.conv_in", "conditions.norm": "upsample.resnet.batch_norm",
    "conditions.blocks": "upsample.resnet.layers", ".norm1": ".batch_norm1", ".norm2": ".batch_norm2",
    "conditions.last": "upsample.resnet.conv_out", "input.": "I.", "gru1": "rnn1", "gru2": "rnn2",
    "dense1": "fc1", "dense2": "fc2", "dense3": "fc3",
}  # fmt: skip


def as_fatchord(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the arrays of a network with two GRUs in the layout of fatchord/WaveRNN, with its two counters.

    arrays: those of our network, by name.
    """
    found: dict[str, Array] = {
        "step": np.zeros(1, np.int64),
        "upsample.resnet.batch_norm.num_batches_tracked": np.zeros(()),
    }
    for name, array in arrays.items():
        for ours, theirs in FATCHORD.items():
            name = name.replace(ours, theirs)
        if name.startswith("conditions.smooth"):
            number = 2 * int(name.split(".")[2]) + 1
            name, array = f"upsample.up_layers.{number}.weight", array[:, None]
        found[name] = array
    return found


def as_torchaudio(arrays: dict[str, Array], blocks: int) -> dict[str, Array]:
    """Return the arrays of a network with two GRUs in the layout of torchaudio.

    arrays: those of our network, by name; blocks: the number of its residual blocks.
    """
    found = {}
    for name, array in as_fatchord(arrays).items():
        for old, new in (
            ("upsample.up_layers", "upsample.upsample_layers"), ("resnet.conv_in", "resnet.melresnet_model.0"),
            ("resnet.batch_norm.", "resnet.melresnet_model.1."), ("conv_out", f"melresnet_model.{3 + blocks}"),
            ("batch_norm1", "resblock_model.1"), ("batch_norm2", "resblock_model.4"), ("conv1", "resblock_model.0"),
            ("conv2", "resblock_model.3"), *((f"resnet.layers.{k}.", f"resnet.melresnet_model.{3 + k}.") for k in range(blocks)),
        ):  # fmt: skip
            name = name.replace(old, new)
        found["fc." + name[2:] if name.startswith("I.") else name] = array
    return found


def given(config: Config) -> dict[str, Any]:
    """Return the values, by name, that a checkpoint of a network with two GRUs does not contain."""
    return {"rate": config.rate, **({"mulaw": config.mulaw} if config.kind == "categorical" else {})}


def same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32


@pytest.mark.parametrize("name", ["categorical", "linear", "mixture"])
@pytest.mark.parametrize("layout", ["fatchord", "torchaudio"])
def test_a_network_with_two_grus_is_found_again(name: str, layout: str) -> None:
    config = SMALL[name]
    arrays = random_weights(config)
    theirs = as_fatchord(arrays) if layout == "fatchord" else as_torchaudio(arrays, config.blocks)
    assert recognises(set(theirs))
    found, ours, silent = convert(theirs, given(config))
    assert found == config
    assert silent == []
    same(ours, arrays)
    _, _, silent = convert(theirs, {})
    assert silent == (["rate (22050)"] if name == "mixture" else ["rate (22050)", "mulaw (True)"])


# ---- torchaudio's layout, written from its definition ---------------------------------------------------------------


def torchaudios(
    factors: tuple[int, ...], classes: int, blocks: int, features: int, hidden: int, aux: int, units: int, dense: int
) -> dict[str, torch.Tensor]:
    """Return random weights in the names and shapes of the state dict of torchaudio's WaveRNN.

    factors: those of the upsampling layers; classes: the outputs; blocks: residual blocks; features: the width of a
    frame; hidden, aux: channels in and after the residual blocks, aux a multiple of 4; units: of each GRU; dense: units
    of the layers after them.
    """
    draw = torch.Generator().manual_seed(1)

    def uniform(*shape: int, size: float = 1.0) -> torch.Tensor:
        drawn: torch.Tensor = 3 * size * (2 * torch.rand(*shape, generator=draw) - 1) / shape[-1] ** 0.5
        return drawn

    norms = ["1"] + [f"{3 + k}.resblock_model.{n}" for k in range(blocks) for n in (1, 4)]
    found: dict[str, torch.Tensor] = {"upsample.resnet.melresnet_model.0.weight": uniform(hidden, features, 5)}
    for k in range(blocks):
        for n in (0, 3):
            found[f"upsample.resnet.melresnet_model.{3 + k}.resblock_model.{n}.weight"] = uniform(
                hidden, hidden, 1, size=0.3
            )
    for one in norms:
        name = f"upsample.resnet.melresnet_model.{one}"
        found |= {f"{name}.weight": 1 + uniform(hidden), f"{name}.bias": uniform(hidden)}
        found |= {f"{name}.running_mean": uniform(hidden), f"{name}.running_var": 1 + uniform(hidden).abs()}
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)
    last = f"upsample.resnet.melresnet_model.{3 + blocks}"
    found |= {f"{last}.weight": uniform(aux, hidden, 1, size=0.3), f"{last}.bias": uniform(aux)}
    for k, factor in enumerate(factors):
        taps = uniform(1, 1, 1, 2 * factor + 1, size=0.1) + 1 / (2 * factor + 1)
        found[f"upsample.upsample_layers.{2 * k + 1}.weight"] = taps
    quarter = aux // 4
    for name, inputs in (("rnn1", units), ("rnn2", units + quarter)):
        found |= {f"{name}.weight_ih_l0": uniform(3 * units, inputs), f"{name}.weight_hh_l0": uniform(3 * units, units)}
        found |= {f"{name}.bias_{kind}_l0": uniform(3 * units) for kind in ("ih", "hh")}
    for name, inputs, outputs in (
        ("fc", features + quarter + 1, units), ("fc1", units + quarter, dense), ("fc2", dense + quarter, dense),
        ("fc3", dense, classes),
    ):  # fmt: skip
        found |= {f"{name}.weight": uniform(outputs, inputs), f"{name}.bias": uniform(outputs)}
    return found


def torchaudios_outputs(w: dict[str, torch.Tensor], waveform: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
    """Return the outputs of torchaudio's WaveRNN, [batch, n, classes], computed from its equations.

    w: the arrays, as `torchaudios` returns them; waveform: [batch, n], from -1 to 1; mel: [batch, features, frames], of
    which the first two and the last two are context, so n = (frames - 4) * hop.
    """

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, weight, bias = (
            w[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return batch_norm(x, mean, variance, weight, bias)

    def gru(x: torch.Tensor, name: str) -> torch.Tensor:
        units = w[f"{name}.weight_hh_l0"].shape[1]
        one = torch.nn.GRU(x.shape[-1], units, batch_first=True)
        one.load_state_dict(
            {key.removeprefix(f"{name}."): each for key, each in w.items() if key.startswith(f"{name}.")}
        )
        y: torch.Tensor = one(x)[0]
        return y

    model = "upsample.resnet.melresnet_model"
    x = relu(norm(conv1d(mel, w[f"{model}.0.weight"]), f"{model}.1"))
    blocks = sum(name.endswith("resblock_model.0.weight") for name in w)
    for k in range(3, 3 + blocks):
        block = f"{model}.{k}.resblock_model"
        y = relu(norm(conv1d(x, w[f"{block}.0.weight"]), f"{block}.1"))
        x = x + norm(conv1d(y, w[f"{block}.3.weight"]), f"{block}.4")
    aux = conv1d(x, w[f"{model}.{3 + blocks}.weight"], w[f"{model}.{3 + blocks}.bias"])
    frames, hop = mel[:, None], 1
    for k in range(sum("upsample_layers" in name for name in w)):
        taps = w[f"upsample.upsample_layers.{2 * k + 1}.weight"]
        factor = taps.shape[-1] // 2
        hop *= factor
        frames = conv2d(frames.repeat_interleave(factor, -1), taps, padding=(0, factor))
    edge = w[f"{model}.0.weight"].shape[2] // 2 * hop
    smooth = frames[:, 0, :, edge : frames.shape[-1] - edge].mT
    a1, a2, a3, a4 = aux.repeat_interleave(hop, -1).mT.chunk(4, -1)
    x = linear(torch.cat((waveform[..., None], smooth, a1), -1), w["fc.weight"], w["fc.bias"])
    x = x + gru(x, "rnn1")
    x = x + gru(torch.cat((x, a2), -1), "rnn2")
    for name, extra in (("fc1", a3), ("fc2", a4)):
        x = relu(linear(torch.cat((x, extra), -1), w[f"{name}.weight"], w[f"{name}.bias"]))
    return linear(x, w["fc3.weight"], w["fc3.bias"])


@torch.no_grad()
def test_a_checkpoint_of_torchaudio_is_converted_and_computes_what_its_program_computes(tmp_path: Path) -> None:
    """The converted network gives the outputs of torchaudio's equations, to 1e-5 of their standard deviation.

    The checkpoint is written by `torch.save` and read by `weights convert`, which finds all sizes in it and assumes the
    rate.
    """
    theirs = torchaudios((2, 3, 4), 256, blocks=3, features=20, hidden=12, aux=16, units=32, dense=48)
    torch.save(theirs, tmp_path / "theirs.pth")
    converted = tmp_path / "ours.safetensors"
    command = ["weights", "convert", str(tmp_path / "theirs.pth"), "-o", str(converted)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "assumed: rate (22050)" in result.output
    model = load_network(WEIGHTS, network, converted)
    config = model.config
    assert (config.kind, config.bits, config.hop, config.blocks, config.context) == ("categorical", 8, 24, 3, 2)
    draw = torch.Generator().manual_seed(2)
    mel = torch.rand(2, 20, 9, generator=draw)
    waveform = 2 * torch.rand(2, 5 * 24, generator=draw) - 1
    expected = torchaudios_outputs(theirs, waveform, mel)
    found, _ = model.eval()(mel.mT, waveform)
    assert_allclose(found.numpy(), expected.numpy(), atol=1e-5 * float(expected.std()))


def as_dual(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the arrays of a network without frames in the layout of the original dual-softmax model.

    Its gates u, r, e are called z, r, n here, and our arrays have them in the order r, z, n. arrays: those of our
    network, by name, with one bias for each gate.
    """
    heads = {"coarse1": "O1", "coarse2": "O2", "fine1": "O3", "fine2": "O4"}
    units = len(arrays["bias"]) // 3
    found = {
        f"{heads[name.split('.')[0]]}.{name.split('.')[1]}": a
        for name, a in arrays.items()
        if name[:-7] in heads or name[:-5] in heads
    }
    gates = arrays["recurrent"].reshape(3, units, units)
    found["R.weight"] = np.concatenate((gates[1], gates[0], gates[2]))
    for name in ("coarse", "fine"):
        gates = arrays[f"input_{name}"]
        found[f"I_{name}.weight"] = np.concatenate((gates[1], gates[0], gates[2]))
    for name, bias in zip("rue", arrays["bias"].reshape(3, units), strict=True):
        found[f"bias_{name}"] = bias
    return found


def test_the_original_dual_softmax_is_found_again() -> None:
    config = SMALL["no frames"]
    arrays = random_weights(config)
    found, ours, _ = convert(as_dual(arrays), {"rate": config.rate, "factors": config.factors, "widths": config.widths})
    kept = ("kind", "bits", "units", "dense", "biases", "features")
    assert {name: getattr(found, name) for name in kept} == {name: getattr(config, name) for name in kept}
    assert found.start == "lowest"
    same(ours, arrays)


def test_the_dual_softmax_with_frames_is_found_again() -> None:
    config = Config(
        kind="coarse_fine", bits=16, units=64, dense=32, biases="two", features=6, factors=(2, 4), widths=(3, 7),
        offset=True, auxiliary=0, blocks=0, start="zeros",
    )  # fmt: skip
    arrays = random_weights(config)
    coarse = np.pad(arrays["input_coarse"], ((0, 0), (0, 0), (0, 1)))
    theirs = {
        "wavernn.gru.weight_ih_l0": np.concatenate((coarse, arrays["input_fine"]), 1).reshape(192, -1),
        "wavernn.gru.weight_hh_l0": arrays["recurrent"],
        "wavernn.gru.bias_ih_l0": arrays["bias"],
        "wavernn.gru.bias_hh_l0": arrays["recurrent_bias"],
    }
    for name, head in {"fc1": "coarse1", "fc2": "coarse2", "fc3": "fine1", "fc4": "fine2"}.items():
        theirs |= {f"wavernn.{name}.{kind}": arrays[f"{head}.{kind}"] for kind in ("weight", "bias")}
    for k in range(2):
        theirs[f"upsample.up_layers.{k}.weight"] = arrays[f"conditions.smooth.{k}.weight"][:, None]
        theirs[f"upsample.up_layers.{k}.bias"] = arrays[f"conditions.smooth.{k}.bias"]
    found, ours, silent = convert(theirs, {})
    assert found == config
    assert silent == ["rate (22050)"]
    same(ours, arrays)


def test_what_is_no_wavernn_is_refused() -> None:
    theirs = as_fatchord(random_weights(SMALL["mixture"]))
    assert not recognises({"first_conv.weight_g"})
    with pytest.raises(ValueError, match="no WaveRNN of a known layout"):
        convert({"first_conv.weight_g": np.zeros(3)}, {})
    with pytest.raises(ValueError, match="lacks dense2.weight"):
        convert({name: array for name, array in theirs.items() if name not in ("fc2.weight",)}, {})
    with pytest.raises(ValueError, match="units is given as 64, but it is 48 in the checkpoint"):
        convert(theirs, {"units": 64})


# ---- recorded outputs of the published programs ---------------------------------------------------------------------


def published(name: str, **told: Any) -> tuple[Any, Config, WaveRNN]:
    golden = np.load(GOLDEN / f"{name}.npz")
    config, arrays, _ = convert({key[3:]: golden[key] for key in golden.files if key.startswith("sd/")}, told)
    model = network(config)
    model.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
    return golden, config, model.eval()


@recorded
@pytest.mark.parametrize("name", ["fatchord_RAW9", "fatchord_RAW10", "fatchord_MOL"])
@torch.no_grad()
def test_the_alternative_model_computes_what_its_program_computes(name: str) -> None:
    golden, _, model = published(name)
    frames = torch.from_numpy(golden["tf_mel"]).mT
    smooth, auxiliary = model.conditions(frames)
    assert_allclose(smooth.numpy()[:, golden["tf_cidx"]], golden["tf_m"], atol=1e-5)
    assert_allclose(auxiliary.numpy()[:, golden["tf_cidx"]], golden["tf_aux"], atol=1e-5)
    y, _ = model(frames, torch.from_numpy(golden["tf_x"]))
    assert_allclose(y.numpy()[:, golden["tf_idx"]], golden["tf_out"], atol=1e-4)  # found: 5e-7


@recorded
@pytest.mark.parametrize("name", ["dual_fatchord", "dual_mkotha"])
@torch.no_grad()
def test_the_dual_softmax_computes_what_its_programs_compute(name: str) -> None:
    golden, config, model = published(name)
    coarse, fine = (golden[f"tf_{half}"].astype(np.float32) / np.float32(127.5) - 1 for half in ("coarse", "fine"))
    halves = torch.from_numpy(np.stack((coarse[:, :-1], fine[:, :-1], coarse[:, 1:]), -1))
    frames = torch.from_numpy(golden["tf_mel"]).mT if config.features else torch.zeros(2, 0, 0)
    if config.features:
        assert_allclose(model.conditions(frames)[0].numpy(), golden["tf_cond"].swapaxes(1, 2), atol=1e-5)
    y, (h,) = model(frames, halves)
    assert_allclose(h.numpy(), golden["tf_h_last"], atol=1e-4)
    logits = y[:, golden["tf_idx"]].unflatten(-1, (2, 256))
    kind = "logp" if config.features else "logit"
    found = torch.log_softmax(logits, -1) if config.features else logits
    for k, half in enumerate("cf"):
        assert_allclose(found[:, :, k].numpy(), golden[f"tf_{kind}_{half}"], atol=1e-4)  # found: 1e-6
