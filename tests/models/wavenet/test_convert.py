"""Conversion of published checkpoints of WaveNet; values that a checkpoint lacks are given or assumed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dspgraph import Array
from dspgraph.cli.main import main
from dspgraph.errors import FileError, RequestError, UnknownName
from dspgraph.training.conversion import convert_weights
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.convert import convert, recognises
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.weights import WEIGHTS
from helpers import paths
from helpers.wavenets import TRANSPOSED, published, random_arrays, restated, tiny

FIXTURES = paths.GOLDEN / "wavenet"


def given(config: Config, arrays: dict[str, Array]) -> dict[str, Any]:
    return {
        "stacks": config.stacks, "skip_sum": config.skip_sum, "sample_rate": config.rate, "gain": config.gain,
        "preemphasis": config.preemphasis, "log_scale_min": config.loss_floor, "draw_floor": config.draw_floor,
        "mean": arrays["mean"].tolist(), "scale": arrays["deviation"].tolist(),
    }  # fmt: skip


FORMS = [
    tiny(),
    tiny(kind="categorical", levels=64, mulaw="even", components=10),
    TRANSPOSED,
    tiny(kernel=2, skip_sum="plain"),
]


@pytest.mark.parametrize("config", FORMS)
def test_a_published_network_is_the_same_after_it_is_converted(config: Config) -> None:
    arrays = random_arrays(config)
    found, converted, untold = convert(published(config, arrays), given(config, arrays))
    assert found == config
    assert untold == []
    assert set(converted) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_allclose(converted[name], array, rtol=1e-5, atol=1e-7)


def test_newer_names_of_normalised_weights_are_known_too() -> None:
    config = tiny()
    arrays = random_arrays(config)
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    renamed = {}
    for name, array in published(config, arrays).items():
        stem, _, last = name.rpartition(".")
        renamed[f"{stem}.{names.get(last, last)}"] = array
    assert recognises(set(renamed))
    np.testing.assert_allclose(
        convert(renamed, given(config, arrays))[1]["head.0.weight"], arrays["head.0.weight"], rtol=1e-5
    )


def test_one_speaker_of_several_is_added_to_the_biases() -> None:
    config = tiny()
    arrays = random_arrays(config)
    checkpoint = published(config, arrays, speakers=3)
    with pytest.raises(ValueError, match="of 3 speakers; speaker is None"):
        convert(checkpoint, given(config, arrays))
    converted = convert(checkpoint, {**given(config, arrays), "speaker": 2})[1]
    name = "conv_layers.1.conv1x1g.weight"
    weight = checkpoint[f"{name}_v"] * (
        checkpoint[f"{name}_g"] / np.linalg.norm(checkpoint[f"{name}_v"], axis=1)[:, None]
    )
    expected = arrays["layers.1.gate.bias"] + weight[..., 0] @ checkpoint["embed_speakers.weight"][2]
    np.testing.assert_allclose(converted["layers.1.gate.bias"], expected, rtol=1e-4, atol=1e-5)


def test_what_no_file_tells_is_assumed_and_said() -> None:
    config = tiny(layers=24, stacks=4)
    arrays = random_arrays(config)
    found, _, untold = convert(published(config, arrays), {})
    assert found == config.replace(rate=22050, gain=0.55, preemphasis=0.85)
    assert [text.partition(" ")[0] for text in untold] == [
        "stacks", "skip_sum", "loss_floor", "draw_floor", "rate", "gain", "preemphasis", "mean", "scale",
    ]  # fmt: skip
    program = {"sample_rate": 16000, "global_gain_scale": 1.0, "preprocess": "", "log_scale_min": -9.0, "layers": 24}
    assert convert(published(config, arrays), program)[0] == config.replace(rate=16000, loss_floor=-9.0)


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    config = tiny()
    arrays = random_arrays(config)
    whole = published(config, arrays)
    with pytest.raises(ValueError, match="into how many stacks its 6 layers are divided"):
        convert(whole, {})
    with pytest.raises(ValueError, match="residual is given as 64, but it is 20 in the checkpoint"):
        convert(whole, {"stacks": 2, "residual_channels": 64})
    with pytest.raises(ValueError, match=r"mean is given with the shape \[3\]; expected 5 numbers"):
        convert(whole, {"stacks": 2, "mean": [0, 0, 0]})
    with pytest.raises(ValueError, match=r"lacks the array 'conv_layers.3.conv.weight'"):
        convert({name: one for name, one in whole.items() if "conv_layers.3.conv.weight" not in name}, {"stacks": 2})
    with pytest.raises(ValueError, match="predicts 2 numbers per sample"):
        convert({**whole, "last_conv_layers.3.bias": np.zeros(2)}, {"stacks": 2})


@pytest.mark.parametrize("name", ["wavenet_head.pth", "wavenet_y2018.pth"])
def test_the_recorded_checkpoints_are_converted_and_give_the_same(name: str, tmp_path: Path) -> None:
    if not (FIXTURES / name).is_file():
        pytest.skip("the checkpoints are recorded beside the repository")
    golden = np.load(FIXTURES / name.replace("pth", "npz"))
    done = convert_weights(FIXTURES / name, tmp_path / "a.safetensors")
    assert done.model == "wavenet"
    config, arrays = WEIGHTS.read(tmp_path / "a.safetensors")
    model = WaveNet(config)
    model.load_state_dict({key: torch.from_numpy(one) for key, one in arrays.items()})
    with torch.no_grad():
        y = model(model.condition(torch.from_numpy(golden["c"]).mT), torch.from_numpy(golden["x"])[:, 0])
    assert np.abs(y.mT.numpy() - golden["y"]).max() <= 1e-4  # measured 2.9e-6
    sums = {key: float(np.abs(one).sum(dtype=np.float64)) for key, one in arrays.items()}
    theirs = dict(zip(golden["fold_names"].tolist(), golden["fold_abs"], strict=True))
    for ours, key in (
        ("layers.5.gate.weight", "conv_layers.5.conv.weight"),
        ("head.1.weight", "last_conv_layers.3.weight"),
    ):
        assert abs(sums[ours] / theirs[key] - 1) < 1e-6


def test_the_command_says_whose_weights_they_are_and_shows_them(tmp_path: Path) -> None:
    config = tiny()
    arrays = random_arrays(config)
    state = {name: torch.from_numpy(one) for name, one in published(config, arrays).items()}
    torch.save({"state_dict": state, "global_step": 3}, tmp_path / "a.pth")
    (tmp_path / "a.json").write_text(json.dumps({"stacks": 2, "sample_rate": 2000}))
    command = ["weights", "convert", str(tmp_path / "a.pth"), "-o", str(tmp_path / "a.safetensors")]
    done = CliRunner().invoke(main, [*command, "--config", str(tmp_path / "a.json")])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["weights of wavenet", str(tmp_path / "a.safetensors")]
    assert "note: neither the checkpoint nor --config has this value, so it is assumed: gain (0.55)" in done.stderr
    assert "stacks" not in done.stderr
    shown = CliRunner().invoke(main, ["weights", "show", str(tmp_path / "a.safetensors")])
    assert "weights of wavenet" in shown.stdout
    assert "layers.0.gate.weight" in shown.stdout
    assert WEIGHTS.read(tmp_path / "a.safetensors")[0].rate == 2000


def test_what_cannot_be_converted_says_why(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(2)}, tmp_path / "a.pth")
    out = tmp_path / "out.safetensors"
    with pytest.raises(RequestError, match="no model recognises it .*lpcnet.*wavenet.*it holds 'x.*--model NAME"):
        convert_weights(tmp_path / "a.pth", out)
    with pytest.raises(FileError, match=r"a.pth: the checkpoint of a WaveNet lacks the array"):
        convert_weights(tmp_path / "a.pth", out, "wavenet")
    with pytest.raises(UnknownName, match="no model is called 'wavnet'"):
        convert_weights(tmp_path / "a.pth", out, "wavnet")
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(FileError, match="a.json has to hold settings"):
        convert_weights(tmp_path / "a.pth", out, "wavenet", tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(FileError, match="a.json is no file of JSON"):
        convert_weights(tmp_path / "a.pth", out, "wavenet", tmp_path / "a.json")
    out.write_bytes(b"")
    with pytest.raises(RequestError, match="exists already"):
        convert_weights(tmp_path / "a.pth", out)


def test_published_and_converted_weights_give_the_outputs_of_the_original_ones() -> None:
    """Weights that go through the helper `published` and then `convert` give the outputs of the original ones, to 1e-5.

    The helper `restated` computes both outputs.
    """
    config = tiny(layers=2, stacks=1, context=0)
    arrays = random_arrays(config)
    weights = convert(published(config, arrays), given(config, arrays))[1]
    c, x = np.zeros((9, 5)), np.linspace(-1, 1, 9)
    np.testing.assert_allclose(restated(config, weights, c, x), restated(config, arrays, c, x), atol=1e-5)
