"""Files of WaveRNN's weights in eight bits: a quarter of the size, read without more rounding, and refused if wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file, save_file

from dspgraph.cli.main import main
from dspgraph.training.weights import write_eight_bits
from dspgraph_nodes.models.wavernn.config import PRESETS, Config
from dspgraph_nodes.models.wavernn.weights import WEIGHTS, shapes
from helpers.wavernn import SMALL, random_weights, wavernn_file


@pytest.fixture(params=["categorical", "two biases"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    out = tmp_path / "small.safetensors"
    write_eight_bits(Path(wavernn_file(SMALL[request.param])), out)
    return out


@pytest.mark.parametrize("preset", ["wavernn-small", "wavernn-small-split"])
def test_a_file_takes_little_more_than_a_quarter_of_the_bytes(preset: str) -> None:
    config = PRESETS[preset]
    arrays = random_weights(config)
    ratio = len(WEIGHTS.content(config, arrays, numbers="int8")) / len(WEIGHTS.content(config, arrays))
    assert 0.25 < ratio < 0.31  # biases, scales and diagonals are float32; the published sizes have 0.26


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
def test_all_matrices_are_stored_in_eight_bits_and_nothing_else(config: Config, tmp_path: Path) -> None:
    write_eight_bits(Path(wavernn_file(config)), tmp_path / "small.safetensors")
    stored = load_file(tmp_path / "small.safetensors")
    matrices = {name for name, shape in shapes(config).items() if len(shape) > 1 and "smooth" not in name}
    assert {name for name, array in stored.items() if array.dtype == np.int8} == matrices
    found, arrays = WEIGHTS.read(tmp_path / "small.safetensors")
    assert found == config
    for name, array in WEIGHTS.read(wavernn_file(config))[1].items():
        if name not in matrices:
            assert_array_equal(arrays[name], array)
    assert WEIGHTS.content(config, arrays, numbers="int8") == (tmp_path / "small.safetensors").read_bytes()


def test_the_command_prints_the_error_of_every_matrix(tmp_path: Path) -> None:
    path, out = wavernn_file(SMALL["one bias"]), tmp_path / "out.safetensors"
    result = CliRunner().invoke(main, ["weights", "quantise", path, "-o", str(out)])
    assert result.exit_code == 0, result.output
    for name in ("recurrent", "input_coarse", "coarse1.weight", "fine2.weight"):
        assert f"{name} " in result.output
    assert "% of the size" in result.output


@pytest.mark.parametrize(
    ("change", "say"),
    [
        (lambda a, name: {name: a[name].astype(np.float32)}, " is float32; its metadata say"),
        (lambda a, name: {name: a[name] // 2}, "not as dspgraph rounds weights"),
        (lambda a, name: {f"{name}.scale": 0.99 * a[f"{name}.scale"]}, "not as dspgraph rounds weights"),
        (lambda a, name: {f"{name}.scale": a[f"{name}.scale"][:-1]}, "scale has shape"),
        (lambda a, name: {f"{name}.diagonal": np.full(len(a[name]), np.nan, np.float32)}, "expected finite numbers"),
    ],
    ids=["numbers", "halved", "scale", "shape", "diagonal"],
)
def test_wrong_8_bit_numbers_are_refused(small: Path, change: Any, say: str) -> None:
    arrays = load_file(small)
    header = json.loads(small.read_bytes()[8 : 8 + int.from_bytes(small.read_bytes()[:8], "little")])
    name = "recurrent" if "recurrent" in arrays else "gru2.weight_hh_l0"
    path = small.with_name("changed.safetensors")
    save_file({**arrays, **change(arrays, name)}, path, header["__metadata__"])
    with pytest.raises(ValueError, match=say):
        WEIGHTS.read(path)


def test_a_cut_file_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(small.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        WEIGHTS.read(tmp_path / "cut.safetensors")
