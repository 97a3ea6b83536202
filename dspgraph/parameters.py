"""Parameters: the type `File`, the rule of a field in words, and complaints of pydantic as sentences."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any

from pydantic import BaseModel, PlainSerializer, WithJsonSchema
from pydantic_core import ErrorDetails

from dspgraph.errors import suggest
from dspgraph.shown import shown


def _contents(path: str) -> str:
    """Return "sha256:" and the hash of a file's contents; `path` itself if it is no file that can be read."""
    try:
        found = Path(path).stat()
        if S_ISREG(found.st_mode):
            return _sha256(str(Path(path).resolve()), found.st_size, found.st_mtime_ns)
    except (OSError, ValueError):  # ValueError: not a file name
        pass
    return path


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, time: int) -> str:
    """Return "sha256:" and the hash of a file's contents.

    size, time: those of the file. They are part of the key of the cache: if one changes, the file is read again.
    """
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


_FILE = {"type": "string", "format": "file-path"}

File = Annotated[str, PlainSerializer(_contents, when_used="json"), WithJsonSchema(_FILE)]
"""A parameter that is the path of a file whose contents matter, for instance weights: `weights: File | None`.

In JSON the hash of the contents stands for the path (the path itself, if there is no such file). The digest of a graph
then depends on what the file contains and not on where it is. A relative path in a pipeline file starts from the folder
of the pipeline file; everywhere else it starts from the working directory.
"""


def parameter_rule(model: type[BaseModel], name: str) -> str:
    """Return the rule of one parameter of a model in words: "a whole number, at least 1, at most 64 (default 16)"."""
    return field_rule(model.model_json_schema()["properties"].get(name, {}))


@lru_cache(maxsize=256)
def names_file(model: type[BaseModel], name: str) -> bool:
    """Return whether a parameter of a model is declared as `File` or as `File | None`."""
    rule = model.model_json_schema()["properties"].get(name, {})
    return any(_FILE.items() <= option.items() for option in rule.get("anyOf", [rule]))


_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "pattern": "like {}",
}

_KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}


def field_rule(schema: dict[str, Any]) -> str:
    """Return the rule of a field in words, like `parameter_rule`. schema: what a JSON Schema says about the field."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    words = []
    for option in options:
        limits = [text.format(_plain(option[key])) for key, text in _BOUNDS.items() if key in option]
        choices = " or ".join(map(str, option.get("enum", [option["const"]] if "const" in option else [])))
        text = "the path of a file" if _FILE.items() <= option.items() else "a text"
        words.append(", ".join([choices or _KINDS.get(option.get("type", ""), text), *limits]))
    default = f" (default {_plain(schema['default'])})" if schema.get("default") is not None else ""
    return " or ".join(words) + default


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) and value == int(value) else str(value)


def complaint_sentence(detail: ErrorDetails, place: str | None = None) -> str:
    """Return a complaint of pydantic as a sentence: the place, what is wrong, and what was found.

    detail: one entry of `ValidationError.errors()`. place: the first words; by default the path of the field.
    """
    if place is None:
        place = ".".join(map(str, detail["loc"]))
    where, message = f"{place}: " if place else "", detail["msg"]
    if detail["type"] == "value_error":  # a validator of this project wrote the whole sentence
        return where + message.removeprefix("Value error, ")
    return f"{where}{message[0].lower()}{message[1:]}; found {shown(detail['input'])}"


def parameter_sentence(detail: ErrorDetails, model: type[BaseModel], type_name: str, known: Iterable[str]) -> str:
    """Return a complaint of pydantic about a parameter of a node as a sentence.

    detail: one entry of `ValidationError.errors()`. model, type_name: the class of the node and its name in a pipeline.
    known: the names that may be suggested in place of an unknown parameter.
    """
    name = str(detail["loc"][0]) if detail["loc"] else ""
    place = f"{type_name}.{name}"
    if detail["type"] == "extra_forbidden":
        return f"{type_name} has no parameter '{name}'; {suggest(name, known)}"
    if detail["type"] == "missing":
        return f"{place} is missing: it must be {parameter_rule(model, name)}"
    if detail["type"] == "value_error":
        return complaint_sentence(detail, place)
    return f"{place} is {shown(detail['input'])}; it must be {parameter_rule(model, name)}"
