"""LPCNet's weights in a file, and what they must be. No torch is needed to read them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LEVELS = 256
BLOCK = 16  # rows of a weight matrix that the kernels take at a time


@dataclass(frozen=True)
class Config:
    """The sizes of a network, and the speech it was trained on. Raises ValueError for one that cannot be."""

    bands: int = 18  # of the cepstrum
    pitch_embedding: int = 64
    condition: int = 128  # channels of the convolutions and dense layers
    embedding: int = 128  # of a mu-law code
    gru_a: int = 384
    gru_b: int = 16
    rate: int = 16000  # Hz
    hop: int = 160  # samples of a frame

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            most = 192_000 if name == "rate" else 4096
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
            if name in ("condition", "gru_a", "gru_b") and value % BLOCK:
                raise ValueError(f"{name} is {value}; it must be a multiple of {BLOCK}")


PRESETS = {
    "lpcnet": Config(),
    "lpcnet-small": Config(pitch_embedding=32, condition=64, embedding=64, gru_a=192, gru_b=32),
}


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The arrays of a network and their shapes, named as torch names them."""
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


def words(config: Config) -> dict[str, str]:
    """What a file says of itself."""
    return {"config": json.dumps({"model": "lpcnet", **dataclasses.asdict(config)})}


def write_whole(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file beside its place and put it there when it is done: what is there is whole, whatever happens."""
    part = Path(f"{path}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[Config, dict[str, Array]]:
    """The configuration and the arrays [float32] of a safetensors file.

    Raises ValueError that names the file, what was found in it and what was expected, if it is not there, not
    safetensors, cut short, of another model, of other sizes than it says, or not all finite numbers.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            config = _config(path, file.metadata() or {})
            names = list(file.keys())
            arrays = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); weights are made by 'dspgraph train lpcnet', and those "
            "of other programs are converted by dspgraph_nodes.models.lpcnet.network.convert"
        ) from None
    except TypeError as error:  # a number format that numpy lacks
        raise ValueError(f"{path} holds numbers of another format than float32 ({error})") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    check(arrays, config, str(path))
    return config, arrays


def _config(path: str | Path, metadata: Mapping[str, str]) -> Config:
    try:
        found = json.loads(metadata["config"])
        model = found.pop("model")
    except (KeyError, ValueError, AttributeError, TypeError):
        raise ValueError(
            f"{path} holds no LPCNet of this project: its metadata have no configuration; found {sorted(metadata)}"
        ) from None
    if model != "lpcnet":
        raise ValueError(f"{path} holds weights of {model!r}; expected those of 'lpcnet'")
    names = {field.name for field in dataclasses.fields(Config)}
    if not names - {"rate", "hop"} <= set(found) <= names:  # without these two it is of the published ones
        raise ValueError(f"{path} has a configuration of {sorted(found)}; expected {sorted(names)}")
    try:
        return Config(**found)
    except ValueError as error:
        raise ValueError(f"{path} has a configuration that cannot be: {error}") from None


def check(arrays: Mapping[str, Array], config: Config, where: str) -> None:
    """Raise ValueError unless these are the arrays of a network of this configuration, all finite float32."""
    expected = shapes(config)
    missing, foreign = sorted(set(expected) - set(arrays)), sorted(set(arrays) - set(expected))
    if missing or foreign:
        said = [f"{what} {', '.join(names)}" for what, names in (("lacks", missing), ("has also", foreign)) if names]
        raise ValueError(f"{where} holds other arrays than an LPCNet: it {' and '.join(said)}")
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape:
            raise ValueError(f"{where}: {name} is {list(array.shape)}; its configuration says {list(shape)}")
        if array.dtype != np.float32:
            raise ValueError(f"{where}: {name} is of {array.dtype}; expected float32")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: {name} holds numbers that are not finite: the training has run away")
