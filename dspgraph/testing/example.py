"""Examples: a node with a signal, on which the laws are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

import numpy as np

from dspgraph.errors import SignalError
from dspgraph.graph import Graph
from dspgraph.node import Node, generator
from dspgraph.streams import Array, Audio, Stream, Symbols, to_fraction
from dspgraph.testing.runs import Outputs, beginning, seeded_run

ExampleSignal: TypeAlias = tuple[Stream, Any]

SHORTEST = 64
"""The least number of items in an example, counted at the input with the highest rate."""


class Example:
    """A node with a signal for each of its inputs, declared in the node's own test file.

    Example(Lpc(order=16), frames=(Frames(100, "wave", 320), array)) gives the port `frames` a stream and an array. A
    port with `many=True` gets a list of such pairs.
    """

    waits_on_purpose = False
    """True for a node that may declare a longer lookahead than its items need, which law 3 otherwise forbids."""

    def __init__(self, node: Node, **signals: ExampleSignal | list[ExampleSignal]) -> None:
        self.node = node
        self.wires: dict[str, list[str]] = {}
        self.signals: dict[str, ExampleSignal] = {}
        self._whole: dict[np.dtype[Any], Outputs] = {}
        for port, given in signals.items():
            several = given if isinstance(given, list) else [given]
            names = [f"{port}_{k}" for k in range(len(several))] if isinstance(given, list) else [port]
            self.wires[f"node.{port}"] = names
            self.signals.update(zip(names, several, strict=True))

    @classmethod
    def waiting_on_purpose(cls, node: Node, **signals: ExampleSignal | list[ExampleSignal]) -> Self:
        """Return an example of a node that, on purpose, declares a longer lookahead than its items need."""
        example = cls(node, **signals)
        example.waits_on_purpose = True
        return example

    def graph(self, precision: Any = np.float64, seed: int = 0) -> Graph:
        """Return a graph with only this node, called "node"; the graph's inputs and outputs are the node's ports.

        For a port `x` with `many=True`, the inputs are called x_0, x_1 ... precision: the dtype of the streams, float32
        or float64. seed: the seed of the graph.
        """
        inputs = {name: stream.at_precision(precision) for name, (stream, _) in self.signals.items()}
        outputs = {port.name: f"node.{port.name}" for port in self.node.outputs}
        return Graph({"node": self.node}, self.wires, inputs, outputs, seed)

    @property
    def arrays(self) -> dict[str, Array]:
        """Name of an input -> array, for all signals of the example."""
        return {name: np.asarray(array) for name, (_, array) in self.signals.items()}

    def render(self, precision: Any = np.float64) -> Outputs:
        """Return the outputs of the node for this example, computed anew: name of a port -> array."""
        return self.graph(precision)(**self.arrays)

    def whole(self, precision: Any = np.float64) -> Outputs:
        """Return the outputs for the signal in one block, for comparison: name of a port -> array; do not change them.

        They are computed once per precision, with the global random generators seeded by 1.
        """
        dtype = np.dtype(precision)
        if dtype not in self._whole:
            self._whole[dtype] = seeded_run(self.graph(dtype), self.arrays, seed=1)
        return self._whole[dtype]

    def __repr__(self) -> str:
        return f"{self.node.type_name}({self.node})"


def check_signal(graph: Graph, arrays: Mapping[str, Any]) -> None:
    """Raise SignalError if the signal could hide a fault, because it is too short or does not vary.

    Too short: the input with the highest rate has fewer than `SHORTEST` items. Not varying: in every input all items
    are equal.
    """
    fastest = max(graph.inputs, key=lambda name: graph.inputs[name].rate)
    n = len(arrays[fastest])
    if n < SHORTEST or not any(len(np.unique(arrays[name], axis=0)) > 1 for name in graph.inputs):
        raise SignalError(f"an example has {SHORTEST} items or more, and they differ; '{fastest}' has {n}: give more")


def example_signals(graph: Graph, audio: Callable[[Audio], Array], seconds: float) -> dict[str, Array]:
    """Return name of an input -> array of about `seconds` seconds, for every input of a graph.

    audio: a function that returns the samples for an audio stream; they may be longer or shorter than `seconds`. Frames
    are random numbers from 0 to 1. Symbols are random too. Both are the same in every call. All arrays are cut to the
    duration of the shortest array.
    """
    draw = generator(0)
    signals = {}
    for name, stream in graph.inputs.items():
        n = stream.count(to_fraction(seconds))
        if isinstance(stream, Audio):
            signals[name] = audio(stream)[:n]
        elif isinstance(stream, Symbols):
            signals[name] = draw.integers(0, stream.size, n)
        else:
            signals[name] = draw.random((n, *stream.item_shape)).astype(stream.dtype)
    end = min(graph.inputs[name].seconds(len(array)) for name, array in signals.items())
    return beginning(graph, signals, end)
