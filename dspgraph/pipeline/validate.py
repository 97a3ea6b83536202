"""Checks of the data of a pipeline file against `document`.

Every error says the path of the value, and its file and line or the override that set it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dspgraph import registry
from dspgraph.errors import DspgraphError, PipelineError, suggest
from dspgraph.parameters import complaint_sentence, sentences
from dspgraph.pipeline.document import Document, describe_key, known_keys
from dspgraph.pipeline.interpolate import fill_vars
from dspgraph.pipeline.overrides import SETTINGS
from dspgraph.pipeline.read import KeyPath, Source
from dspgraph.shown import shown

_SECTIONS = ("vars", "inputs", "nodes", "outputs", "variants")
_TAGS = {"audio", "frames", "symbols", "control", "port", "node", "pipeline"}


def check_shape(source: Source) -> None:
    """Remove the sections that are null from `source`.

    Raises PipelineError if another section, a node, a slot or a variant is not a mapping.
    """
    data = source.data
    for section in _SECTIONS:
        if section in data and data[section] is None:
            del data[section]
    for path, value in _mappings(data):
        if not isinstance(value, dict):
            entry = (path[0], len(path)) in (("nodes", 2), ("variants", 3))
            expected = "with one of the keys 'node', 'pipeline'" if entry else "of names"
            raise PipelineError(f"{source.place(path)}: must be a mapping {expected}; found {shown(value)}")


def _mappings(data: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    for section in _SECTIONS:
        yield (section,), data.get(section, {})
    for name, entry in data.get("nodes", {}).items():
        yield ("nodes", name), entry
    for slot, choices in data.get("variants", {}).items():
        yield ("variants", slot), choices
        for name, entry in choices.items():
            yield ("variants", slot, name), entry


def validate(source: Source, plugins: Iterable[str | Path] = ()) -> Document:
    """Return the document of a pipeline file, with its vars filled in. `source` is not changed.

    source: the data, after `check_shape`, swaps, overrides and `put_values`. plugins: Python files with nodes, for
    hints in messages. Raises PipelineError for a fault in the vars, for keys and values that `Document` refuses (one
    line for each of the first five), and for an input and a var with the same name.
    """
    try:
        document = Document.model_validate(fill_vars(source))
    except ValidationError as error:
        raise PipelineError(*sentences(error, lambda detail: _sentence(source, plugins, detail))) from None
    for name in document.inputs.keys() & document.vars.keys():
        raise PipelineError(f"{source.place(('inputs', name))}: a var has this name too: rename one")
    return document


def _sentence(source: Source, plugins: Iterable[str | Path], detail: Any) -> str:
    """Return one complaint of pydantic as a sentence that says the file, the line, the path and the fault.

    source: the data that were checked, with the places of the values. plugins: Python files with nodes. detail: one
    entry of `ValidationError.errors()`.
    """
    raw = [str(part) for part in detail["loc"] if part != "[key]"]
    depth = 3 if raw[:1] == ["variants"] else 2
    path = tuple(part for k, part in enumerate(raw) if not (k == depth and part in _TAGS))
    place = source.place(path)
    tag = raw[2] if path[:1] == ("inputs",) and len(raw) > len(path) else None
    if detail["type"] == "missing":
        return f"{place} is missing: {describe_key(path[-1], tag)}"
    if detail["type"] == "extra_forbidden":
        return f"{place}: no such key; {suggest(path[-1], known_keys(len(path)))}"
    if detail["type"] == "string_pattern_mismatch":
        return f"{place}: a name is letters, digits and _, and begins with no digit; found {shown(detail['input'])}"
    about = describe_key(path[-1], tag) if tag else ""
    hint = _parameters(source, plugins, path[0]) if len(path) == 1 and path[0] in SETTINGS else ""
    return complaint_sentence(detail, place) + (f": {path[-1]} is the {about}" if about else "") + hint


def _parameters(source: Source, plugins: Iterable[str | Path], name: str) -> str:
    """Return the end of an error about the setting `name`, "precision" or "seed"; "" if there is nothing to add.

    It says that a parameter of a node is set as NODE.PARAMETER, and lists all such parameters of this name. source: as
    in `validate`. plugins: Python files with nodes.
    """
    found = []
    for node, entry in source.data.get("nodes", {}).items():
        try:
            kind = registry.find(str(entry.get("node", "")), plugins)
        except DspgraphError:  # a fault of its own, or a pipeline that is used as a node
            continue
        if name in kind.model_fields:
            found.append(f"{node}.{name}")
    return f" (a parameter of a node is set as NODE.PARAMETER: {', '.join(found)})" if found else ""
