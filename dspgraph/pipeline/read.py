"""Pipeline files read as plain data, with the file and the line of every value.

The data are mappings, lists, texts, numbers, true, false and null. Tags and merge keys (`<<`) are errors, and a date is
a text. A file that extends another file is merged with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from dspgraph.errors import PipelineError, UnknownName
from dspgraph.pipeline.locate import locate
from dspgraph.shown import shown

KeyPath: TypeAlias = tuple[str, ...]
"""The keys that lead from the top of a file to a value: ("nodes", "lpc", "order"). In a list the key is the index."""

MOST_VALUES = 10_000
MOST_LEVELS = 20
MOST_BITS = 1024
"""Limits of one file: the number of values, the levels of nested values, and the bits of an integer."""

_TOO_MUCH = f"more than {MOST_VALUES} values or {MOST_LEVELS} levels: this is not a pipeline"


# ---- data with places -----------------------------------------------------------------------------------------------


@dataclass
class Source:
    """Plain data that were read from files, with a mark for every value: the place where the value is written.

    marks: path of the value -> "file.yaml:12", or -> "'hop=80'" for a value from an override.
    """

    data: Any
    marks: dict[KeyPath, str]

    def place(self, path: KeyPath) -> str:
        """Return the place of a value, as messages show it: "file.yaml:12: nodes.lpc.order".

        For a value without a mark, the line is that of the innermost value around it that has one.
        """
        return ": ".join(filter(None, [self._mark(path), ".".join(path)]))

    def _mark(self, path: KeyPath) -> str:
        found = (self.marks[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.marks)
        return next(found, "")

    def origin(self, path: KeyPath) -> str:
        """Return the mark of a value; for a text that begins with a var, `${folder}/a.npz`, the mark of the var."""
        value = value_at(self.data, path)
        var = re.match(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
        return self.origin(("vars", *var[1].split("."))) if var else self._mark(path)

    def folder_of(self, path: KeyPath) -> Path:
        """Return the folder of the file in which a value is written. For an override it is the working directory."""
        written = re.fullmatch(r"(.*):\d+", self.origin(path), re.DOTALL)
        return Path(written[1]).parent if written else Path()

    def remark(self, path: KeyPath, mark: str) -> None:
        """Give a new mark to a value and to all values inside it."""
        self.forget(path)
        self.marks[path] = mark

    def forget(self, path: KeyPath) -> None:
        """Remove the marks of a value and of all values inside it."""
        self.marks = {one: mark for one, mark in self.marks.items() if one[: len(path)] != path}

    def move_marks(self, old: KeyPath, new: KeyPath) -> None:
        """Copy the marks of the value at `old`, and of all values inside it, to the value at `new`."""
        self.forget(new)
        self.marks |= {new + path[len(old) :]: mark for path, mark in self.marks.items() if path[: len(old)] == old}


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value that a path of keys leads to, from the top of the data."""
    for key in path:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


# ---- files ----------------------------------------------------------------------------------------------------------


def read(path: Path, chain: tuple[Path, ...] = ()) -> Source:
    """Return the data of a pipeline file, merged with the data of the file that it extends.

    chain: the files that were read before, each of which extends the next; the last one extends this file. Raises
    PipelineError for a file that cannot be read, is not YAML, or extends itself through others.
    """
    own = _read_file(path)
    if not isinstance(own.data, dict):
        raise PipelineError(f"{path}: a pipeline is a mapping with inputs, nodes and outputs; found {shown(own.data)}")
    chain = (*chain, path.resolve())
    base_name = own.data.pop("extends", None)
    if base_name is None:
        return own
    try:
        if not isinstance(base_name, str):
            raise UnknownName(f"takes the name or path of one pipeline; found {shown(base_name)}")
        base_path = locate(base_name, beside=path)
    except UnknownName as error:
        raise PipelineError(f"{own.place(('extends',))}: {error}") from None
    if base_path.resolve() in chain:
        names = " -> ".join(one.name for one in (*chain, base_path))
        raise PipelineError(f"{own.place(('extends',))}: the files extend each other in a circle: {names}")
    base = read(base_path, chain)
    _lay_over(base, own, ())
    base.marks[()] = own.marks[()]
    return base


def _read_file(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path), lines=True)


def _lay_over(base: Source, own: Source, at: KeyPath) -> None:
    """Put the values of `own` over those of `base`, in the mapping at the path `at` and in all mappings inside it.

    If both have a mapping under the same key, the two are merged. But a mapping in `own` with the key `node` or
    `pipeline` describes a whole stage: below the top level it replaces the old mapping. Any other value replaces the
    old one. null removes the old value, if there is one.
    """
    under, over = value_at(base.data, at), value_at(own.data, at)
    for key, value in over.items():
        path = (*at, key)
        both_mappings = isinstance(value, dict) and isinstance(under.get(key), dict)
        if both_mappings and not (at and ("node" in value or "pipeline" in value)):
            _lay_over(base, own, path)
            base.marks.setdefault(path, own.marks[path])
            continue
        base.forget(path)
        if value is None and key in under:
            del under[key]
        else:
            under[key] = value
            base.marks |= {one: mark for one, mark in own.marks.items() if one[: len(path)] == path}


# ---- YAML -----------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """The safe loader of PyYAML, with two changes: 1e-3 is a number, and a date is a text."""


_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def parse(text: str, where: str, lines: bool = False) -> Source:
    """Return a text in YAML as plain data with marks.

    where: the origin of the text, which is the path of a file or an override; lines: whether a mark has the line too.
    Raises PipelineError if the text is not YAML, has a tag or a merge key, or exceeds a limit.
    """
    reader = _Reader(where, lines)
    try:
        return reader.read(text)
    except yaml.MarkedYAMLError as error:
        place = reader.mark(error.problem_mark) if error.problem_mark else where
        hint = error.context or "check the indentation"
        raise PipelineError(f"{place}: not YAML: {error.problem}; {hint}") from None
    except yaml.reader.ReaderError as error:
        place = f"{where}:{text.count(chr(10), 0, error.position) + 1}" if lines else where
        raise PipelineError(f"{place}: not YAML: {error.reason}; found {error.character:#x}: remove it") from None
    except (ValueError, OverflowError) as error:  # an escape sequence without a character, such as "\UFFFFFFFF"
        raise PipelineError(f"{where}: not YAML: {error}") from None
    except RecursionError:
        raise PipelineError(f"{where}: {_TOO_MUCH}") from None


class _Reader:
    """The translation of the node tree of PyYAML to plain data with a mark for every value."""

    def __init__(self, where: str, lines: bool) -> None:
        self.where, self.lines = where, lines
        self.source = Source(None, {(): where})
        self.count = 0

    def read(self, text: str) -> Source:
        self.loader = _Loader(text)
        root = self.loader.get_single_node()
        self.source.data = None if root is None else self._value(root, ())
        return self.source

    def mark(self, mark: yaml.Mark) -> str:
        return f"{self.where}:{mark.line + 1}" if self.lines else self.where

    def _value(self, node: yaml.Node, at: KeyPath) -> Any:
        self.count += 1
        self.source.marks.setdefault(at, self.mark(node.start_mark))
        if self.count > MOST_VALUES or len(at) > MOST_LEVELS:
            raise PipelineError(f"{self.mark(node.start_mark)}: {_TOO_MUCH}")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self._value(item, (*at, str(k))) for k, item in enumerate(node.value)]
        return self._plain_value(node, at)

    def _mapping(self, node: yaml.MappingNode, at: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, mapping, at)
            self.source.marks[(*at, key)] = self.mark(key_node.start_mark)
            mapping[key] = self._value(value_node, (*at, key))
        return mapping

    def _key(self, node: yaml.Node, mapping: Mapping[str, Any], at: KeyPath) -> str:
        place = self.mark(node.start_mark)
        if not isinstance(node, yaml.ScalarNode):
            raise PipelineError(f"{place}: {'.'.join(at)} has a list or mapping as a key: a key is a name")
        key = str(node.value)
        if key in mapping:
            raise PipelineError(f"{place}: {'.'.join((*at, key))} is written twice: keep one")
        if key == "<<":
            raise PipelineError(
                f"{place}: {'.'.join((*at, key))}: keys are not merged here: write them out, or use vars or extends"
            )
        return key

    def _plain_value(self, node: yaml.Node, at: KeyPath) -> Any:
        place, path = self.mark(node.start_mark), ".".join(at) or "the value"
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN:
            raise PipelineError(f"{place}: {path} has the tag {node.tag}: a pipeline holds plain values only")
        kind = node.tag.rpartition(":")[2]
        try:
            value = self.loader.construct_object(node)
        except (ValueError, KeyError, OverflowError):
            raise PipelineError(
                f"{place}: {path}: {shown(node.value)} is no {kind}: quote it if it is a text"
            ) from None
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise PipelineError(f"{place}: {path} has more than {MOST_BITS} bits: quote it if it is a text")
        return value
