"""Weights of other programs, converted to files of weights of this project's models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dspgraph.errors import FileError, RequestError
from dspgraph.io.paths import read_file
from dspgraph.registry import models
from dspgraph.shown import shortened, shown
from dspgraph.streams import Array
from dspgraph.training.contract import conversion, weights_format
from dspgraph.training.foreign_checkpoints import read_checkpoint

_LARGEST_SETTINGS = 2**24
"""The largest size of a file of settings, in bytes."""


@dataclass(frozen=True)
class ConvertedWeights:
    """The result of a conversion of weights.

    model: the name of the model. untold: the values that were assumed, because neither the checkpoint nor the settings
    contain them, as texts such as "rate (16000)".
    """

    model: str
    untold: tuple[str, ...]


def convert_weights(
    source: Path, out: Path, model: str | None = None, settings: Path | None = None
) -> ConvertedWeights:
    """Write the weights in a checkpoint of another program to a file of weights of this project.

    source: see `read_checkpoint`. out: the file to write, which must not exist. model: the name of the model; by
    default the only model that recognises the names of the arrays. settings: a file with a JSON object, name -> value,
    of values that the checkpoint does not contain. Raises UnknownName for an unknown model; FileError if a file cannot
    be read, contains no network of this model, or has a value that contradicts the checkpoint; RequestError if no model
    or several models recognise the checkpoint, if the model cannot convert weights, if `read_checkpoint` needs a
    package that is not installed, or if `out` exists or cannot be written.
    """
    if out.exists():
        raise RequestError(f"{out} exists already: remove it, or give another name with -o")
    arrays, given = read_checkpoint(source), _settings(settings)
    name = model or _recognised(source, set(arrays))
    try:
        config, converted, untold = _converted(name, arrays, given)
        weights_format(name).write(out, config, converted)
    except ValueError as error:
        raise FileError(f"{source}: {error}") from None
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error.strerror or error}: choose another place") from None
    return ConvertedWeights(name, tuple(untold))


def _converted(
    model: str, arrays: Mapping[str, Array], given: Mapping[str, Any]
) -> tuple[Any, dict[str, Array], Sequence[str]]:
    """Return the result of `WeightsConversion.convert` of a model. Raises ValueError for arguments that do not fit.

    Also raises the errors of `conversion`. model: the name of the model. arrays, given: the arguments `found` and
    `given` of `convert`. For an array with a wrong number of axes, or a setting of a wrong type, `convert` can raise
    errors of many classes. They are turned into ValueError, because only the arguments can be their cause: `convert`
    reads nothing else.
    """
    convert = conversion(model).convert
    try:
        return convert(arrays, given)
    except (IndexError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError) as error:
        reason = shortened(str(error) or type(error).__name__, 200)
        raise ValueError(f"an array or a setting does not fit a published {model} ({reason})") from error


def _recognised(source: Path, names: set[str]) -> str:
    able = [name for name, package in models().items() if find_spec(f"{package}.convert")]
    found = [name for name in able if conversion(name).recognises(names)]
    if len(found) != 1:
        fault = f"{' and '.join(found)} recognise it" if found else f"no model recognises it ({', '.join(able)} can)"
        some = ", ".join(sorted(names)[:6])
        raise RequestError(f"{source}: {fault}; it holds {shown(some, 200)} ...: give --model NAME")
    return found[0]


def _settings(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        found = json.loads(read_file(path, _LARGEST_SETTINGS))
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is no file of JSON ({error})") from None
    if not isinstance(found, dict):
        raise FileError(f'{path} has to hold settings such as {{"stacks": 4}}; found {shown(found)}')
    return found
