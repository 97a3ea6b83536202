"""Writing, reading and checking of LPCNet's weights in safetensors files, without torch."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.shared.atomic import write_atomically

MODEL = "lpcnet"

_LONGEST_HEADER = 2**16
"""The largest size of the header of a file of weights, in bytes. That of an LPCNet has about 2000 bytes."""


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a network, by the name that torch gives the array."""
    c = config
    found: dict[str, tuple[int, ...]] = {
        "embed_pitch.weight": (LEVELS, c.pitch_embedding),
        "conv1.weight": (c.condition, c.bands + 2 + c.pitch_embedding, 3),
        "conv2.weight": (c.condition, c.condition, 3),
        "dense1.weight": (c.condition, c.condition),
        "dense2.weight": (c.condition, c.condition),
        "embed.weight": (LEVELS, c.embedding),
        "dual_fc.kernel": (2, LEVELS, c.gru_b),
        "dual_fc.bias": (2, LEVELS),
        "dual_fc.factor": (2, LEVELS),
    }
    found.update({f"{name}.bias": (c.condition,) for name in ("conv1", "conv2", "dense1", "dense2")})
    for name, inputs, units in (
        ("gru_a", 3 * c.embedding + c.condition, c.gru_a),
        ("gru_b", c.gru_a + c.condition, c.gru_b),
    ):
        found[f"{name}.weight_ih_l0"], found[f"{name}.weight_hh_l0"] = (3 * units, inputs), (3 * units, units)
        found[f"{name}.bias_ih_l0"] = found[f"{name}.bias_hh_l0"] = (3 * units,)
    return found


def metadata(config: Config) -> dict[str, str]:
    """Return the metadata of a file of weights: the name of the model and its configuration, in JSON."""
    return {"config": json.dumps({"model": MODEL, **dataclasses.asdict(config)})}


def write(path: str | Path, config: Config, arrays: Mapping[str, Array]) -> None:
    """Write a configuration and its float32 arrays, by name, to a safetensors file."""
    from safetensors.numpy import save

    write_atomically(path, save(dict(arrays), metadata(config)))


def read(path: str | Path) -> tuple[Config, dict[str, Array]]:
    """Return the configuration and the float32 arrays, by name, of a safetensors file.

    Raises ValueError if the file does not exist, is not safetensors, is cut short, belongs to another model, has arrays
    of other sizes than its configuration says, or holds numbers that are not finite. The error names the file, what was
    found and what was expected.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():  # a named pipe would keep the program waiting
        raise ValueError(f"{path} is no regular file" if os.path.lexists(path) else f"there is no file {path}")
    try:
        with open(path, "rb") as start:
            length = int.from_bytes(start.read(8), "little")
        if length > _LONGEST_HEADER:
            raise SafetensorError(f"its header would have {length} bytes; expected at most {_LONGEST_HEADER}")
        with safe_open(path, framework="numpy") as file:
            config = _config(path, file.metadata() or {})
            names = list(file.keys())
            check_shapes({name: tuple(file.get_slice(name).get_shape()) for name in names}, config, str(path))
            arrays = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); 'dspgraph train {MODEL}' makes weights, and "
            "dspgraph_nodes.models.lpcnet.convert converts those of the published programs"
        ) from None
    except TypeError as error:  # a number format that numpy lacks
        raise ValueError(f"{path} holds numbers of another format than float32 ({error})") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    check(arrays, config, str(path))
    return config, arrays


def _config(path: str | Path, found: Mapping[str, str]) -> Config:
    try:
        sizes = json.loads(found["config"])
        model = sizes.pop("model")
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError):
        raise ValueError(
            f"{path} holds no LPCNet of this project: its metadata have no configuration; found {sorted(found)}"
        ) from None
    if model != MODEL:
        raise ValueError(f"{path} holds weights of {model!r}; expected those of '{MODEL}'")
    names = {field.name for field in dataclasses.fields(Config)}
    if not names - {"rate", "hop"} <= set(sizes) <= names:  # if the file lacks these two, the published values hold
        raise ValueError(f"{path} has a configuration of {sorted(sizes)}; expected {sorted(names)}")
    try:
        return Config(**sizes)
    except ValueError as error:
        raise ValueError(f"{path} has an impossible configuration: {error}") from None


def check(arrays: Mapping[str, Array], config: Config, where: str) -> None:
    """Raise ValueError unless the arrays are those of a network of this configuration, in float32, and all finite.

    where: the name of the file, for the error.
    """
    check_shapes({name: array.shape for name, array in arrays.items()}, config, where)
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise ValueError(f"{where}: {name} is {array.dtype}; expected float32")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: {name} holds numbers that are not finite: the training has diverged")


def check_shapes(found: Mapping[str, tuple[int, ...]], config: Config, where: str) -> None:
    """Raise ValueError unless arrays of these names and shapes are a network of this configuration.

    where: the name of the file, for the error.
    """
    expected = shapes(config)
    missing, foreign = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or foreign:
        faults = [
            f"{fault} {', '.join(names)}" for fault, names in (("lacks", missing), ("also has", foreign)) if names
        ]
        raise ValueError(f"{where} does not hold the arrays of an LPCNet: it {' and '.join(faults)}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise ValueError(f"{where}: {name} has shape {list(found[name])}; its configuration says {list(shape)}")
