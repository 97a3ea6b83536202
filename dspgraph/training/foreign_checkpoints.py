"""Checkpoints of other programs: their arrays are read, and nothing in the files is executed."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dspgraph.errors import FileError, RequestError
from dspgraph.io.paths import read_file
from dspgraph.shown import shown
from dspgraph.streams import Array
from dspgraph.training.tensorflow import index_of, read_tensorflow

_LARGEST = 2**33
"""The largest size of the file of a checkpoint, and of all its arrays together, in bytes."""

_STATES = ("state_dict", "model_state_dict", "model", "generator", "network")
"""The keys under which programs store the weights of a network beside other values."""


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Return name -> array, for the arrays in a checkpoint.

    path: a file of torch (a ZIP file, or in the older format a pickle), safetensors, numpy (.npz) or HDF5; or a
    checkpoint of TensorFlow: its index, one of its data files, or the path NAME that these files share. A path that
    belongs to an index is read as TensorFlow; for any other path the content of the file, and not its suffix, tells the
    format. From a file of torch that has several parts, only the state of the network is returned, see `_state`;
    bfloat16 becomes float32. Values that are not arrays are left out, and so are arrays of HDF5 and TensorFlow that are
    not of integers or floats (for TensorFlow see `tensorflow._TYPES`). The name of an array in HDF5 is its path, such
    as "group/x".

    Nothing in the file is executed: torch reads only plain data, and refuses everything else. Raises FileError if the
    file cannot be read, is in another format, is refused, or is larger than `_LARGEST`, and RequestError for HDF5 if
    h5py is not installed.
    """
    if index := index_of(path):
        return read_tensorflow(index, _LARGEST)
    content = read_file(path, _LARGEST)
    if content.startswith(b"\x89HDF\r\n"):
        return dict(_hdf5(path, content))
    if content.startswith(b"PK"):
        try:
            names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        except zipfile.BadZipFile as error:
            raise FileError(f"{path} is damaged ({error}): copy or download it again") from None
        if names and all(name.endswith(".npy") for name in names):
            return _numpy(path, content)
        return _torch(path, content)
    if content[8:9] == b"{":
        return _safetensors(path, content)
    if content.startswith(b"\x80"):
        return _torch(path, content)
    raise FileError(
        f"{path} is no checkpoint: expected a file of torch, safetensors, numpy (.npz) or HDF5, or the index of "
        "a checkpoint of TensorFlow"
    )


def _check_size(path: Path, found: int) -> None:
    """Raise FileError if the arrays of a file would need more than `_LARGEST` bytes. found: the bytes that they need.

    A small file can have large arrays if they are compressed, or if one stored number stands for many.
    """
    if found > _LARGEST:
        raise FileError(f"{path} has {found} bytes of weights; at most {_LARGEST} are read")


def _numpy(path: Path, content: bytes) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_size(path, sum(one.file_size for one in archive.infolist()))
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file.items())
    except (ValueError, OSError, EOFError, MemoryError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is no file of plain arrays ({error or type(error).__name__})") from None


def _safetensors(path: Path, content: bytes) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, TypeError, KeyError) as error:
        raise FileError(f"{path} is not a whole safetensors file of numbers ({error})") from None


def _hdf5(path: Path, content: bytes) -> Iterator[tuple[str, Array]]:
    try:
        import h5py
    except ModuleNotFoundError:
        raise RequestError(f"{path} is a file of HDF5: pip install h5py, or save its arrays as .npz") from None
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            names = [name for name in names if file[name].dtype.kind in "fiu"]
            _check_size(path, sum(file[name].nbytes for name in names))
            for name in names:
                yield name, np.asarray(file[name])
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(f"{path} is damaged ({error}): copy or download it again") from None


def _torch(path: Path, content: bytes) -> dict[str, Array]:
    import torch

    scalar: Any = np._core.multiarray.scalar  # type: ignore[attr-defined]  # how numpy's numbers are pickled
    plain = [(scalar, "numpy.core.multiarray.scalar"), scalar, np.dtype, *map(type, map(np.dtype, ("f8", "f4", "i8")))]
    try:
        with torch.serialization.safe_globals(plain), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about formats of pickle that it then refuses
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise FileError(
            f"{path} is refused: it contains something other than numbers, which would have to be executed ({reason})"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError, TypeError, IndexError,
            MemoryError, OverflowError, AssertionError) as error:  # fmt: skip
        reason = str(error).partition("\n")[0]
        raise FileError(f"{path} is damaged or no checkpoint of torch ({reason}): copy or download it again") from None
    tensors = _state(found)
    if not tensors:
        keys = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise FileError(f"{path} holds no weights of a network; found {shown(keys, 200)}")
    _check_size(path, sum(one.numel() * one.element_size() for one in tensors.values()))
    try:
        return {
            name: (one.float() if one.dtype == torch.bfloat16 else one).detach().numpy()
            for name, one in tensors.items()
        }
    except (RuntimeError, TypeError) as error:  # sparse, quantised, or without numbers
        reason = str(error).partition("\n")[0]
        raise FileError(f"{path} holds tensors that are no plain arrays ({reason}): save them as float32") from None


def _state(found: Any) -> dict[str, Any]:
    """Return name -> tensor, for the tensors of a network; empty if there is no network.

    found: the result of `torch.load`. If it is a mapping without tensors, the network is looked for under the keys in
    `_STATES`, also deeper, and the first one found counts. The prefix "module." of parallel training is removed if all
    names have it. Values that are not tensors are left out.
    """
    import torch

    if not isinstance(found, Mapping):
        return {}
    tensors = {str(name): one for name, one in found.items() if isinstance(one, torch.Tensor)}
    if tensors:
        whole = all(name.startswith("module.") for name in tensors)
        return {name.removeprefix("module.") if whole else name: one for name, one in tensors.items()}
    for key in _STATES:
        if inner := _state(found.get(key)):
            return inner
    return {}
