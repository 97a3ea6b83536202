"""Checkpoints of other programs: what is read, and what is refused without being executed."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file

from dspgraph.errors import FileError
from dspgraph.training.foreign_checkpoints import read_checkpoint

STATE = OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.ones(2, dtype=torch.int64))


def written(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("new", [True, False])
def test_both_formats_of_torch_are_read(new: bool, tmp_path: Path) -> None:
    path = written(tmp_path / "a.pth", STATE, _use_new_zipfile_serialization=new)
    found = read_checkpoint(path)
    assert list(found) == ["a", "b"]
    assert_array_equal(found["a"], np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_the_state_of_the_network_is_found_beside_other_things(key: str, tmp_path: Path) -> None:
    """Only the weights are read from a checkpoint with other contents.

    Some programs also store the optimiser's state, counts, and numbers of numpy.
    """
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
    content = {key: STATE, "optimizer": adam.state_dict(), "global_step": 7, "loss": np.float64(0.5)}
    assert list(read_checkpoint(written(tmp_path / "a.pth", content))) == ["a", "b"]
    nested = {"epoch": 1, "model": {"state_dict": STATE}}
    assert list(read_checkpoint(written(tmp_path / "b.pth", nested))) == ["a", "b"]


def test_the_prefix_of_parallel_training_goes_away(tmp_path: Path) -> None:
    state = {f"module.{name}": one for name, one in STATE.items()}
    assert list(read_checkpoint(written(tmp_path / "a.pth", state))) == ["a", "b"]


def test_arrays_of_numpy_safetensors_and_hdf5_are_read(tmp_path: Path) -> None:
    import h5py

    x = np.arange(4, dtype=np.float32)
    np.savez(tmp_path / "a.npz", x=x)
    save_file({"x": x}, tmp_path / "a.safetensors")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"], file["name"] = x, "a text"
    assert_array_equal(read_checkpoint(tmp_path / "a.npz")["x"], x)
    assert_array_equal(read_checkpoint(tmp_path / "a.safetensors")["x"], x)
    assert list(read_checkpoint(tmp_path / "a.h5")) == ["group/x"]


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_refused_and_not_executed(tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    paths = [
        written(tmp_path / "a.pth", {"state_dict": STATE, "x": trap}),
        written(tmp_path / "b.pth", {"x": trap}, _use_new_zipfile_serialization=False),
        tmp_path / "c.pkl",
    ]
    paths[2].write_bytes(pickle.dumps(trap))
    np.savez(tmp_path / "d.npz", x=np.array([trap], dtype=object))
    for path in (*paths, tmp_path / "d.npz"):
        with pytest.raises(FileError, match=path.name):
            read_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_cut_or_something_else_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pth", STATE)
    old = written(tmp_path / "old.pth", STATE, _use_new_zipfile_serialization=False)
    for content in (path.read_bytes(), old.read_bytes()):
        for length in (0, 3, 20, len(content) // 2, len(content) - 30):
            (tmp_path / "cut").write_bytes(content[:length])
            with pytest.raises(FileError, match="cut"):
                read_checkpoint(tmp_path / "cut")
    with pytest.raises(FileError, match="holds no weights of a network; found"):
        read_checkpoint(written(tmp_path / "b.pth", {"epoch": 3}))
    with pytest.raises(FileError, match="is a folder"):
        read_checkpoint(tmp_path)


def test_files_that_ask_for_more_memory_than_any_network_are_refused(tmp_path: Path) -> None:
    """Files with more than 8 GiB of weights are refused before these are read.

    One has a single stored number for 2**34, one a data set of HDF5 without stored data, and one is a zip archive that
    claims members of 4 GiB each.
    """
    import zipfile

    import h5py

    wide = torch.zeros(1).expand(2**17, 2**17)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2**17, 2**17), chunks=(16, 16), dtype=np.float32)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(1000))
    content = (tmp_path / "a.npz").read_bytes()
    size, claimed = (1000).to_bytes(4, "little"), (2**32 - 2).to_bytes(4, "little")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"{k}.npy", bytes(1000))
    (tmp_path / "b.npz").write_bytes((tmp_path / "b.npz").read_bytes().replace(size, claimed))
    assert size in content
    paths = [written(tmp_path / "a.pth", {"x": wide}), tmp_path / "a.h5", tmp_path / "b.npz"]
    for path in paths:
        with pytest.raises(FileError, match=f"{path.name} has .* bytes of weights; at most 8589934592 are read"):
            read_checkpoint(path)


def test_tensors_that_are_no_plain_arrays_are_refused(tmp_path: Path) -> None:
    for one in (torch.eye(3).to_sparse(), torch.zeros(3, dtype=torch.float8_e4m3fn)):
        with pytest.raises(FileError, match="a.pth holds tensors that are no plain arrays"):
            read_checkpoint(written(tmp_path / "a.pth", {"x": one}))


@pytest.mark.parametrize("name", [".", "/", ".."])
def test_a_path_without_a_name_is_a_folder(name: str) -> None:
    with pytest.raises(FileError, match="is a folder, not a file"):
        read_checkpoint(Path(name))
