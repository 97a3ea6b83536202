"""Pipeline files: what they may say, and how they are read.

YAML is read by its safe loader, keeping the line of every value. A file may extend another, which is laid under it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from dspgraph import registry
from dspgraph.errors import ParameterError, PipelineError, UnknownName, suggest
from dspgraph.streams import Audio, Frames, Stream, Symbols, to_fraction

# ---- what a file may say --------------------------------------------------------------------------------------------


NAME = "[A-Za-z_][A-Za-z0-9_]*"
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,2})?(/\d{1,20})?", re.ASCII)


def _number(value: Any) -> Fraction:
    """A number as people write it, of a size that can be reckoned with exactly."""
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool) and _NUMBER.fullmatch(str(value)):
            return to_fraction(value)
    except ParameterError:
        pass
    raise ValueError(f"{value!r} is not a number such as 16000, 0.01 or '44100/160'")


Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Exact = Annotated[Fraction, BeforeValidator(_number), WithJsonSchema({"type": ["number", "string"]})]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioInput(_Strict):
    """Samples; the runner resamples and mixes a file down to this, and says so."""

    audio: Exact = Field(description="samples per second")
    channels: int = Field(1, ge=1, description="channels")

    def stream(self) -> Stream:
        """The stream it declares, in float64."""
        return Audio(self.audio, self.channels)


class FramesInput(_Strict):
    """Rows of numbers."""

    frames: str = Field(description="kind of row: wave, spectrum, f0 ...")
    rate: Exact = Field(description="rows per second")
    width: int = Field(ge=1, description="numbers per row")
    centre: Exact = Field(Fraction(0), description="where in its span a row's window is centred, seconds")

    def stream(self) -> Stream:
        """The stream it declares, in float64."""
        return Frames(self.rate, self.frames, self.width, self.centre)


class SymbolsInput(_Strict):
    """Integers below a size."""

    symbols: str = Field(description="kind of symbol: mulaw, coarse, phones ...")
    rate: Exact = Field(description="symbols per second")
    size: int = Field(ge=1, description="number of different symbols")

    def stream(self) -> Stream:
        """The stream it declares, in float64."""
        return Symbols(self.rate, self.symbols, self.size)


class NodeEntry(BaseModel):
    """A node: its type, its parameters, and for each of its ports the origin of the wire."""

    model_config = ConfigDict(extra="allow", frozen=True)
    node: str = Field(description="name of a node")


class PipelineEntry(BaseModel):
    """A pipeline that stands as a node: its name or path, its vars, and the origin for each of its inputs.

    Precision and seed belong to the whole: those of the file that is run count for every pipeline in it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    pipeline: str = Field(description="name or path of a pipeline")


def _which(tags: Sequence[str]) -> Discriminator:
    def which(value: Any) -> str | None:
        return next((tag for tag in tags if isinstance(value, Mapping) and tag in value), None)

    return Discriminator(
        which,
        custom_error_type="entry",
        custom_error_message=f"must be a mapping with one of the keys {', '.join(map(repr, tags))}",
    )


InputEntry = Annotated[
    Annotated[AudioInput, Tag("audio")]
    | Annotated[FramesInput, Tag("frames")]
    | Annotated[SymbolsInput, Tag("symbols")],
    _which(["audio", "frames", "symbols"]),
]
Entry = Annotated[
    Annotated[NodeEntry, Tag("node")] | Annotated[PipelineEntry, Tag("pipeline")], _which(["node", "pipeline"])
]


class Document(_Strict):
    """A pipeline file."""

    about: str = Field("", description="one line on what it does")
    extends: str | None = Field(None, description="name or path of the pipeline this one changes")
    precision: Literal["float64", "float32"] = Field(
        "float64", description="dtype of the streams that go in; does not count in a pipeline that stands as a node"
    )
    seed: int = Field(0, ge=0, description="keys the noise of every node that draws numbers; one for the whole")
    vars: dict[str, Any] = Field({}, description="values to be used as ${name} below")
    inputs: dict[Name, InputEntry] = Field(min_length=1, description="what goes in")
    nodes: dict[Name, Entry] = Field(min_length=1, description="the stages")
    outputs: dict[Name, str] = Field(min_length=1, description="what comes out: name and origin")
    variants: dict[Name, dict[str, Entry]] = Field({}, description="for a stage, by name, what may stand in its place")


_KEYS = {
    key: field
    for model in (FramesInput, SymbolsInput, AudioInput, Document)
    for key, field in model.model_fields.items()
}


def meaning(key: str) -> str:
    """What a key of a pipeline file stands for."""
    return _KEYS[key].description or "" if key in _KEYS else ""


def keys(depth: int) -> list[str]:
    """The keys that can stand at the top of a file (depth 1), or in the entry of an input."""
    inputs = (AudioInput, FramesInput, SymbolsInput)
    return list(Document.model_fields) if depth == 1 else [key for model in inputs for key in model.model_fields]


# ---- reading --------------------------------------------------------------------------------------------------------

Trail: TypeAlias = tuple[str, ...]
SETTINGS = ("precision", "seed")


class _Loader(yaml.SafeLoader):
    """YAML's safe loader; 1e-3 is a number here, as people mean it, and a date is a text."""


_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)
_TOO_MUCH = "more than 10000 values, or 20 levels: that is no pipeline"


@dataclass
class Source:
    """Plain data, and for every path in it the file and line it was written on."""

    data: Any
    marks: dict[Trail, str]

    def place(self, path: Trail) -> str:
        """'file.yaml:12: nodes.lpc.order', of the nearest enclosing thing that was written down."""
        return ": ".join(filter(None, [self._mark(path), ".".join(path)]))

    def _mark(self, path: Trail) -> str:
        found = (self.marks[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.marks)
        return next(found, "")

    def origin(self, path: Trail) -> str:
        """The mark of what a value begins with: its own, or that of the var with which a text begins."""
        value = at_trail(self.data, path)
        var = re.match(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
        return self.origin(("vars", *var[1].split("."))) if var else self._mark(path)

    def beside(self, path: Trail) -> Path:
        """The folder of the file where a value has its origin; the working directory, for one of the command line."""
        written = re.fullmatch(r"(.*):\d+", self.origin(path), re.DOTALL)
        return Path(written[1]).parent if written else Path()

    def note(self, path: Trail, mark: str) -> None:
        """Let what is at a path, and all in it, have been written there."""
        self.marks = {one: old for one, old in self.marks.items() if one[: len(path)] != path} | {path: mark}

    def move(self, old: Trail, new: Trail) -> None:
        """Let what is at `new` have been written where `old` was."""
        self.marks = {path: mark for path, mark in self.marks.items() if path[: len(new)] != new}
        self.marks |= {new + path[len(old) :]: mark for path, mark in self.marks.items() if path[: len(old)] == old}


def folder() -> Path:
    """Where the shipped pipelines are: inside the installed package, or beside it in a checkout."""
    core = Path(__file__).parent.parent
    packaged = core / "pipelines"
    return packaged if packaged.is_dir() else core.parent / "pipelines"


def shipped() -> list[str]:
    """The names of the pipelines that come with dspgraph."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def locate(name: str | Path, beside: Path | None = None) -> Path:
    """The file of a pipeline: a shipped name, or a path (seen from the file that names it)."""
    text = str(name)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        path = (beside.parent / text) if beside else Path(text)
        if registry.is_file(path):
            return path
        raise UnknownName(f"there is no pipeline file {path}")
    if text in shipped():
        return folder() / f"{text}.yaml"
    raise UnknownName(f"no pipeline is called '{text}'; {suggest(text, shipped())} (a file of your own ends in .yaml)")


def read(path: Path, chain: tuple[Path, ...] = ()) -> Source:
    """A file with what it extends laid under it."""
    own = _parse(path)
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


def _parse(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path), lines=True)


def parse(text: str, where: str, lines: bool = False) -> Source:
    """YAML as plain data: a file, whose lines are named in errors, or a value written on the command line."""
    source = Source(None, {(): where})
    count = 0

    def line(mark: yaml.Mark) -> str:
        return f"{where}:{mark.line + 1}" if lines else where

    def build(node: yaml.Node, at: Trail) -> Any:
        nonlocal count
        count += 1
        place = line(node.start_mark)
        path = ".".join(at) or "the value"
        source.marks.setdefault(at, place)
        if count > 10_000 or len(at) > 20:
            raise PipelineError(f"{place}: {_TOO_MUCH}")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            mapping: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = read_key(key_node, mapping, at)
                source.marks[(*at, key)] = line(key_node.start_mark)
                mapping[key] = build(value_node, (*at, key))
            return mapping
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [build(item, (*at, str(k))) for k, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN:
            raise PipelineError(f"{place}: {path} has the tag {node.tag}: a pipeline holds plain values only")
        try:
            return loader.construct_object(node)
        except (ValueError, KeyError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            raise PipelineError(f"{place}: {path}: {node.value!r} is no {kind}: quote it if it is a text") from None

    def read_key(node: yaml.Node, mapping: Mapping[str, Any], at: Trail) -> str:
        place = line(node.start_mark)
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

    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        source.data = None if root is None else build(root, ())
    except yaml.MarkedYAMLError as error:
        place = line(error.problem_mark) if error.problem_mark else where
        hint = error.context or "check the indentation"
        raise PipelineError(f"{place}: not YAML: {error.problem}; {hint}") from None
    except yaml.reader.ReaderError as error:
        place = f"{where}:{text.count(chr(10), 0, error.position) + 1}" if lines else where
        raise PipelineError(f"{place}: not YAML: {error.reason}; found {error.character:#x}: remove it") from None
    except (ValueError, OverflowError) as error:  # an escape in a text for a character there is not
        raise PipelineError(f"{where}: not YAML: {error}") from None
    except RecursionError:
        raise PipelineError(f"{where}: {_TOO_MUCH}") from None
    return source


def _lay_over(base: Source, own: Source, at: Trail) -> None:
    """Lay one file over another: mappings merge, a node of another type replaces, null removes."""
    under, over = at_trail(base.data, at), at_trail(own.data, at)
    for key, value in over.items():
        path = (*at, key)
        old = under.get(key)
        mergeable = isinstance(value, dict) and isinstance(old, dict)
        if mergeable and len(path) > 1 and ("node" in value or "pipeline" in value):
            mergeable = False
        if mergeable:
            _lay_over(base, own, path)
            base.marks.setdefault(path, own.marks[path])
            continue
        base.marks = {one: mark for one, mark in base.marks.items() if one[: len(path)] != path}
        if value is None and key in under:
            del under[key]
        else:
            under[key] = value
            base.marks |= {one: mark for one, mark in own.marks.items() if one[: len(path)] == path}


def at_trail(data: Any, path: Trail) -> Any:
    """What stands at the end of a trail of keys."""
    for key in path:
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data
