"""A node: an immutable description of one stage. Everything that changes while it runs is in the state.

See `dspgraph.testing.laws.check_node` for the laws a node keeps, and CONTRIBUTING for how to write one.
"""

from __future__ import annotations

import hashlib
import math
import re
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from dspgraph.errors import ParameterError, suggest
from dspgraph.streams import Array, Stream

__all__ = ["Field", "File", "Input", "Node", "Output", "State", "parameter_rule"]

State: TypeAlias = Any
"""Whatever a node carries from block to block: it can be copied and pickled, and nobody else looks inside."""


def _contents(path: str) -> str:
    try:
        found = Path(path).stat()
        if S_ISREG(found.st_mode):
            return _sha256(str(Path(path).resolve()), found.st_size, found.st_mtime_ns)
    except (OSError, ValueError):  # no name of a file; or there is none
        pass
    return path


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, time: int) -> str:
    """Of a file as it is now; its size and time tell whether it is still the same."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


_FILE = {"type": "string", "format": "file-path"}

File = Annotated[str, PlainSerializer(_contents, when_used="json"), WithJsonSchema(_FILE)]
"""A parameter that is the path of a file whose contents matter, of weights for instance: `weights: File | None`.

As JSON it is the hash of what is in the file (the path, where there is none), so that the digest of a graph depends on
the contents and not on where they lie. A relative path is seen from the pipeline file it is written in; from anywhere
else, from the working directory.
"""


class Port:
    """One end of a node: the class of stream, and the kinds of rows or symbols, that fit it."""

    name: str

    def __init__(self, stream: type[Stream], *kinds: str) -> None:
        self.stream = stream
        self.kinds = kinds

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def fits(self, stream: Stream) -> bool:
        return isinstance(stream, self.stream) and (not self.kinds or getattr(stream, "kind", None) in self.kinds)

    def __str__(self) -> str:
        kinds = f"({' or '.join(map(repr, self.kinds))})" if self.kinds else ""
        return f"{self.stream.__name__}{kinds}"


class Input(Port):
    """What a node takes: `Input(Audio)`, `Input(Frames, "wave")`, `Input(Audio, many=True)` for any number of wires."""

    def __init__(self, stream: type[Stream], *kinds: str, many: bool = False) -> None:
        super().__init__(stream, *kinds)
        self.many = many


class Output(Port):
    """What a node gives: `Output(Audio)`, `Output(Frames, "lpc")`."""


class Node(BaseModel):
    """One stage of a vocoder. Subclass it, once: nodes are composed, not inherited.

    Class attributes that are `Input` or `Output` are the ports, annotated fields are the parameters. Two nodes with
    equal parameters are equal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ignored_types=(Port, cached_property))

    type_name: ClassVar[str] = "node"
    inputs: ClassVar[tuple[Input, ...]] = ()
    outputs: ClassVar[tuple[Output, ...]] = ()

    def __init__(self, **parameters: Any) -> None:
        try:
            super().__init__(**parameters)
        except ValidationError as error:
            sentences = [parameter_sentence(type(self), detail) for detail in error.errors()]
            raise ParameterError("; ".join(sentences)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.__bases__ != (Node,):
            raise TypeError(f"{cls.__name__}: a node class is final; compose nodes in a graph instead of inheriting")
        cls.type_name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        ports = [value for value in vars(cls).values() if isinstance(value, Port)]
        cls.inputs = tuple(port for port in ports if isinstance(port, Input))
        cls.outputs = tuple(port for port in ports if isinstance(port, Output))
        if not cls.inputs or not cls.outputs:
            raise TypeError(
                f"{cls.__name__}: a node has at least one Input (its length comes from there) and one Output"
            )
        taken = {port.name for port in ports} & (set(cls.model_fields) | set(dir(Node)))
        if taken:
            raise TypeError(f"{cls.__name__}: '{taken.pop()}' cannot name a port: a parameter or method has that name")

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()  # cached properties are not part of the value
        fields = {name: value for name, value in state["__dict__"].items() if name in type(self).model_fields}
        return {**state, "__dict__": fields}

    def streams(self, *inputs: Any) -> tuple[Stream, ...]:
        """The streams that come out when these go in; checks that need a rate or a width raise ParameterError here."""
        return (first_stream(inputs),) * len(self.outputs)

    def lookahead(self, *inputs: Any) -> Fraction | float:
        """Seconds of input needed beyond an item's span before it is out; `math.inf`: all of it, in one step."""
        return 0

    def block_size(self, *inputs: Any) -> int | None:
        """`n`: step is given exactly n items of the first input at a time, from item 0; the last may be fewer."""
        return None

    def frequencies(self, *inputs: Any) -> Array | None:
        """Return the centre frequency in Hz of each column of the first output, None if columns are not frequencies.

        Pictures label their frequency axis with it.
        """
        return None

    def start(self, *inputs: Any) -> State:
        """The state before the first item."""
        return None

    def step(self, state: State, *blocks: Any) -> tuple[Any, ...]:
        """One non-empty block per input, all of one time span, to `(state, *blocks out)`. The old state is spent."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def flush(self, state: State) -> tuple[Array, ...]:
        """The items still held when the input has ended; an empty tuple when there are none."""
        return ()

    def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
        """`step` for several independent signals at once: lists in, `(states, *lists of blocks)` out."""
        results = [self.step(state, *blocks) for state, *blocks in zip(states, *lists, strict=True)]
        return tuple(list(column) for column in zip(*results, strict=True))


def first_stream(inputs: tuple[Any, ...]) -> Stream:
    first = inputs[0]
    stream = first[0] if isinstance(first, tuple) else first
    assert isinstance(stream, Stream)
    return stream


def parameter_rule(node: type[Node], name: str) -> str:
    """One parameter's rule in words, from its field alone: 'at least 1, at most 64 (default 16)'."""
    return field_rule(node.model_json_schema()["properties"].get(name, {}))


@lru_cache(maxsize=256)
def names_file(node: type[Node], name: str) -> bool:
    """Whether a parameter is a `File`, or may be one."""
    rule = node.model_json_schema()["properties"].get(name, {})
    return any(_FILE.items() <= option.items() for option in rule.get("anyOf", [rule]))


_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "pattern": "like {}",
}


def field_rule(schema: dict[str, Any]) -> str:
    """The rule of a field, in words, from its part of a JSON Schema."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    words = []
    for option in options:
        limits = [text.format(_plain(option[key])) for key, text in _BOUNDS.items() if key in option]
        choices = " or ".join(map(str, option.get("enum", [option["const"]] if "const" in option else [])))
        kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}
        text = "the path of a file" if _FILE.items() <= option.items() else "a text"
        words.append(", ".join([choices or kind.get(option.get("type", ""), text), *limits]))
    default = f" (default {_plain(schema['default'])})" if schema.get("default") is not None else ""
    return " or ".join(words) + default


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) and value == int(value) else str(value)


def parameter_sentence(node: type[Node], detail: ErrorDetails) -> str:
    """One pydantic complaint in the words of this project."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    where = f"{node.type_name}.{name}"
    if detail["type"] == "extra_forbidden":
        known = set(node.model_fields) | {port.name for port in node.inputs}
        return f"{node.type_name} has no parameter '{name}'; {suggest(name, known)}"
    if detail["type"] == "missing":
        return f"{where} is missing: it must be {parameter_rule(node, name)}"
    if detail["type"] == "value_error":
        return f"{where}: {detail['msg'].removeprefix('Value error, ')}"
    return f"{where} is {detail['input']!r}; it must be {parameter_rule(node, name)}"
