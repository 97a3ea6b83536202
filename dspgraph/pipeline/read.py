"""Read pipeline files: YAML as plain data that knows the file and line of every value.

Only plain values are read: no tags, no merge keys, no dates. A file that extends another one is laid over it.
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

KeyPath: TypeAlias = tuple[str, ...]
"""The keys that lead to a value, from the top of a file: ("nodes", "lpc", "order")."""

MOST_VALUES = 10_000
MOST_LEVELS = 20
MOST_BITS = 1024
"""Limits of a file: its values, how deep they are nested, and the size of a whole number."""

_TOO_MUCH = f"more than {MOST_VALUES} values or {MOST_LEVELS} levels: this is not a pipeline"


# ---- data with places -----------------------------------------------------------------------------------------------


@dataclass
class Source:
    """Plain data read from files, and the mark ("file.yaml:12") of every value: where it was written."""

    data: Any
    marks: dict[KeyPath, str]

    def place(self, path: KeyPath) -> str:
        """Return 'file.yaml:12: nodes.lpc.order'; the line is that of the nearest enclosing value that has a mark."""
        return ": ".join(filter(None, [self._mark(path), ".".join(path)]))

    def _mark(self, path: KeyPath) -> str:
        found = (self.marks[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.marks)
        return next(found, "")

    def origin(self, path: KeyPath) -> str:
        """Return the mark of the first part of a value: of the var, if the value is a text that begins with one."""
        value = value_at(self.data, path)
        var = re.match(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
        return self.origin(("vars", *var[1].split("."))) if var else self._mark(path)

    def folder_of(self, path: KeyPath) -> Path:
        """Return the folder of the file where a value was written; the working directory for the command line."""
        written = re.fullmatch(r"(.*):\d+", self.origin(path), re.DOTALL)
        return Path(written[1]).parent if written else Path()

    def remark(self, path: KeyPath, mark: str) -> None:
        """Give a value, and all values inside it, a new mark."""
        self.forget(path)
        self.marks[path] = mark

    def forget(self, path: KeyPath) -> None:
        """Remove the marks of a value and of all values inside it."""
        self.marks = {one: mark for one, mark in self.marks.items() if one[: len(path)] != path}

    def move_marks(self, old: KeyPath, new: KeyPath) -> None:
        """Give the value at `new`, and all values inside it, the marks of the value at `old`."""
        self.forget(new)
        self.marks |= {new + path[len(old) :]: mark for path, mark in self.marks.items() if path[: len(old)] == old}


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value that a path leads to."""
    for key in path:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


# ---- files ----------------------------------------------------------------------------------------------------------


def read(path: Path, chain: tuple[Path, ...] = ()) -> Source:
    """Read a pipeline file, laid over the file it extends. chain: the files that led to this one by `extends`."""
    own = _read_file(path)
    if not isinstance(own.data, dict):
        found = repr(own.data)[:80]
        raise PipelineError(f"{path}: a pipeline is a mapping with inputs, nodes and outputs; found {found}")
    chain = (*chain, path.resolve())
    base_name = own.data.pop("extends", None)
    if base_name is None:
        return own
    try:
        if not isinstance(base_name, str):
            raise UnknownName(f"takes the name or path of one pipeline; found {base_name!r}")
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
    """Lay one file over another: mappings are merged, an entry with a type replaces the old one, null removes it."""
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
    """YAML's safe loader, except that 1e-3 is a number, as people mean it, and a date is a text."""


_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def parse(text: str, where: str, lines: bool = False) -> Source:
    """Return YAML as plain data with marks: of a file, with its lines, or of a value from the command line."""
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
    except (ValueError, OverflowError) as error:  # an escape sequence for a character that does not exist
        raise PipelineError(f"{where}: not YAML: {error}") from None
    except RecursionError:
        raise PipelineError(f"{where}: {_TOO_MUCH}") from None


class _Reader:
    """Builds plain data from YAML's tree of nodes, and gives every value its mark."""

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
            raise PipelineError(f"{place}: {path}: {node.value!r} is no {kind}: quote it if it is a text") from None
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise PipelineError(f"{place}: {path} has more than {MOST_BITS} bits: quote it if it is a text")
        return value
