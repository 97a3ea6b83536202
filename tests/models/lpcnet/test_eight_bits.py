"""Files of LPCNet's weights in eight bits: a quarter of the size, read without more rounding, and refused if wrong."""

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file, save_file

from dspgraph import FileError
from dspgraph.cli.main import main
from dspgraph.training.weights import describe_weights, write_eight_bits
from dspgraph_nodes._kernels.neural.quantisation import dequantised, quantised
from dspgraph_nodes.models.gansynth.weights import WEIGHTS as OF_GANSYNTH
from dspgraph_nodes.models.lpcnet.config import PRESETS
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.rounding import with_rounded_weights
from dspgraph_nodes.models.lpcnet.settings import Settings
from dspgraph_nodes.models.lpcnet.weights import MATRICES, WEIGHTS, shapes
from helpers.gansynth import gansynth_file
from helpers.networks import SMALL, random_arrays, weights_file


@pytest.fixture
def small(tmp_path: Path) -> Path:
    out = tmp_path / "small.safetensors"
    write_eight_bits(Path(weights_file()), out)
    return out


def test_the_published_sizes_take_a_quarter_of_the_bytes(tmp_path: Path) -> None:
    config = PRESETS["lpcnet"]
    arrays = random_arrays(config)
    ratio = len(WEIGHTS.content(config, arrays, numbers="int8")) / len(WEIGHTS.content(config, arrays))
    assert 0.25 < ratio < 0.27  # 0.265: biases and scales are float32


def test_all_matrices_are_stored_in_eight_bits_and_nothing_else(small: Path) -> None:
    stored = load_file(small)
    matrices = {name for name, shape in shapes(SMALL).items() if len(shape) > 1 and ".bias" not in name}
    assert set(MATRICES) == matrices - {"dual_fc.factor"}
    assert {name for name, array in stored.items() if array.dtype == np.int8} == set(MATRICES)
    config, arrays = WEIGHTS.read(small)
    assert config == SMALL
    original = WEIGHTS.read(weights_file())[1]
    for name, array in original.items():
        assert arrays[name].dtype == np.float32
        if name not in MATRICES:
            assert_array_equal(arrays[name], array)
    again = WEIGHTS.content(config, arrays, numbers="int8")
    assert again == small.read_bytes()  # rounding twice changes nothing


def test_the_errors_are_those_of_rounding_to_127_steps(tmp_path: Path) -> None:
    """The largest error of a matrix is at most half a step, 1 / 254 of its largest weight.

    Weights are uniform, so the RMS of the errors, relative to that of the weights, is known: 1 / 254 too. The matrix is
    that of dense1.
    """
    errors = write_eight_bits(Path(weights_file()), tmp_path / "a.safetensors")
    mean, worst = errors["dense1.weight"]
    assert worst <= 1 / 254 * (1 + 2e-5)
    assert mean == pytest.approx(1 / 254, rel=0.1)  # step / sqrt(12) to limit / sqrt(3), where step = limit / 127


def test_the_command_prints_the_error_of_every_matrix(tmp_path: Path) -> None:
    path, out = weights_file(), tmp_path / "out.safetensors"
    result = CliRunner().invoke(main, ["weights", "quantise", path, "-o", str(out)])
    assert result.exit_code == 0, result.output
    for name in MATRICES:
        assert f"{name} " in result.output
    assert "% of the size" in result.output
    shown = CliRunner().invoke(main, ["weights", "show", str(out)])
    assert "gru_a.weight_hh_l0.diagonal" in shown.output
    count = sum(math.prod(shape) for shape in shapes(SMALL).values())  # of the network, without scales and diagonals
    assert f"{count} weights in int8" in shown.output
    small, whole = describe_weights(out), describe_weights(Path(path))
    assert (small.model, small.config, small.count) == (whole.model, whole.config, whole.count)
    assert (small.precision, whole.precision) == ("int8", "float32")


def changed(path: Path, arrays: dict[str, Any] | None = None, metadata: dict[str, str] | None = None) -> Path:
    """Write a copy of a file of weights with some changes, and return its path, changed.safetensors in the same folder.

    A copy that is there is replaced. arrays, metadata: those that are replaced or added, by name; None: no change.
    """
    header = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    out = path.with_name("changed.safetensors")
    save_file({**load_file(path), **(arrays or {})}, out, {**header["__metadata__"], **(metadata or {})})
    return out


@pytest.mark.parametrize(
    ("change", "say"),
    [
        (lambda a: {"dense1.weight": a["dense1.weight"].astype(np.float32)}, "dense1.weight is float32; its metadata say"),
        (lambda a: {"dense1.weight.scale": 0.99 * a["dense1.weight.scale"]}, "not as dspgraph rounds weights"),
        (lambda a: {"dense1.weight": a["dense1.weight"] // 2}, "not as dspgraph rounds weights"),
        (lambda a: {"dense1.weight": a["dense1.weight"] - np.int8(1)}, "not as dspgraph rounds weights"),
        (lambda a: {"dense1.weight.scale": a["dense1.weight.scale"] * np.float32(np.nan)}, "expected finite numbers"),
        (lambda a: {"gru_a.weight_hh_l0.diagonal": np.full(144, np.inf, np.float32)}, "expected finite numbers"),
        (lambda a: {"dense1.weight.scale": a["dense1.weight.scale"][:-1]}, r"scale has shape \[15\]"),
        (lambda a: {"dense1.weight.zero": np.zeros(16, np.float32)}, "also has dense1.weight.zero"),
    ],
    ids=["numbers", "scale", "halved", "shifted", "nan", "inf", "shape", "foreign"],
)  # fmt: skip
def test_wrong_8_bit_numbers_are_refused(small: Path, change: Any, say: str) -> None:
    path = changed(small, change(load_file(small)))
    with pytest.raises(ValueError, match=say):
        WEIGHTS.read(path)


def test_a_cut_file_and_a_file_that_says_another_precision_are_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(small.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        WEIGHTS.read(tmp_path / "cut.safetensors")
    for metadata in ({"format": "1"}, {"precision": "int4"}):
        with pytest.raises(
            ValueError, match="changed.safetensors: its metadata contradict .*'dspgraph weights quantise'"
        ):
            WEIGHTS.read(changed(small, metadata=metadata))
    with pytest.raises(ValueError, match="metadata contradict each other: the layout 2 and no precision"):
        WEIGHTS.read(changed(Path(weights_file(folder=tmp_path)), metadata={"format": "2"}))
    with pytest.raises(ValueError, match="the layout '3'; this version .* reads 1 and 2 .*: install a newer version"):
        WEIGHTS.read(changed(small, metadata={"format": "3"}))
    with pytest.raises(ValueError, match="lacks .*dense1.weight.scale"):
        WEIGHTS.read(changed(Path(weights_file(folder=tmp_path)), metadata={"format": "2", "precision": "int8"}))


def test_gradients_pass_the_rounding_unchanged() -> None:
    torch.manual_seed(0)
    model, name = LPCNet(SMALL), "gru_a.weight_hh_l0"
    parameter = model.get_parameter(name)
    factor, before = torch.randn(144, 48), parameter.detach().clone()

    def call(rounded: LPCNet) -> torch.Tensor:
        weight = cast(torch.Tensor, rounded.gru_a.weight_hh_l0)  # a result of the rounding, no parameter
        assert_array_equal(weight.detach().numpy(), dequantised(quantised(before.numpy(), 1, diagonal=True)))
        return (factor * weight).sum()

    torch.autograd.backward(with_rounded_weights(model, call))
    assert torch.equal(model.get_parameter(name), before)
    assert parameter.grad is not None
    assert torch.equal(parameter.grad, factor)


def test_training_in_eight_bits_needs_a_cpu() -> None:
    Settings(eight_bits=True, device="cpu")
    with pytest.raises(ValueError, match="it needs device cpu and precision float32"):
        Settings(eight_bits=True)
    with pytest.raises(ValueError, match="sparse_columns is 3; it must be 1, 2, 4, 8 or 16"):
        Settings(sparse_columns=3)


def test_a_model_without_8_bit_kernels_is_refused(tmp_path: Path) -> None:
    path = Path(gansynth_file())
    with pytest.raises(
        FileError, match=f"^{path}: weights of 'gansynth' have no files in eight bits: 'dspgraph weights"
    ):
        write_eight_bits(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
    assert not OF_GANSYNTH.matrices
