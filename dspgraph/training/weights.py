"""Files of weights of any model: their descriptions, the files that come with dspgraph, and copies with fewer bits."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from dspgraph.errors import FileError, RequestError
from dspgraph.io.paths import read_start
from dspgraph.registry import shipped_pipelines
from dspgraph.streams import Array
from dspgraph.training.contract import weights_format

_LONGEST_HEADER = 2**20
"""The largest size of the header of a file of weights, in bytes. The header of an LPCNet has about 2000 bytes."""


def model_of(weights: Path) -> str:
    """Return the name of the model to which a file of weights belongs, from the metadata of the file.

    Raises FileError if the file cannot be read, or if its metadata name no model.
    """
    return describe_weights(weights).model


@dataclass(frozen=True)
class WeightsDescription:
    """The description of a file of weights, read without its arrays.

    model: the name of the model. config: its configuration. precision: the type of the numbers of its matrices,
    "float32", "float16" or "int8"; for other types their names in safetensors, such as "F64". shapes: name of an array
    -> shape.
    """

    model: str
    config: dict[str, Any]
    precision: str
    shapes: dict[str, tuple[int, ...]]

    @property
    def count(self) -> int:
        """The number of weights of the model, which does not depend on the precision of the file.

        A file in eight bits stores the scales, and for some matrices the diagonal, as arrays of their own: "NAME.scale"
        and "NAME.diagonal" beside the matrix NAME. They are not counted; the matrix itself has an element for each
        weight.
        """
        parts = {f"{name}.{kind}" for name in self.shapes for kind in ("scale", "diagonal")}
        return sum(math.prod(shape) for name, shape in self.shapes.items() if name not in parts)


_PRECISIONS = {"I8": "int8", "F16": "float16", "F32": "float32"}
"""Type of numbers in safetensors -> name of a precision. The first of these types that a file has is its precision."""


def describe_weights(weights: Path) -> WeightsDescription:
    """Return the description of a file of weights.

    No array is loaded, and whether the arrays fit the model is not checked. Raises FileError if the file cannot be
    read, or if its metadata name no model or have no configuration.
    """
    from safetensors import SafetensorError, safe_open

    length = int.from_bytes(read_start(weights, 8), "little")
    try:
        if length > _LONGEST_HEADER:
            raise SafetensorError(f"its header would have {length} bytes; expected at most {_LONGEST_HEADER}")
        with safe_open(weights, "np") as file:
            metadata = file.metadata() or {}
            config = dict(json.loads(metadata["config"]))
            model = str(metadata["model"] if "model" in metadata else config.pop("model"))  # older files
            arrays = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            kinds = {str(array.get_dtype()) for array in arrays.values()}
            precision = next((name for kind, name in _PRECISIONS.items() if kind in kinds), ", ".join(sorted(kinds)))
            shapes = {name: tuple(array.get_shape()) for name, array in arrays.items()}
            return WeightsDescription(model, config, precision, shapes)
    except OSError as error:
        raise FileError(f"{weights} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        reason = str(error)
    except (KeyError, TypeError, ValueError, RecursionError):
        reason = "its metadata name no model"
    raise FileError(f"{weights} holds no weights of a model ({reason}): give a file written by 'dspgraph train'")


@dataclass(frozen=True)
class ShippedWeights:
    """A file of weights that comes with dspgraph.

    pipeline: the name of the pipeline that uses the file. description: the model and its configuration. size: the
    number of bytes. digest: the SHA-256 of the file. expected: the SHA-256 that is written in the card, the text file
    that describes the weights.
    """

    pipeline: str
    description: WeightsDescription
    size: int
    digest: str
    expected: str

    @property
    def intact(self) -> bool:
        """True if the file is unchanged, that is, if its SHA-256 is equal to the SHA-256 in its card."""
        return self.expected == self.digest


def shipped_weights() -> list[ShippedWeights]:
    """Return the files of weights that come with dspgraph: NAME.safetensors in the folder of the pipelines.

    NAME is the name of a pipeline; pipelines without such a file are left out. Beside each file is its card, NAME.md,
    which describes the weights. Raises FileError if a file or its card cannot be read, or if the card does not state
    exactly one SHA-256. A file that differs from the SHA-256 in its card is no error, see `ShippedWeights.intact`.
    """
    found = []
    for name, pipeline in shipped_pipelines().items():
        file, card = pipeline.with_suffix(".safetensors"), pipeline.with_suffix(".md")
        if not file.exists():
            continue
        description = describe_weights(file)
        try:
            told = set(re.findall(r"\b[0-9a-f]{64}\b", card.read_text(encoding="utf-8")))
            content = file.read_bytes()
        except OSError as error:
            raise FileError(f"{error.filename} cannot be read: {error.strerror}: install dspgraph again") from None
        if len(told) != 1:
            raise FileError(f"{card} tells {len(told)} sums of sha256; expected one, of {file.name}: mend the card")
        found.append(ShippedWeights(name, description, len(content), sha256(content).hexdigest(), told.pop()))
    return found


def write_half(weights: Path, out: Path) -> None:
    """Write a copy of a file of weights with its numbers rounded to float16.

    out: the file to write, which must not exist. Raises FileError if `weights` cannot be read or has a number that is
    too large for float16, UnknownName if its model is unknown, and RequestError if `out` exists or cannot be written.
    """
    _write(weights, out, "float16")


def write_eight_bits(weights: Path, out: Path) -> dict[str, tuple[float, float]]:
    """Write a copy of a file of weights with matrices rounded to eight bits; return name of a matrix -> two errors.

    Which arrays are matrices depends on the model; the others stay float32. The first error is the root mean square of
    the rounding errors, relative to the root mean square of the weights; the second is the largest rounding error,
    relative to the largest absolute weight. out: the file to write, which must not exist. Raises FileError if `weights`
    cannot be read or belong to a model without files in eight bits, UnknownName if their model is unknown, and
    RequestError if `out` exists or cannot be written.
    """
    arrays = _write(weights, out, "int8")
    written = describe_weights(out)
    rounded = weights_format(written.model).read(out)[1]
    errors = {name: rounded[name] - array for name, array in arrays.items() if f"{name}.scale" in written.shapes}
    return {
        name: (
            float(np.sqrt(np.square(error).mean() / max(np.square(arrays[name]).mean(), _LEAST))),
            float(np.abs(error).max() / max(np.abs(arrays[name]).max(), _LEAST)),
        )
        for name, error in errors.items()
    }


_LEAST = 1e-30
"""The least divisor of an error, so that an array of zeros does not lead to a division by 0."""


def _write(weights: Path, out: Path, numbers: str) -> dict[str, Array]:
    """Write a copy of a file of weights with rounded numbers; return name -> array of `weights`, before the rounding.

    out: the file to write, which must not exist. numbers: "float16" or "int8", see `WeightsWriter`. Raises the errors
    of `write_half` and `write_eight_bits`.
    """
    if out.exists():
        raise RequestError(f"{out} exists already: remove it, or give another name with -o")
    layout = weights_format(model_of(weights))
    try:
        config, arrays = layout.read(weights)
    except ValueError as error:
        raise FileError(str(error)) from None
    try:
        layout.write(out, config, arrays, numbers)
    except ValueError as error:
        raise FileError(f"{weights}: {error}") from None
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error.strerror or error}: choose another place") from None
    return arrays
