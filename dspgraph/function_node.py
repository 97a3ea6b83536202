"""Nodes made from plain functions that keep nothing from one block to the next."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any, get_type_hints

import numpy as np

from dspgraph.errors import NodeError
from dspgraph.node import Input, Node, Output, State, first_stream
from dspgraph.shown import shown
from dspgraph.streams import Array, Stream


def as_node(function: Callable[..., Any]) -> type[Node]:
    """Make a node class from a function and return it. Use it as a decorator:

        @as_node
        def clip(x: Audio, peak: float = 0.5) -> Audio:
            '''Limit samples to -peak .. peak.'''
            return np.clip(x, -peak, peak)

    Arguments that are annotated with a class of streams (Audio, Frames, Symbols) or with `Input(...)` are the inputs;
    all other arguments are the parameters. The function is called with one array for each input, a block of the signal.
    Its result is the block of the output `y`, which has the stream of the first input: it must have the shape of the
    first array, and is cast to its dtype, but never from float to integer; otherwise the node raises NodeError when it
    runs. An item of the result must depend only on the same item of the inputs; `dspgraph.testing.check_node` finds
    functions that look at other items. Write a class (`dspgraph.Node`) for a node that has memory, needs later items,
    or gives another stream.

    Raises NodeError for a function without an input or whose first input takes several streams, for an argument without
    annotation or with a name that every node has, such as `y`, and for `*args`, `**kwargs` and positional-only
    arguments.
    """
    hints = get_type_hints(function)
    ports: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    name = function.__name__
    for argument in inspect.signature(function).parameters.values():
        if argument.name not in hints or argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise NodeError(
                f"{name}: the argument '{argument}' has no annotation: write {argument.name}: Audio for an input, or a "
                f"type such as {argument.name}: float for a parameter"
            )
        if argument.name == "y" or hasattr(Node, argument.name):
            raise NodeError(f"{name}: an argument cannot be called '{argument.name}', a name of every node: rename it")
        hint = hints[argument.name]
        if isinstance(hint, Input) or (isinstance(hint, type) and issubclass(hint, Stream)):
            ports[argument.name] = hint if isinstance(hint, Input) else Input(hint)
        else:
            fields[argument.name] = hint
            if argument.default is not argument.empty:
                ports[argument.name] = argument.default
    inputs = [port for port in ports.values() if isinstance(port, Input)]
    if not inputs:
        raise NodeError(f"{name}: a node has at least one input: annotate an argument with Audio, Frames or Symbols")

    if inputs[0].many:
        raise NodeError(
            f"{name}: the first input takes several streams, and the result cannot be that of one of them: give it one "
            "stream, or write a class"
        )

    def start(self: Node, *streams: Any) -> State:
        return first_stream(streams)

    def step(self: Node, state: State, *blocks: Array) -> tuple[State, Array]:
        given = dict(zip((port.name for port in self.inputs), blocks, strict=True))
        found = np.asarray(function(**given, **{field: getattr(self, field) for field in fields}))
        if found.shape != blocks[0].shape:
            raise NodeError(
                f"{name} returned an array of the shape {shown(list(found.shape))} for a block of the shape "
                f"{shown(list(blocks[0].shape))}: an output has an item for every item of the first input"
            )
        if not np.can_cast(found.dtype, state.dtype, "same_kind"):
            raise NodeError(f"{name} returned {found.dtype} for a stream of {state.dtype}: convert it in the function")
        return state, found.astype(state.dtype, copy=False)

    body = {
        **ports,
        "y": Output(inputs[0].stream, *inputs[0].kinds),
        "start": start,
        "step": step,
        "__annotations__": fields,
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
    }
    made: type[Node] = types.new_class(name, (Node,), {}, lambda namespace: namespace.update(body))
    return made
