"""Files of WaveNet's weights in eight bits: the matrices of the layers are rounded, and wrong files are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file, save_file

from dspgraph.training.weights import write_eight_bits
from dspgraph_nodes.models.wavenet.config import PRESETS, Config
from dspgraph_nodes.models.wavenet.weights import WEIGHTS, shapes
from helpers.wavenets import LEVELS, MIXTURE, TRANSPOSED, random_arrays, wavenet_file


def test_the_published_size_takes_little_more_than_a_quarter_of_the_bytes() -> None:
    config = PRESETS["wavenet"]
    arrays = random_arrays(config)
    ratio = len(WEIGHTS.content(config, arrays, numbers="int8")) / len(WEIGHTS.content(config, arrays))
    assert 0.25 < ratio < 0.28  # biases, scales and the upsampling are float32


@pytest.mark.parametrize("config", [MIXTURE, LEVELS, TRANSPOSED], ids=["mixture", "levels", "transposed"])
def test_the_matrices_of_layers_are_stored_in_eight_bits(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    errors = write_eight_bits(Path(wavenet_file(config)), out)
    matrices = {name for name, shape in shapes(config).items() if len(shape) > 1 and name.startswith("layers.")}
    assert {name for name, array in load_file(out).items() if array.dtype == np.int8} == matrices == set(errors)
    found, arrays = WEIGHTS.read(out)
    assert found == config
    for name, array in WEIGHTS.read(wavenet_file(config))[1].items():
        if name not in matrices:
            assert_array_equal(arrays[name], array)
    assert WEIGHTS.content(config, arrays, numbers="int8") == out.read_bytes()


@pytest.mark.parametrize(
    ("change", "say"),
    [
        (
            lambda a: {"layers.0.gate.weight": a["layers.0.gate.weight"].astype(np.float32)},
            "is float32; its metadata say int8",
        ),
        (lambda a: {"layers.0.gate.weight": a["layers.0.gate.weight"] // 2}, "not as dspgraph rounds weights"),
        (lambda a: {"layers.0.gate.weight.scale": a["layers.0.gate.weight.scale"][:-1]}, "scale has shape"),
    ],
    ids=["numbers", "halved", "shape"],
)
def test_wrong_and_cut_files_are_refused(tmp_path: Path, change: Any, say: str) -> None:
    small, wrong = tmp_path / "small.safetensors", tmp_path / "wrong.safetensors"
    write_eight_bits(Path(wavenet_file()), small)
    arrays, whole = load_file(small), small.read_bytes()
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    save_file({**arrays, **change(arrays)}, wrong, header["__metadata__"])
    with pytest.raises(ValueError, match=say):
        WEIGHTS.read(wrong)
    small.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        WEIGHTS.read(small)
