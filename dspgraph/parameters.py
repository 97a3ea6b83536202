"""Parameters: files whose contents matter, the rule of a field in words, and pydantic's complaints as sentences."""

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


def _contents(path: str) -> str:
    """Return the hash of a file's contents, or the path itself if there is no such file."""
    try:
        found = Path(path).stat()
        if S_ISREG(found.st_mode):
            return _sha256(str(Path(path).resolve()), found.st_size, found.st_mtime_ns)
    except (OSError, ValueError):  # ValueError: not a file name
        pass
    return path


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, time: int) -> str:
    """Return the hash of a file. Its size and time are part of the key, so that a changed file is read again."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


_FILE = {"type": "string", "format": "file-path"}

File = Annotated[str, PlainSerializer(_contents, when_used="json"), WithJsonSchema(_FILE)]
"""A parameter that is the path of a file whose contents matter, for instance weights: `weights: File | None`.

As JSON it is the hash of the contents (the path, if there is no file). The digest of a graph then depends on the
contents and not on where they lie. In a pipeline file a relative path starts from the folder of that file; everywhere
else from the working directory.
"""


def parameter_rule(model: type[BaseModel], name: str) -> str:
    """Return the rule of one parameter in words: 'at least 1, at most 64 (default 16)'."""
    return field_rule(model.model_json_schema()["properties"].get(name, {}))


@lru_cache(maxsize=256)
def names_file(model: type[BaseModel], name: str) -> bool:
    """Return whether a parameter is a `File`, or may be one."""
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
    """Return the rule of a field in words, from its part of a JSON Schema."""
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
    """Return a pydantic complaint as a sentence: the place (by default the field), what is wrong, what was found."""
    if place is None:
        place = ".".join(map(str, detail["loc"]))
    where, message = f"{place}: " if place else "", detail["msg"]
    if detail["type"] == "value_error":  # a validator of this project wrote the whole sentence
        return where + message.removeprefix("Value error, ")
    return f"{where}{message[0].lower()}{message[1:]}; found {detail['input']!r}"


def parameter_sentence(detail: ErrorDetails, model: type[BaseModel], type_name: str, known: Iterable[str]) -> str:
    """Return a pydantic complaint about a parameter of a node as a sentence.

    model: the class of the node. known: the names among which the nearest one to an unknown parameter is searched.
    """
    name = str(detail["loc"][0]) if detail["loc"] else ""
    place = f"{type_name}.{name}"
    if detail["type"] == "extra_forbidden":
        return f"{type_name} has no parameter '{name}'; {suggest(name, known)}"
    if detail["type"] == "missing":
        return f"{place} is missing: it must be {parameter_rule(model, name)}"
    if detail["type"] == "value_error":
        return complaint_sentence(detail, place)
    return f"{place} is {detail['input']!r}; it must be {parameter_rule(model, name)}"
