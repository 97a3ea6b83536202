"""Inputs that have the sample rate or the channels of the file that is rendered: `{audio: file, channels: file}`.

A var can have the value `file` too, as in `vars: {rate: file}` with `{audio: "${rate}"}`. It is then replaced by a
number wherever it is used: the rate (or the channels) of the file of the first input that uses the var.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from dspgraph.errors import ParameterError, PipelineError, RequestError
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.pipeline.read import KeyPath, Source, value_at
from dspgraph.streams import to_fraction

FILE = "file"
"""The value that stands for the rate, or the number of channels, of the file."""


class Wanted(NamedTuple):
    """A number that a pipeline takes from the file of an input.

    input: the name of the input. key: "audio" for the sample rate in Hz, "channels" for the number of channels.
    """

    input: str
    key: str


Values: TypeAlias = tuple[tuple[Wanted, Fraction], ...]
"""Rates and numbers of channels of the files of one item: pairs (`Wanted`, number)."""

NOMINAL = {"audio": Fraction(48000), "channels": Fraction(1)}
"""The rate in Hz and the number of channels that are used where there is no file, as in `show`."""


def wanted_values(source: Source) -> dict[Wanted, KeyPath]:
    """Return the numbers that a pipeline takes from files: number -> the path of the value `file` that stands for it.

    source: the data of the pipeline file; they are not changed. A path leads to a key in the entry of an input, or to
    the var that has the value `file`. If several inputs use one var, only the number of the first input is returned.

    Raises PipelineError if one var stands for a rate and for a number of channels.
    """
    found: dict[KeyPath, Wanted] = {}
    for name, entry in source.data.get("inputs", {}).items():
        for key in NOMINAL:
            if not isinstance(entry, dict) or "audio" not in entry or key not in entry:
                continue
            path = _written(source.data, ("inputs", name, key))
            if path is None or value_at(source.data, path) != FILE:
                continue
            first = found.setdefault(path, Wanted(name, key))
            if first.key != key:
                raise PipelineError(
                    f"{source.place(path)}: is '{FILE}', for a rate and for a number of channels: use two vars"
                )
    return {one: path for path, one in found.items()}


def _written(data: dict[str, Any], path: KeyPath) -> KeyPath | None:
    """Return the path at which the value at `path` is written; if it is `${name}`, the path of the var `name`.

    A var that is another var is followed, too. Return None if there is no such value or var, or if the vars use each
    other in a circle. data: the data of a pipeline file.
    """
    for _ in range(len(data.get("vars", {})) + 1):
        try:
            value = value_at(data, path)
        except (LookupError, TypeError, ValueError):
            return None
        var = re.fullmatch(r"\$\{([\w.]+)\}", value, re.ASCII) if isinstance(value, str) else None
        if var is None:
            return path
        path = ("vars", *var[1].split("."))
    return None  # vars that use each other in a circle; `fill_vars` refuses them


def put_values(source: Source, wanted: Mapping[Wanted, KeyPath], values: Mapping[Wanted, Fraction]) -> None:
    """Write numbers into the data of a pipeline in place of `file`.

    source: the data, which are changed. wanted: number -> path of the value `file` that stands for it, the result of
    `wanted_values`. values: the numbers that are known; for the others 48000 Hz and 1 channel (NOMINAL) are written.
    """
    for one, path in wanted.items():
        number = values.get(one, NOMINAL[one.key])
        around = value_at(source.data, path[:-1])
        around[int(path[-1]) if isinstance(around, list) else path[-1]] = (
            int(number) if number.denominator == 1 else str(number)
        )


class FileHeader(NamedTuple):
    """The sample rate in Hz and the number of channels of an audio file."""

    rate: int
    channels: int


def read_header(path: Path) -> FileHeader:
    """Return the sample rate and the number of channels of an audio file. Raises FileError if it cannot be read."""
    from dspgraph.io.decoding import Decoder  # soundfile is slow to import, and few pipelines need it here

    header = Decoder(path)
    return FileHeader(header.rate, header.channels)


def values_of(
    wanted: tuple[Wanted, ...],
    files: Mapping[str, Path],
    channel: int | None = None,
    read: Callable[[Path], FileHeader] = read_header,
) -> Values:
    """Return the numbers that a pipeline takes from files, read from the headers of these files.

    wanted: the numbers that are needed. files: name of an input -> its file. channel: the number of the only channel
    that is read; None for all channels. read: a function that returns rate and channels of a file. Raises FileError for
    a file that cannot be read, and RequestError for an .npz file, which has no rate, and for an input without a file.
    """
    found = []
    for one in wanted:
        if one.input not in files:
            raise RequestError(f"the input '{one.input}' has the {_NAMES[one.key]} of its file, and is given none")
        path = files[one.input]
        if path.suffix.lower() == ARRAYS and path.exists():
            raise RequestError(
                f"{path}: the input '{one.input}' has the {_NAMES[one.key]} of an audio file; an {ARRAYS} file has "
                "none: give the pipeline a number"
            )
        header = read(path)
        channels = 1 if channel is not None else header.channels
        found.append((one, to_fraction(header.rate if one.key == "audio" else channels)))
    return tuple(found)


def values_in(wanted: tuple[Wanted, ...], inputs: Mapping[str, Any]) -> Values | None:
    """Return the numbers in `wanted` as the inputs of an existing graph have them; None if an input lacks one of them.

    inputs: name of an input -> its stream as plain data, the entry "inputs" of `Wiring.description`.
    """
    try:
        numbers = [inputs[one.input]["rate" if one.key == "audio" else "channels"] for one in wanted]
        return tuple((one, to_fraction(number)) for one, number in zip(wanted, numbers, strict=True))
    except (LookupError, TypeError, ParameterError):
        return None


_NAMES = {"audio": "rate", "channels": "channels"}


def nominal(wanted: tuple[Wanted, ...]) -> Values:
    """Return the numbers to use where there is no file: 48000 Hz and 1 channel. wanted: the numbers that are needed."""
    return tuple((one, NOMINAL[one.key]) for one in wanted)


def describe_values(values: Values) -> str:
    """Return rates and numbers of channels from files as text, such as "44100 Hz, channels: 2"."""
    return ", ".join(f"{number} Hz" if one.key == "audio" else f"channels: {number}" for one, number in values)


def unset_message(source: Source, one: Wanted, path: KeyPath) -> str:
    """Return the error message for a number that a pipeline takes from a file, if there is no file.

    source: the data of the pipeline. one: the number. path: the path at which the value `file` is written.
    """
    number = 16000 if one.key == "audio" else 1
    way = f"as in '{one.key}: {number}'"
    if path[0] == "vars":
        way = f"as in -s {path[1]}={number}" if len(path) == 2 else f"such as {number}"
    return (
        f"{source.place(path)}: is the {_NAMES[one.key]} of the file that is rendered, and there is no file here: "
        f"give a number, {way}"
    )
