"""Parameters of nodes: the type `File`, and functions that put their rules, and errors in their values, into words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any

from pydantic import BaseModel, PlainSerializer, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from dspgraph.errors import suggest
from dspgraph.shown import shown


def _contents(path: str) -> str:
    """Return "sha256:" and the hash of a file's contents; `path` itself if there is no file that can be read."""
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

    size, time: the size and the time of the last change of the file. They are part of the key of the cache: if one of
    them changes, the file is read again.
    """
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


_FILE = {"type": "string", "format": "file-path"}

File = Annotated[str, PlainSerializer(_contents, when_used="json"), WithJsonSchema(_FILE)]
"""A parameter that is the path of a file whose contents matter, for instance weights: `weights: File | None`.

In JSON, the path of a file that exists is replaced by the hash of its contents. The digest of a graph then depends on
what the file contains and not on where it is. A relative path in a pipeline file starts from the folder of the pipeline
file; everywhere else it starts from the working directory.
"""


def parameter_rule(model: type[BaseModel], name: str) -> str:
    """Return the rule of a parameter in words: "a whole number, at least 1, at most 64 (default 16)".

    model: the pydantic class, such as a node class. name: the name of the parameter.
    """
    return field_rule(_properties(model).get(name, {}))


@lru_cache(maxsize=256)
def _properties(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of every field of a pydantic class: name of the field -> schema.

    The result is in a cache: do not change it.
    """
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return properties


def names_file(model: type[BaseModel], name: str) -> bool:
    """Return whether the parameter `name` of the pydantic class `model` is declared as `File` or as `File | None`."""
    return any(_FILE.items() <= option.items() for option in _options(_properties(model).get(name, {})))


def no_number(model: type[BaseModel], name: str, value: Any) -> bool:
    """Return whether `value` is a boolean or a text, or a list that contains one, where only a number is allowed.

    model, name: the pydantic class, and the name of its field to which the value is given. Pydantic alone would accept
    true as 1 and the text "1_0" as 10.
    """
    return _no_number(_properties(model).get(name, {}), value)


def _no_number(schema: dict[str, Any], value: Any) -> bool:
    options = _options(schema)
    kinds = {option.get("type") for option in options}
    if isinstance(value, bool | str):
        return bool(kinds & {"integer", "number"}) and ("boolean" if isinstance(value, bool) else "string") not in kinds
    items = [option["items"] for option in options if "items" in option]
    if items and isinstance(value, list | tuple):
        return any(all(_no_number(item, inner) for item in items) for inner in value)
    return False


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a JSON Schema, the list under `anyOf`; without such a list, return [schema]."""
    return list(schema.get("anyOf", [schema]))


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
    """Return the rule of a field in words, like `parameter_rule`. schema: the JSON Schema of the field."""
    words = []
    for option in _options(schema):
        if option.get("type") == "null":
            continue
        limits = [text.format(_plain(option[key])) for key, text in _BOUNDS.items() if key in option]
        choices = " or ".join(map(str, option.get("enum", [option["const"]] if "const" in option else [])))
        text = "the path of a file" if _FILE.items() <= option.items() else "a text"
        items = [f"each {field_rule(option['items'])}"] if option.get("items") else []
        words.append(", ".join([choices or _KINDS.get(option.get("type", ""), text), *items, *limits]))
    default = f" (default {_plain(schema['default'])})" if schema.get("default") is not None else ""
    return " or ".join(words) + default


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) and value == int(value) else str(value)


_MOST_COMPLAINTS = 5


def sentences(error: ValidationError, sentence: Callable[[ErrorDetails], str]) -> list[str]:
    """Return the first five complaints of pydantic as sentences. If there are more, a last sentence counts the others.

    error: the error that pydantic raised, with one or more complaints. sentence: a function that puts one complaint, an
    entry of `ValidationError.errors()`, into words.
    """
    told = [sentence(detail) for detail in error.errors(include_url=False)[:_MOST_COMPLAINTS]]
    more = error.error_count() - len(told)
    return [*told, f"and {more} more complaint{'s' if more > 1 else ''}"] if more else told


def complaint_sentence(detail: ErrorDetails, place: str | None = None) -> str:
    """Return a complaint of pydantic as a sentence: the place, what is wrong, and the value that was found.

    The message of a validator of dspgraph is already a whole sentence: only the place is put before it.

    detail: one entry of `ValidationError.errors()`. place: the first words; "": none; by default the path of the field.
    """
    if place is None:
        place = ".".join(map(str, detail["loc"]))
    where, message = f"{place}: " if place else "", detail["msg"]
    if detail["type"] == "value_error":  # the message of a validator of dspgraph is a whole sentence
        return where + message.removeprefix("Value error, ")
    return f"{where}{message[0].lower()}{message[1:]}; found {shown(detail['input'])}"


def parameter_sentence(detail: ErrorDetails, model: type[BaseModel], type_name: str, known: Iterable[str]) -> str:
    """Return a complaint of pydantic about a parameter of a node as a sentence.

    detail: one entry of `ValidationError.errors()`. model: the node class. type_name: the name of the node class in a
    pipeline, such as "lpc". known: the names that may be suggested in place of an unknown parameter.
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
