"""Nodes: a node is an immutable description of one stage of a graph. Only its state changes while it runs.

`dspgraph.testing` checks the laws of a node. CONTRIBUTING.md explains how to write a node.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dspgraph.errors import ParameterError
from dspgraph.parameters import File, no_number, parameter_sentence, sentences
from dspgraph.shown import shown
from dspgraph.streams import Array, Audio, Stream

__all__ = ["Field", "File", "Input", "Node", "Output", "State", "generator", "require_mono"]

State: TypeAlias = Any
"""All that a node remembers from one block to the next. It can be copied and pickled. Only the node interprets it."""


class Port:
    """An input or output of a node.

    stream: the class of the streams that fit. kinds: the kinds of frames or symbols that fit; if empty, all kinds fit.
    """

    name: str

    def __init__(self, stream: type[Stream], *kinds: str) -> None:
        self.stream = stream
        self.kinds = kinds

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def fits(self, stream: Stream) -> bool:
        """Return whether `stream` has the class of this port and, if the port names kinds, one of these kinds."""
        return isinstance(stream, self.stream) and (not self.kinds or getattr(stream, "kind", None) in self.kinds)

    def __str__(self) -> str:
        kinds = f"({' or '.join(map(repr, self.kinds))})" if self.kinds else ""
        return f"{self.stream.__name__}{kinds}"


class Input(Port):
    """An input of a node: `Input(Audio)`, `Input(Frames, "wave")`. With `many=True` it takes one wire or more.

    Frames at two inputs of a node must have the same rate and centre. For an input with `any_centre=True` only the rate
    must be the same: the node uses the span of each row, and it does not matter where the window was centred.
    """

    def __init__(self, stream: type[Stream], *kinds: str, many: bool = False, any_centre: bool = False) -> None:
        super().__init__(stream, *kinds)
        self.many = many
        self.any_centre = any_centre


class Output(Port):
    """An output of a node: `Output(Audio)`, `Output(Frames, "lpc")`."""


class Node(BaseModel):
    """The base class of all nodes. A node is one stage of a graph, for instance of a vocoder.

    A node class derives directly from Node; a class that derives from another node class raises TypeError. The class
    attributes of type `Input` or `Output` are the ports, at least one of each; the annotated fields are the parameters.
    No port may have the name of a parameter or method. The attribute `type_name` is the name of the class in pipelines:
    "my_filter" for `MyFilter`. Two nodes of the same class with equal parameters are equal. A node is made with its
    parameters as named arguments; ParameterError is raised for one that is unknown, missing or not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ignored_types=(Port, cached_property))

    type_name: ClassVar[str] = "node"
    inputs: ClassVar[tuple[Input, ...]] = ()
    outputs: ClassVar[tuple[Output, ...]] = ()
    seedless: ClassVar[tuple[str, ...]] = ()
    """Names of cached properties that do not depend on `seed`. A graph runs a copy of each node with another seed; the
    copy takes them over."""

    def __init__(self, **parameters: Any) -> None:
        try:
            super().__init__(**parameters)
        except ValidationError as error:
            known = {*type(self).model_fields, *(port.name for port in self.inputs)}
            told = sentences(error, lambda detail: parameter_sentence(detail, type(self), self.type_name, known))
            raise ParameterError("; ".join(told)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _check_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Return `value`. Raises an error for a boolean or text, also in a list, where only numbers are allowed.

        Pydantic calls this before it reads the value of each parameter. info: has the name of the parameter.
        """
        if no_number(cls, str(info.field_name), value):
            raise PydanticCustomError("no_number", "must be a number")
        return value

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
        state = super().__getstate__()  # cached properties are left out: they are computed again
        fields = {name: value for name, value in state["__dict__"].items() if name in type(self).model_fields}
        return {**state, "__dict__": fields}

    def streams(self, *inputs: Any) -> tuple[Stream, ...]:
        """Return the streams of the outputs, one per output port, in their order.

        inputs: the streams at the input ports, in their order; a tuple of streams at a port with `many=True`. All
        methods below with the argument `inputs` take the same. A node that works only for some rates or widths raises
        ParameterError here for all others. By default every output has the first input's stream.
        """
        return (first_stream(inputs),) * len(self.outputs)

    def takes(self) -> Mapping[str, Stream]:
        """Return name of an input port -> stream, for each port whose stream follows from the node's parameters alone.

        Example: a network takes frames of the rate and width with which its weights were trained. In a pipeline file,
        an input can name such a port (`port: network.frames`) in place of rate and width. By default the mapping is
        empty.
        """
        return {}

    def lookahead(self, *inputs: Any) -> Fraction | float:
        """Return the lookahead in seconds: how far past the end of an item's span the node needs input for this item.

        With `math.inf`, `step` is called once, with the whole signal. Declare the smallest number that is enough: if it
        is too small, items come later than promised; if it is too large, later nodes wait longer than needed (law 3).
        """
        return 0

    def stretch(self, *inputs: Any) -> Fraction:
        """Return how many seconds of output the node gives for each second of input.

        The number is exact (a fraction or a whole number), from 1 / 1000 to 1000.

        With a stretch s, item k of an output of rate r stands for the input from k / (r * s) to (k + 1) / (r * s)
        seconds. The lookahead counts seconds of input from the end of this span. All inputs of a node must have the
        same duration.
        """
        return Fraction(1)

    def extra(self, *inputs: Any) -> Fraction:
        """Return how many seconds the outputs last beyond the end of the input, such as the tail of an echo.

        The number is exact (a fraction or a whole number), from 0 to 600. `flush` returns the items of this time. An
        output then has ceil((T * stretch + extra) * rate) items in all, where T is the duration of the node's input in
        seconds: items / rate, the least of all inputs. T is longer than the signal if the last item reaches beyond its
        end.
        """
        return Fraction(0)

    def block_size(self, *inputs: Any) -> int | None:
        """Return how many items of the first input every call of `step` must get; None if any number will do.

        The last block of a signal may have fewer items. Every other input must have a whole number of items in the span
        of these. Return None if the lookahead is `math.inf`.
        """
        return None

    def frequencies(self, *inputs: Any) -> Array | None:
        """Return the centre frequency in Hz of each column of the first output; None if columns are not frequencies.

        Plots label their frequency axis with these numbers.
        """
        return None

    def advice(self, *inputs: Any) -> str | None:
        """Return a warning about a parameter that is allowed but likely to be a mistake; None if there is none.

        The warning is a sentence that begins with the parameter, such as "cheaptrick.n_fft", and names a remedy.
        Example: an FFT that is too short for a low voice.
        """
        return None

    def start(self, *inputs: Any) -> State:
        """Return the state before the first item: a new one at every call, because `step` may change it.

        inputs: as in `streams`.
        """
        return None

    def step(self, state: State, *blocks: Any) -> tuple[Any, ...]:
        """Process one block per input; return the new state and one block per output: `(state, *blocks)`.

        blocks: arrays with at least one item, in the order of the input ports, all for the same time span; at a port
        with `many=True` a tuple of arrays. The span is a whole number of periods, except in the last call: there, the
        last frame may have fewer samples beside it than every other frame. The node must not change these arrays. It
        may change `state` and return it, because the engine does not use the old state again. A node that defines
        `step_many` needs no `step`: by default `step` calls `step_many` for one signal.
        """
        if type(self).step_many is Node.step_many:
            raise NotImplementedError(f"{type(self).__name__} has no step")
        states, *lists = self.step_many([state], *([block] for block in blocks))
        return states[0], *(one[0] for one in lists)

    def flush(self, state: State) -> tuple[Array, ...]:
        """Return the items that the node still holds when the signal has ended: one block per output, or ()."""
        return ()

    def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
        """Process one block per input of several independent signals: `step` for all of them in one call.

        states: one state per signal. lists: for each input port, a list with one block per signal. The result is the
        list of new states, then for each output port a list with one block per signal. By default `step_many` calls
        `step` for each signal.
        """
        results = [self.step(state, *blocks) for state, *blocks in zip(states, *lists, strict=True)]
        return tuple(list(column) for column in zip(*results, strict=True))


def first_stream(inputs: tuple[Any, ...]) -> Stream:
    """Return the stream of the first wire into a node. inputs: the arguments of `Node.streams`."""
    first = inputs[0]
    stream = first[0] if isinstance(first, tuple) else first
    assert isinstance(stream, Stream)
    return stream


def failure_sentence(node: Node, error: BaseException) -> str:
    """Return an error in a node's own code as a sentence: class and message of the error and, if known, file and line.

    The line is the innermost one of the traceback that lies in the file of the node's module. For a MemoryError or an
    OverflowError, the sentence lists the parameters of the node instead and advises smaller values.
    """
    if isinstance(error, MemoryError | OverflowError):
        what = "there is not enough memory" if isinstance(error, MemoryError) else "a number is too large"
        found = ", ".join(f"{name}={shown(value, 20)}" for name, value in node)
        return f"{what}{f' for {found}: choose smaller values' if found else ''}"
    file = getattr(sys.modules.get(type(node).__module__), "__file__", None)
    places = [
        f" ({file}, line {line})"
        for called, line in traceback.walk_tb(error.__traceback__)
        if called.f_code.co_filename == file
    ]
    return f"{type(error).__name__}: {error}{places[-1] if places else ''}"


def require_mono(stream: Audio, node: Node) -> None:
    """Raise ParameterError if `stream` has more than one channel.

    Call this function in the method `streams` of a node for mono audio. node: this node, for the message.
    """
    if stream.channels > 1:
        raise ParameterError(f"{node.type_name} takes one channel; found {stream}: put a mono 'mix' before it")


def require_alike(streams: Mapping[str, Audio], node: Node) -> None:
    """Raise ParameterError if signals differ in rate, channels or dtype.

    streams: name of the port or wire, for the message -> stream; at least one. node: the node that takes the signals.
    """
    (first, one), *others = streams.items()
    for name, other in others:
        if other != one:
            raise ParameterError(
                f"{node.type_name} takes signals of one rate, channel count and dtype; {first} is {one} in "
                f"{one.dtype}, {name} is {other} in {other.dtype}: convert one of them before the node"
            )


def generator(seed: int) -> np.random.Generator:
    """Return a random generator for a node's state: the same seed gives the same numbers on every machine.

    seed: the node's `self.seed`. Before a graph runs, the engine replaces the seed that the user gave by a key of 128
    bits for the generator Philox. The key is computed from the seed of the graph, the name of the node (or its noise
    key) and the seed that the user gave (law 5).
    """
    return np.random.Generator(np.random.Philox(key=seed))
