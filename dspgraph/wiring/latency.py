"""The latency of a graph: the delay from its inputs to its outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from dspgraph.wiring.binding import Times
from dspgraph.wiring.wiring import Wiring


@dataclass(frozen=True)
class Latency:
    """The delay of a graph.

    seconds: the longest time from the end of an output item's span until the item comes out; infinity if a node needs
    the whole signal or changes the tempo. path: the names of the nodes that cause this delay, from the input to the
    output. Nodes that add nothing to it are left out, such as those with a finite delay after one with an infinite one.
    """

    seconds: Fraction | float
    path: tuple[str, ...]


def latency(graph: Wiring) -> Latency:
    """Return the latency of the slowest output, and the nodes that cause it.

    The input is assumed to come in real time, item by item, and computing is assumed to take no time. A node delays its
    output by its lookahead, and by the time until the period of input that it needs is complete.
    """
    # Go from the outputs to the inputs: find for each stream the end times of the items for which later nodes wait.
    origins = [f"{name}.{port.name}" for name in graph.order for port in graph.nodes[name].outputs]
    times: dict[str, set[Times]] = {origin: set() for origin in (*graph.inputs, *origins)}
    for name, stream in graph.outputs.items():
        times[graph.origins[name]].add((1 / stream.rate, Fraction(0)))
    for name in reversed(graph.order):
        for port in graph.nodes[name].outputs:
            for asked in times[f"{name}.{port.name}"]:
                _, needed = graph.bindings[name].wait(*asked)
                for _, origin in graph.sources(name):
                    times[origin].add(needed)
    # Go from the inputs to the outputs: find how late these items come.
    late = {(name, asked): Latency(Fraction(0), ()) for name in graph.inputs for asked in times[name]}
    for name in graph.order:
        for port in graph.nodes[name].outputs:
            for asked in times[f"{name}.{port.name}"]:
                own, needed = graph.bindings[name].wait(*asked)
                worst = max((late[origin, needed] for _, origin in graph.sources(name)), key=lambda one: one.seconds)
                adds = own and (own == math.inf or worst.seconds != math.inf)
                path = (*worst.path, name) if adds else worst.path
                late[f"{name}.{port.name}", asked] = Latency(own + worst.seconds, path)
    ends = [late[graph.origins[name], (1 / stream.rate, Fraction(0))] for name, stream in graph.outputs.items()]
    return max(ends, key=lambda latency: latency.seconds)
