"""A node: an immutable description of one stage. Everything that changes while it runs is in the state.

See `dspgraph.testing.check_node` for the laws of a node, and CONTRIBUTING for how to write one.
"""

from __future__ import annotations

import re
import sys
import traceback
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dspgraph.errors import ParameterError
from dspgraph.parameters import File, parameter_sentence
from dspgraph.streams import Array, Audio, Stream

__all__ = ["Field", "File", "Input", "Node", "Output", "State", "generator", "require_mono"]

State: TypeAlias = Any
"""All that a node carries from block to block. It can be copied and pickled; only the node itself looks inside."""


class Port:
    """One end of a node: the class of stream, and the kinds of rows or symbols, that fit it."""

    name: str

    def __init__(self, stream: type[Stream], *kinds: str) -> None:
        self.stream = stream
        self.kinds = kinds

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def fits(self, stream: Stream) -> bool:
        """Return whether a stream is of the port's class and kinds."""
        return isinstance(stream, self.stream) and (not self.kinds or getattr(stream, "kind", None) in self.kinds)

    def __str__(self) -> str:
        kinds = f"({' or '.join(map(repr, self.kinds))})" if self.kinds else ""
        return f"{self.stream.__name__}{kinds}"


class Input(Port):
    """An input of a node: `Input(Audio)`, `Input(Frames, "wave")`; with `many=True` it takes any number of wires."""

    def __init__(self, stream: type[Stream], *kinds: str, many: bool = False) -> None:
        super().__init__(stream, *kinds)
        self.many = many


class Output(Port):
    """An output of a node: `Output(Audio)`, `Output(Frames, "lpc")`."""


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
            known = {*type(self).model_fields, *(port.name for port in self.inputs)}
            sentences = [parameter_sentence(detail, type(self), self.type_name, known) for detail in error.errors()]
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
        """Return the streams that come out when these go in.

        Checks that need a rate or a width belong here and raise ParameterError.
        """
        return (first_stream(inputs),) * len(self.outputs)

    def lookahead(self, *inputs: Any) -> Fraction | float:
        """Return the seconds of input that an item needs beyond its own span; `math.inf`: all, in one step.

        Not less than needed, for items would be late; not more, for what waits for them would wait too long.
        """
        return 0

    def block_size(self, *inputs: Any) -> int | None:
        """Return n if step takes exactly n items of the first input at a time, the last time maybe fewer."""
        return None

    def frequencies(self, *inputs: Any) -> Array | None:
        """Return the centre frequency in Hz of each column of the first output, None if columns are not frequencies.

        Pictures label their frequency axis with it.
        """
        return None

    def start(self, *inputs: Any) -> State:
        """Return the state before the first item."""
        return None

    def step(self, state: State, *blocks: Any) -> tuple[Any, ...]:
        """Take a non-empty block per input, all of one time span; return `(state, *blocks out)`.

        The engine does not use the old state again: a node may change and return it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def flush(self, state: State) -> tuple[Array, ...]:
        """Return the items still held when the input has ended; an empty tuple if there are none."""
        return ()

    def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
        """Do `step` for several independent signals at once: lists in, `(states, *lists of blocks)` out."""
        results = [self.step(state, *blocks) for state, *blocks in zip(states, *lists, strict=True)]
        return tuple(list(column) for column in zip(*results, strict=True))


def first_stream(inputs: tuple[Any, ...]) -> Stream:
    """Return the stream of the first wire into a node."""
    first = inputs[0]
    stream = first[0] if isinstance(first, tuple) else first
    assert isinstance(stream, Stream)
    return stream


def failure_sentence(node: Node, error: BaseException) -> str:
    """Return an error of a node's own code in words, with the last line of the node's file that it came through."""
    file = getattr(sys.modules.get(type(node).__module__), "__file__", None)
    places = [
        f" ({file}, line {line})"
        for called, line in traceback.walk_tb(error.__traceback__)
        if called.f_code.co_filename == file
    ]
    return f"{type(error).__name__}: {error}{places[-1] if places else ''}"


def require_mono(stream: Audio, node: Node) -> None:
    """Raise ParameterError if audio has more than one channel. For `streams` of nodes that take one."""
    if stream.channels > 1:
        raise ParameterError(f"{node.type_name} takes one channel; found {stream}: put a mono 'mix' before it")


def generator(seed: int) -> np.random.Generator:
    """Return a random generator for a node's state: the same numbers for the same seed on every machine.

    Philox takes keys of 128 bits. The engine makes one of graph seed, node name and the node's own `seed` (law 5).
    """
    return np.random.Generator(np.random.Philox(key=seed))
