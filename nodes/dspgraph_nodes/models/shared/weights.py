"""Files of weights, of any model: writing, reading and checking, without torch.

A file of weights is a safetensors file with float32 arrays, or float16 arrays, which are read as float32. Its metadata
have three texts: `model`, the name of the model; `format`, the version of this layout; and `config`, the configuration
in JSON. Nothing in such a file is executed when it is read.

A file in eight bits has format 2 and a fourth text, `precision`: "int8". The matrices that the field `matrices` of its
`WeightsFormat` names are stored as int8, and beside each, as float32, NAME.scale: a factor for each row, by which the
numbers of this row are multiplied when the file is read. The diagonals of recurrent matrices stay exact: they are
stored as float32, in NAME.diagonal. All other arrays are float32.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np

from dspgraph.shown import escaped, shortened, shown
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.quantisation import EightBits, dequantised, quantised
from dspgraph_nodes.models.shared.atomic import write_atomically
from dspgraph_nodes.models.shared.config import ModelConfig

Config = TypeVar("Config", bound=ModelConfig)

FORMAT = "1"
"""The version of the layout. The oldest files state no version and have the key `model` in `config`."""

EIGHT_BIT_FORMAT = "2"
"""The version of the layout of files in eight bits."""

Numbers = Literal["float32", "float16", "int8"]
"""The type of the numbers in a file of weights."""

_LONGEST_HEADER = 2**20
"""The largest size of the header of a file of weights, in bytes. The header for an LPCNet has about 2000 bytes."""


@dataclass(frozen=True)
class WeightsFormat(Generic[Config]):
    """The layout of the files of weights of one model.

    model: the name of the model; config: the class of its configurations; shapes: a function from a configuration to
    name -> shape for every array; way_out: the last part of the error for a file that is not safetensors, which says
    what to do; by default it names the commands that make and convert weights; optional: the fields of the
    configuration that older files do not have. Such a field then has its default value. matrices: the arrays that are
    stored as int8 in a file in eight bits, name -> number of leading axes that index the rows; a name may have the
    wildcards * and ?, and need not be in every network. If it is empty, the model has no files in eight bits.
    diagonals: the names of those `matrices` whose diagonals are stored separately.
    """

    model: str
    config: type[Config]
    shapes: Callable[[Config], Mapping[str, tuple[int, ...]]]
    way_out: str = ""
    optional: frozenset[str] = frozenset()
    matrices: Mapping[str, int] = field(default_factory=dict, hash=False)
    diagonals: frozenset[str] = frozenset()

    def metadata(self, config: Config, numbers: Numbers = "float32") -> dict[str, str]:
        """Return the metadata, name -> text, of a file of weights with this configuration.

        numbers: the type of the numbers in the file.
        """
        found = {"model": self.model, "format": FORMAT, "config": config.model_dump_json()}
        return found | ({"format": EIGHT_BIT_FORMAT, "precision": "int8"} if numbers == "int8" else {})

    def write(
        self, path: str | Path, config: Config, arrays: Mapping[str, Array], numbers: Numbers = "float32"
    ) -> None:
        """Write a configuration and its arrays, by name, to a file. Raises ValueError as `content` does.

        numbers: the type of the numbers in the file, to which the arrays are rounded; with "int8" only those of
        the matrices in `matrices`, without the diagonals that are stored apart. A file that exists is replaced.
        """
        write_atomically(path, self.content(config, arrays, str(path), numbers))

    def content(
        self, config: Config, arrays: Mapping[str, Array], where: str = "the network", numbers: Numbers = "float32"
    ) -> bytes:
        """Return the content of a file of weights; equal weights have equal bytes.

        The package safetensors would write the metadata in another order each time. where: the name of the network or
        its file, for errors; numbers: the type of the numbers in the file, to which the arrays are rounded. Raises
        ValueError as `check` does, for numbers that are too large for float16, and if a model has no files in eight
        bits.
        """
        self.check(arrays, config, where)
        header: dict[str, object] = {"__metadata__": self.metadata(config, numbers)}
        stored = self._stored(arrays, numbers)
        end = 0
        for name in sorted(stored):
            begin, end = end, end + stored[name].nbytes
            kind = {"i1": "I8", "f2": "F16", "f4": "F32"}[stored[name].dtype.str[1:]]
            header[name] = {"dtype": kind, "shape": list(stored[name].shape), "data_offsets": [begin, end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that the numbers are aligned
        rows = (stored[name].astype(stored[name].dtype.newbyteorder("<")).tobytes() for name in sorted(stored))
        return b"".join((len(text).to_bytes(8, "little"), text, *rows))

    def _rows(self, names: Iterable[str]) -> dict[str, int]:
        """Return name -> number of leading axes that index the rows, for those of `names` that `matrices` has."""
        patterns = self.matrices.items()
        return {name: axes for name in names for pattern, axes in patterns if fnmatchcase(name, pattern)}

    def _stored(self, arrays: Mapping[str, Array], numbers: Numbers) -> dict[str, Array]:
        """Return the arrays that a file contains, by name. numbers: the type of the numbers in the file."""
        if numbers != "int8":
            return {name: _rounded(name, array) if numbers == "float16" else array for name, array in arrays.items()}
        found = dict(arrays)
        for name, eight in self.in_eight_bits(arrays).items():
            found |= {name: eight.codes, f"{name}.scale": eight.scale}
            if eight.diagonal is not None:
                found[f"{name}.diagonal"] = eight.diagonal
        return found

    def in_eight_bits(self, arrays: Mapping[str, Array]) -> dict[str, EightBits]:
        """Return those of `arrays` that the field `matrices` names, rounded to eight bits, by name.

        Raises ValueError if the model has no files in eight bits.
        """
        if not self.matrices:
            raise ValueError(
                f"weights of '{self.model}' have no files in eight bits: 'dspgraph weights half' writes them in 16 bits"
            )
        return {
            name: quantised(arrays[name], axes, name in self.diagonals) for name, axes in self._rows(arrays).items()
        }

    def read(self, path: str | Path) -> tuple[Config, dict[str, Array]]:
        """Return the configuration and the arrays, by name, of a file.

        Raises ValueError if the file cannot be read, is not safetensors, is cut short, belongs to another model, has an
        unknown layout or an impossible configuration, has arrays of other names or shapes than its configuration says,
        holds numbers of another type or that are not finite, or 8-bit numbers that do not fit their scales. The error
        names the file, what was found and what was expected.
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
                metadata = file.metadata() or {}
                config = self._config(path, metadata)
                names = list(file.keys())
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
                eight = metadata.get("format") == EIGHT_BIT_FORMAT
                self._check_shapes(shapes, config, str(path), eight)
                arrays = {name: _single(file.get_tensor(name)) for name in names}
                if eight:
                    arrays = self._dequantised(arrays, str(path))
        except SafetensorError as error:
            way_out = self.way_out or (
                f"'dspgraph train {self.model}' makes weights, and 'dspgraph weights convert' converts weights of "
                "published programs"
            )
            raise ValueError(f"{path} is not a whole safetensors file ({error}); {way_out}") from None
        except TypeError as error:  # a number format that numpy lacks
            raise ValueError(f"{path} holds numbers that are not float32 ({error})") from None
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
        self.check(arrays, config, str(path))
        return config, arrays

    def check(self, arrays: Mapping[str, Array], config: Config, where: str) -> None:
        """Raise ValueError unless the arrays fit the configuration, are float32, and have finite numbers only.

        where: the name of the file, for the message.
        """
        self._check_shapes({name: array.shape for name, array in arrays.items()}, config, where)
        for name, array in arrays.items():
            if array.dtype != np.float32:
                raise ValueError(f"{where}: {name} is {array.dtype}; expected float32")
            if not np.isfinite(array).all():
                raise ValueError(f"{where}: {name} holds numbers that are not finite: the training has diverged")

    def _dequantised(self, stored: Mapping[str, Array], where: str) -> dict[str, Array]:
        """Return the arrays of a file in eight bits as float32, by name.

        stored: the arrays in the file, with the right names and shapes. where: the name of the file, for errors. Raises
        ValueError if an array does not have the dtype that `quantised` gives it, if a scale or a diagonal is not
        finite, or if `quantised` would store other numbers for the same weights.
        """
        scales = {name for name in stored if f"{name}.scale" in stored}
        extra = {f"{name}.{kind}" for name in scales for kind in ("scale", "diagonal")}
        arrays = {name: array for name, array in stored.items() if name not in extra}
        for name, axes in self._rows(arrays).items():
            eight = EightBits(stored[name], stored[f"{name}.scale"], stored.get(f"{name}.diagonal"))
            if eight.codes.dtype != np.int8:
                raise ValueError(f"{where}: {name} is {eight.codes.dtype}; its metadata say int8")
            for kind, array in zip(("scale", "diagonal"), eight[1:], strict=True):
                if array is not None and not (array.dtype == np.float32 and np.isfinite(array).all()):
                    raise ValueError(f"{where}: {name}.{kind} is {array.dtype}; expected finite numbers in float32")
            arrays[name] = dequantised(eight)
            again = quantised(arrays[name], axes, name in self.diagonals)
            if not (np.array_equal(again.codes, eight.codes) and np.array_equal(again.scale, eight.scale)):
                raise ValueError(
                    f"{where}: {name} is in eight bits, but not as dspgraph rounds weights: in every row the largest "
                    "number is 127 or -127, and its scale has 16 binary digits: write it by 'dspgraph weights quantise'"
                )
        return arrays

    def _stored_shapes(self, config: Config) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays that a file in eight bits contains, by name."""
        found = dict(self.shapes(config))
        matrices = self._rows(found)
        scales = {f"{name}.scale": found[name][:axes] for name, axes in matrices.items()}
        return found | scales | {f"{name}.diagonal": found[name][:1] for name in self.diagonals & set(matrices)}

    def _check_shapes(
        self, found: Mapping[str, tuple[int, ...]], config: Config, where: str, eight: bool = False
    ) -> None:
        expected = self._stored_shapes(config) if eight else self.shapes(config)
        missing, foreign = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        if missing or foreign:
            faults = [
                f"{fault} {shortened(escaped(', '.join(names)), 400)}"
                for fault, names in (("lacks", missing), ("also has", foreign)) if names
            ]  # fmt: skip
            raise ValueError(f"{where} does not hold the arrays of '{self.model}': it {' and '.join(faults)}")
        for name, shape in expected.items():
            if found[name] != shape:
                raise ValueError(f"{where}: {name} has shape {list(found[name])}; its configuration says {list(shape)}")

    def _config(self, path: str | Path, metadata: Mapping[str, str]) -> Config:
        try:
            values = json.loads(metadata["config"])
            model = metadata["model"] if "model" in metadata else values.pop("model")
            values = dict(values)
        except (KeyError, ValueError, AttributeError, TypeError, RecursionError):
            raise ValueError(
                f"{path} holds no weights of a model: its metadata have no configuration; found {sorted(metadata)}"
            ) from None
        if model != self.model:
            raise ValueError(f"{path} holds weights of {shown(model)}; expected weights of '{self.model}'")
        version, precision = metadata.get("format", FORMAT), metadata.get("precision")
        known = [FORMAT, EIGHT_BIT_FORMAT] if self.matrices else [FORMAT]
        if version not in known:
            raise ValueError(
                f"{path} has the layout {shown(version)}; this version of dspgraph reads {' and '.join(known)} for "
                f"'{self.model}': install a newer version"
            )
        if self.matrices and (version == EIGHT_BIT_FORMAT) != (precision == "int8"):
            found = "no precision" if precision is None else f"the precision {shown(precision)}"
            raise ValueError(
                f"{path}: its metadata contradict each other: the layout {version} and {found}; expected "
                f"{EIGHT_BIT_FORMAT} and 'int8', or {FORMAT} and no precision: write the file again, from weights in "
                "float32, by 'dspgraph weights quantise'"
            )
        names = set(self.config.model_fields)
        if not names - self.optional <= set(values) <= names:
            raise ValueError(f"{path} has a configuration of {shown(sorted(values), 400)}; expected {sorted(names)}")
        try:
            return self.config(**values)
        except ValueError as error:
            raise ValueError(f"{path} has an impossible configuration: {error}") from None


def _rounded(name: str, array: Array) -> Array:
    """Return an array in float16. Raises ValueError, with the name of the array, if a number is too large."""
    with np.errstate(over="ignore"):
        found = array.astype(np.float16)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds {np.abs(array).max():g}; float16 ends at 65504: write float32")
    return found


def _single(array: Array) -> Array:
    """Return an array of a file in float32 if it is float16; return an array of any other dtype unchanged."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def layer_shapes(name: str, outputs: int, *inputs: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for the arrays of a layer: its weight and, with `bias`, its bias.

    name: the name of the layer; outputs: the number of outputs; inputs: the number of inputs, followed by the number of
    taps if the layer is a convolution.
    """
    found: dict[str, tuple[int, ...]] = {f"{name}.weight": (outputs, *inputs)}
    return {**found, f"{name}.bias": (outputs,)} if bias else found


def norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    """Return array name -> shape for a layer of batch normalisation. name: the name of the layer."""
    return {f"{name}.{kind}": (channels,) for kind in ("weight", "bias", "running_mean", "running_var")}


def gru_shapes(name: str, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
    """Return array name -> shape for a torch GRU of one layer. name: the name of the GRU."""
    matrices = {f"{name}.weight_ih_l0": (3 * units, inputs), f"{name}.weight_hh_l0": (3 * units, units)}
    return {**matrices, f"{name}.bias_ih_l0": (3 * units,), f"{name}.bias_hh_l0": (3 * units,)}
