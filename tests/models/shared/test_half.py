"""Files of weights whose numbers have 16 bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import FileError, RequestError
from dspgraph.training.weights import describe_weights, write_half
from dspgraph_nodes.models.fargan.weights import WEIGHTS
from helpers.fargan import SMALL, fargan_arrays


def test_half_the_bytes_hold_the_numbers_rounded_to_float16(tmp_path: Path) -> None:
    whole, small = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    arrays = fargan_arrays(SMALL)
    WEIGHTS.write(whole, SMALL, arrays)
    write_half(whole, small)
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    config, found = WEIGHTS.read(small)
    assert config == SMALL
    assert describe_weights(whole).precision == "float32"
    assert describe_weights(small) == replace(describe_weights(whole), precision="float16")
    for name, array in arrays.items():
        assert found[name].dtype == np.float32
        assert_array_equal(found[name], array.astype(np.float16).astype(np.float32))


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    arrays = fargan_arrays(SMALL)
    arrays["gain.bias"] += 70000
    WEIGHTS.write(path, SMALL, arrays)
    with pytest.raises(FileError, match=r"gain.bias holds 7.*float16 ends at 65504: write float32"):
        write_half(path, out)
    assert not out.exists()
    with pytest.raises(RequestError, match=r"a.safetensors exists already"):
        write_half(path, path)
    (tmp_path / "c").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FileError, match="holds no weights of a model"):
        write_half(tmp_path / "c", out)
