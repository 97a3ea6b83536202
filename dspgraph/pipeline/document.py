"""The content of a pipeline file as pydantic classes: its sections, its keys, and the types of the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from dspgraph.errors import ParameterError
from dspgraph.streams import Audio, Frames, Stream, Symbols, to_fraction

NAME = "[A-Za-z_][A-Za-z0-9_]*"


def _number(value: Any) -> Fraction:
    """Return the fraction that a number or a text stands for as it is written: 1/100 for 0.01, 1/3 for "1/3".

    See `to_fraction`. Raises ValueError for anything else, also for a boolean, NaN and infinity.
    """
    try:
        return to_fraction(value)
    except ParameterError as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Exact = Annotated[Fraction, BeforeValidator(_number), WithJsonSchema({"type": ["number", "string"]})]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioInput(_Strict):
    """Audio. A file with another rate or number of channels is converted; the sidecar of the result says how.

    In a pipeline file, rate and channels may have the value `file`: they are then those of the file that is rendered.
    The value `file` is replaced by a number before this class gets it (see `file_values`).
    """

    audio: Exact = Field(description="samples per second, or 'file': those of the file")
    channels: StrictInt = Field(1, ge=1, description="number of channels, or 'file': that of the file")

    def stream(self) -> Stream:
        """Return the declared stream, with the dtype float64."""
        return Audio(self.audio, self.channels)


class FramesInput(_Strict):
    """Frames: rows of numbers."""

    frames: str = Field(description="kind of row: wave, spectrum, f0 ...")
    rate: Exact = Field(description="rows per second")
    width: StrictInt = Field(ge=1, description="numbers per row")
    centre: Exact = Field(Fraction(0), description="centre of a row's window, in seconds after the row's start")

    def stream(self) -> Stream:
        """Return the declared stream, with the dtype float64."""
        return Frames(self.rate, self.frames, self.width, self.centre)


class SymbolsInput(_Strict):
    """Symbols: integers from 0 to size - 1."""

    symbols: str = Field(description="kind of symbol: mulaw, coarse, phones ...")
    rate: Exact = Field(description="symbols per second")
    size: StrictInt = Field(ge=1, description="number of different symbols")

    def stream(self) -> Stream:
        """Return the declared stream, with the precision float64 (see `Symbols`)."""
        return Symbols(self.rate, self.symbols, self.size)


class ControlInput(_Strict):
    """A control: one number per item, which events move while the graph runs (`render --events`)."""

    control: float = Field(description="value before the first event", allow_inf_nan=False)
    rate: Exact = Field(Fraction(100), description="items per second")

    def stream(self) -> Stream:
        """Return the declared stream, with the dtype float64."""
        return Frames(self.rate, "control", 1)


class PortInput(_Strict):
    """An input with the stream of a port. The parameters of the port's node, such as its weights, decide the stream."""

    port: str = Field(description="node and port, such as note.latent; or the input of a pipeline used as a node")


class NodeEntry(BaseModel):
    """A node: its type, its parameters, and for each input port the node or input that the port takes from."""

    model_config = ConfigDict(extra="allow", frozen=True)
    node: str = Field(description="type of the node")


class PipelineEntry(BaseModel):
    """A pipeline used as a node: its name or path, its vars, and for each of its inputs the node or input to take from.

    Precision and seed are those of the pipeline in which it is used.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    pipeline: str = Field(description="name or path of a pipeline")


def _by_key(tags: Sequence[str], examples: str = "") -> Discriminator:
    """Return the rule by which pydantic chooses the class of an entry: by the first tag that is a key of the entry.

    tags: the keys that tell the classes apart, one for each class. Example: with the tags "audio", "frames" and
    "symbols", an entry that has the key `frames` is a FramesInput. examples: text with examples of entries, added to
    the message about an entry that has none of the tags.
    """

    def tag_of(value: Any) -> str | None:
        return next((tag for tag in tags if isinstance(value, Mapping) and tag in value), None)

    return Discriminator(
        tag_of,
        custom_error_type="entry",
        custom_error_message=f"must be a mapping with one of the keys {', '.join(map(repr, tags))}{examples}",
    )


InputEntry = Annotated[
    Annotated[AudioInput, Tag("audio")]
    | Annotated[FramesInput, Tag("frames")]
    | Annotated[SymbolsInput, Tag("symbols")]
    | Annotated[ControlInput, Tag("control")]
    | Annotated[PortInput, Tag("port")],
    _by_key(
        ["audio", "frames", "symbols", "control", "port"],
        ", such as {audio: 16000}, {frames: spectrum, rate: 100, width: 513} or {symbols: phones, rate: 100, size: 40}",
    ),
]
Entry = Annotated[
    Annotated[NodeEntry, Tag("node")] | Annotated[PipelineEntry, Tag("pipeline")], _by_key(["node", "pipeline"])
]


class Document(_Strict):
    """The content of a pipeline file, with one field for each of its keys."""

    about: str = Field("", description="what the pipeline does, in one line")
    extends: str | None = Field(None, description="name or path of the pipeline that this one changes")
    precision: Literal["float64", "float32"] = Field(
        "float64", description="dtype of the input streams; ignored in a pipeline that is used as a node"
    )
    seed: StrictInt = Field(0, ge=0, description="seed of all random numbers in the graph")
    vars: dict[str, Any] = Field({}, description="values that can be used below as ${name}")
    inputs: dict[Name, InputEntry] = Field(min_length=1, description="the streams that go in")
    nodes: dict[Name, Entry] = Field(min_length=1, description="the nodes of the graph")
    outputs: dict[Name, str] = Field(
        min_length=1, description="the streams that come out: for each name the node or port that gives it"
    )
    variants: dict[Name, dict[str, Entry]] = Field(
        {}, description="for each slot the variants that can fill it: a name and an entry like those of `nodes`"
    )


_INPUTS: dict[str, type[BaseModel]] = {
    "audio": AudioInput, "frames": FramesInput, "symbols": SymbolsInput, "control": ControlInput, "port": PortInput
}  # fmt: skip


def describe_key(key: str, tag: str | None = None) -> str:
    """Return the description of a key; "" for an unknown key.

    tag: the kind of the entry of `inputs` that has the key: "audio", "frames", "symbols", "control" or "port". None for
    a key at the top of a file.
    """
    model: type[BaseModel] = _INPUTS[tag] if tag else Document
    return model.model_fields[key].description or "" if key in model.model_fields else ""


def known_keys(depth: int) -> list[str]:
    """Return the keys that a pipeline file can have, so that a message can suggest one of them.

    depth: 1 for the keys at the top of the file; any other number for the keys of entries of `inputs`.
    """
    return list(Document.model_fields) if depth == 1 else [key for one in _INPUTS.values() for key in one.model_fields]
