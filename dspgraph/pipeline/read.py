"""Pipeline files read as plain data, with the file and the line of every value.

The data are mappings, lists, texts, numbers, true, false and null, as the core schema of YAML 1.2 reads them: 0100 is
100, and 1:30, 1_000, on and yes are texts. Every key of a mapping is a text, as it is written. Tags of other kinds of
values and merge keys (`<<`) are errors, and a date is a text. A file that extends another file is merged with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from dspgraph.errors import FileError, PipelineError, UnknownName
from dspgraph.io.paths import read_file
from dspgraph.pipeline.locate import locate
from dspgraph.shown import shown

KeyPath: TypeAlias = tuple[str, ...]
"""The keys that lead from the top of a file to a value: ("nodes", "lpc", "order"). Keys of a list are "0", "1", ..."""

MOST_BYTES = 1_000_000
MOST_VALUES = 10_000
MOST_LEVELS = 20
MOST_BITS = 128
"""Limits of one file: its size, the number of values, the levels of nested values, and the bits of an integer.

All files of a pipeline together may have twice the size and three times the values.
"""

MOST_FILES = 20
"""The largest number of files in a chain in which each file extends the next, or uses the next as a node."""

_TOO_MUCH = f"more than {MOST_VALUES} values or {MOST_LEVELS} levels: this is not a pipeline"

_OUTER_VAR = re.compile(r"\$\{([\w.]+)\}")
"""A var at the beginning of a text."""


# ---- data with places -----------------------------------------------------------------------------------------------


class Marks:
    """The marks of a value and of all values inside it. A mark is the place where a value is written.

    own: the mark of the value: "file.yaml:12", or "'hop=80'" for a value from an override. The mark "" says that the
    value has the same place as the value around it. inner: key -> marks of a value inside. In a list the keys are "0",
    "1" and so on.
    """

    __slots__ = ("inner", "own")

    def __init__(self, own: str = "") -> None:
        self.own = own
        self.inner: dict[str, Marks] = {}

    def copy(self) -> Marks:
        """Return a deep copy: changes of the copy do not change these marks."""
        copied = Marks(self.own)
        copied.inner = {key: marks.copy() for key, marks in self.inner.items()}
        return copied

    def along(self, path: KeyPath) -> Iterator[Marks]:
        """Yield these marks, then the marks of every value on the way to the value at `path`, and of that value.

        Values without marks end the way early. path: the keys that lead from the value of these marks to a value in it.
        """
        marks: Marks | None = self
        for key in (*path, None):
            if marks is None:
                return
            yield marks
            marks = marks.inner.get(key) if key is not None else None

    def put(self, path: KeyPath, marks: Marks) -> None:
        """Replace the marks of the value at `path`, and of all values inside it, by `marks` itself, not by a copy.

        path: one key or more. A value on the way that has no marks gets the mark "".
        """
        around = self
        for key in path[:-1]:
            around = around.inner.setdefault(key, Marks())
        around.inner[path[-1]] = marks


class Source:
    """Plain data that were read from files or from an override, with the marks of all values (see `Marks`).

    values: the number of values in the files, mappings and lists included; it stays if `data` are changed.
    """

    def __init__(self, data: Any, marks: Marks, values: int) -> None:
        self.data = data
        self.marks = marks
        self.values = values

    def copy(self) -> Source:
        """Return a deep copy: changes of its data and marks do not change this object."""
        return Source(_copied(self.data), self.marks.copy(), self.values)

    def place(self, path: KeyPath) -> str:
        """Return the place of the value at `path`, as messages show it: "file.yaml:12: nodes.lpc.order".

        A value without a mark gets the mark of the innermost value around it that has a mark.
        """
        return ": ".join(filter(None, [self._mark(path), ".".join(path)]))

    def _mark(self, path: KeyPath) -> str:
        return [marks.own for marks in self.marks.along(path) if marks.own][-1]

    def origin(self, path: KeyPath) -> str:
        """Return the mark of the value at `path`, such as "file.yaml:12".

        A value without a mark gets the mark of the innermost value around it that has a mark. For a text that begins
        with a var, such as `${folder}/a.npz`, it is the mark of the value of the var. There must be a value at `path`,
        and the var must exist.
        """
        value: Any = self.data
        for place, key in enumerate(path):
            if isinstance(value, str) and (whole := _OUTER_VAR.fullmatch(value)):  # the value lies inside another var
                return self.origin(("vars", *whole[1].split("."), *path[place:]))
            value = value_at(value, (key,))
        var = _OUTER_VAR.match(value) if isinstance(value, str) else None
        return self.origin(("vars", *var[1].split("."))) if var else self._mark(path)

    def folder_of(self, path: KeyPath) -> Path:
        """Return the folder of the file in which the value at `path` is written.

        For a value from an override, it is the working directory, as Path(). For a text that begins with a var, such as
        `${folder}/a.npz`, it is the folder of the file that sets the var. There must be a value at `path`.
        """
        written = re.fullmatch(r"(.*):\d+", self.origin(path), re.DOTALL)
        return Path(written[1]).parent if written else Path()

    def remark(self, path: KeyPath, mark: str) -> None:
        """Give the mark `mark` to the value at `path` and to all values inside it."""
        self.marks.put(path, Marks(mark))

    def move_marks(self, old: KeyPath, new: KeyPath) -> None:
        """Give the value at `new` a copy of the marks of the value at `old`, and of all values inside it."""
        *_, marks = self.marks.along(old)
        self.marks.put(new, marks.copy())


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value at `path`, a path of keys from the top of the data. There must be such a value."""
    for key in path:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


# ---- files ----------------------------------------------------------------------------------------------------------


class Files:
    """The reader of all pipeline files of one pipeline. The size of these files together is limited.

    A file that is read twice counts twice.
    """

    def __init__(self) -> None:
        self.bytes = self.values = 0

    def read(self, path: Path, chain: tuple[Path, ...] = ()) -> Source:
        """Return the data of a pipeline file, merged with the data of the file that it extends, if it extends one.

        The result has no key `extends`. The caller may change it. chain: the files that were read before, as resolved
        paths: each of them extends the next, and the last one extends this file. Raises PipelineError for a file that
        cannot be read, is not YAML, is not a mapping, exceeds a limit, or extends itself, directly or through other
        files.
        """
        own = self._read_file(path)
        if not isinstance(own.data, dict):
            found = shown(own.data)
            raise PipelineError(f"{path}: a pipeline is a mapping with inputs, nodes and outputs; found {found}")
        chain = (*chain, path.resolve())
        base_name = own.data.pop("extends", None)
        if base_name is None:
            return own
        base = self.read(_extended(own, base_name, path, chain), chain)
        _lay_over(base, own, ())
        base.marks.own = own.marks.own
        base.values += own.values
        return base

    def _read_file(self, path: Path) -> Source:
        try:
            content = read_file(path, MOST_BYTES)
            text = content.decode("utf-8")
        except FileError as error:
            raise PipelineError(str(error)) from None
        except UnicodeDecodeError as error:
            raise PipelineError(
                f"{path} is not text in UTF-8: {error.reason} at byte {error.start}: save it in UTF-8"
            ) from None
        self.bytes += len(content)
        source = _parsed_file(text, str(path)).copy()
        self.values += source.values
        if self.bytes > 2 * MOST_BYTES or self.values > 3 * MOST_VALUES:
            raise PipelineError(
                f"{path}: with the files before it, more than {2 * MOST_BYTES} bytes or {3 * MOST_VALUES} values: this "
                "is not a pipeline"
            )
        return source


@lru_cache(maxsize=2 * MOST_FILES)
def _parsed_file(text: str, path: str) -> Source:
    """Return the data of a pipeline file. The caller must not change them, because they are in a cache.

    path: the path of the file, for the marks. text: the content of the file. The text is part of the key of the cache.
    The cache saves time: a comparison makes a thousand graphs of one file, and PyYAML takes a second for a large file.
    """
    return parse(text, path, lines=True)


def _extended(own: Source, name: Any, path: Path, chain: tuple[Path, ...]) -> Path:
    """Return the path of the file that a pipeline file extends.

    own, path: the data and the path of the pipeline file. name: the value of its key `extends`. chain: as in
    `Files.read`, with the pipeline file itself as the last one. Raises PipelineError if the value is not a text, if
    there is no such file, if the files extend each other in a circle, or if the chain is too long.
    """
    place = own.place(("extends",))
    try:
        if not isinstance(name, str):
            raise UnknownName(f"takes the name or path of one pipeline; found {shown(name)}")
        base = locate(name, beside=path)
    except UnknownName as error:
        raise PipelineError(f"{place}: {error}") from None
    if base.resolve() in chain:
        names = " -> ".join(one.name for one in (*chain, base))
        raise PipelineError(f"{place}: the files extend each other in a circle: {names}")
    if len(chain) == MOST_FILES:
        raise PipelineError(f"{place}: more than {MOST_FILES} files extend each other: merge some")
    return base


def _lay_over(base: Source, own: Source, at: KeyPath) -> None:
    """Merge the values of `own`, with their marks, into `base`, in the mapping at `at` and in all mappings inside it.

    base: the data of the file that is extended; they are changed. own: the data of the file that extends it. Both must
    have a mapping at the path `at`. If both have a mapping under the same key, the two are merged. But a mapping in
    `own` with the key `node` or `pipeline` describes a whole stage: below the top level it replaces the mapping in
    `base`. Any other value replaces the value in `base`, or is added. null removes the value in `base`; if there is
    none, the null is added.
    """
    under, over = value_at(base.data, at), value_at(own.data, at)
    *_, marks = own.marks.along(at)
    for key, value in over.items():
        both_mappings = isinstance(value, dict) and isinstance(under.get(key), dict)
        if both_mappings and not (at and ("node" in value or "pipeline" in value)):
            _lay_over(base, own, (*at, key))
        elif value is None and key in under:
            del under[key]
            base.marks.put((*at, key), Marks())
        else:
            under[key] = value
            base.marks.put((*at, key), marks.inner[key])


# ---- YAML -----------------------------------------------------------------------------------------------------------


def _integer(text: str) -> int:
    sign, digits = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
    return int(sign + (digits if base == 10 else digits[2:]), base)


_KINDS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "null": (r"~|null|Null|NULL|", "~nN", lambda text: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text[0] in "tT"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _integer),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
        lambda text: float(re.sub(r"\.(?=[a-zA-Z])", "", text)),
    ),
}
"""The plain values that are not texts: last part of the tag -> (pattern, first characters, reader).

pattern: a regular expression that matches the text of such a value. first characters: all characters with which the
text can begin. reader: the function that turns the text into the value.

The values are those of the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema). PyYAML alone follows
YAML 1.1, where 0100 is 64, 1:30 is 90 and `on` is true.
"""

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads the plain values of YAML 1.2, and limits the number and the nesting of the values.

    refuse: a function that raises PipelineError for a mark of PyYAML (the place in the text) and a message.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def __init__(self, text: str, refuse: Callable[[yaml.Mark, str], NoReturn]) -> None:
        super().__init__(text)
        self.refuse = refuse
        self.composed = self.level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next YAML node, as the base class does. Raises PipelineError for too many nodes or levels.

        PyYAML calls this method. parent, index: the node that contains the returned node, and its key or number there.
        """
        self.composed += 1
        self.level += 1
        if self.composed > 2 * MOST_VALUES or self.level > MOST_LEVELS + 1:  # a mapping has a node for each key too
            self.refuse(self.peek_event().start_mark, _TOO_MUCH)  # type: ignore[no-untyped-call]  # not in the stubs
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


for _name, (_pattern, _letters, _) in _KINDS.items():
    _Loader.add_implicit_resolver(
        _TAG + _name, re.compile(rf"({_pattern})\Z"), [*_letters, ""] if _name == "null" else list(_letters)
    )


def parse(text: str, where: str, lines: bool = False) -> Source:
    """Return a text in YAML as plain data with marks. The data can be any value; they are None for an empty text.

    where: the origin of the text for the marks: the path of a file, or an override. lines: whether the marks have line
    numbers. Raises PipelineError if the text is not YAML or exceeds a limit, for a tag of a value that is not plain
    data, for a merge key, for a key that is a mapping or list, and for a key that is written twice.
    """
    if len(text) > MOST_BYTES:
        raise PipelineError(f"{where}: more than {MOST_BYTES} bytes: this is not a pipeline")
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


class _Reader:
    """A reader of one text: it translates the node tree of PyYAML to plain data with a mark for every value.

    where, lines: as in `parse`.
    """

    def __init__(self, where: str, lines: bool) -> None:
        self.where, self.lines = where, lines
        self.count = 0

    def read(self, text: str) -> Source:
        root = _Loader(text, self.refuse).get_single_node()
        marks = Marks(self.where)
        data = None if root is None else self._value(root, (), marks)
        return Source(data, marks, self.count)

    def mark(self, mark: yaml.Mark) -> str:
        return f"{self.where}:{mark.line + 1}" if self.lines else self.where

    def refuse(self, mark: yaml.Mark, message: str) -> NoReturn:
        raise PipelineError(f"{self.mark(mark)}: {message}")

    def _value(self, node: yaml.Node, at: KeyPath, marks: Marks) -> Any:
        """Return the value of a YAML node; put the marks of the values inside it into `marks`.

        at: the path of the value. marks: the marks of the value. Raises PipelineError for a value that is not allowed.
        """
        self.count += 1
        if self.count > MOST_VALUES or len(at) > MOST_LEVELS:
            self.refuse(node.start_mark, _TOO_MUCH)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, at, marks)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return self._list(node, at, marks)
        return self._plain_value(node, at)

    def _list(self, node: yaml.SequenceNode, at: KeyPath, marks: Marks) -> list[Any]:
        values = []
        for k, item in enumerate(node.value):
            inner = marks.inner[str(k)] = Marks(self.mark(item.start_mark))
            values.append(self._value(item, (*at, str(k)), inner))
        return values

    def _mapping(self, node: yaml.MappingNode, at: KeyPath, marks: Marks) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, mapping, at)
            inner = marks.inner[key] = Marks(self.mark(key_node.start_mark))
            mapping[key] = self._value(value_node, (*at, key), inner)
        return mapping

    def _key(self, node: yaml.Node, mapping: Mapping[str, Any], at: KeyPath) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(node.start_mark, f"{'.'.join(at)} has a list or mapping as a key: a key is a name")
        key = str(node.value)
        path = ".".join((*at, key))
        if key in mapping:
            self.refuse(node.start_mark, f"{path} is written twice: keep one")
        if key == "<<":
            self.refuse(node.start_mark, f"{path}: keys are not merged here: write them out, or use vars or extends")
        return key

    def _plain_value(self, node: yaml.Node, at: KeyPath) -> Any:
        path, kind = ".".join(at) or "the value", node.tag.removeprefix(_TAG)
        if not isinstance(node, yaml.ScalarNode) or kind not in (*_KINDS, "str"):
            self.refuse(node.start_mark, f"{path} has the tag {node.tag}: a pipeline holds plain values only")
        text = str(node.value)
        if kind == "str":
            return text
        pattern, _, value_of = _KINDS[kind]
        if not re.fullmatch(pattern, text):
            self.refuse(node.start_mark, f"{path}: {shown(text)} is no {kind}: quote it if it is a text")
        if kind == "int" and len(text) > MOST_BITS:  # Python does not read thousands of decimal digits
            self._refuse_integer(node, path)
        value = value_of(text)
        if kind == "int" and value.bit_length() > MOST_BITS:
            self._refuse_integer(node, path)
        return value

    def _refuse_integer(self, node: yaml.Node, path: str) -> NoReturn:
        self.refuse(node.start_mark, f"{path} has more than {MOST_BITS} bits: quote it if it is a text")
