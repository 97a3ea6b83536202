"""The latency of a graph: how long its outputs lag behind its inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from dspgraph.wiring.binding import Times
from dspgraph.wiring.wiring import Wiring


@dataclass(frozen=True)
class Latency:
    """The longest time from the end of an item's span until the item is out, and the nodes that cause it."""

    seconds: Fraction | float
    path: tuple[str, ...]


def latency(graph: Wiring) -> Latency:
    """Return the latency of the slowest output, and the nodes that cause it.

    It is the longest time from the end of an item's span until the item is out, if the input comes item by item. The
    lookahead of nodes counts, and their wait for whole periods.
    """
    # Backwards: at which times do the nodes and outputs after a stream wait for its items?
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
    # Forwards: how late are they?
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
