"""Several graphs merged into one: nodes that they have in common are there once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from typing import TypeVar

from dspgraph.errors import GraphError
from dspgraph.node import Node
from dspgraph.wiring.wiring import Wire, Wiring

W = TypeVar("W", bound=Wiring)


def merge(graphs: Sequence[W]) -> W:
    """Return one graph with the outputs of several, sample for sample: output `y` of the k-th graph is `vK/y`.

    Two nodes become one when they are equal, take from nodes that became one, and draw the same noise, if they draw
    any. Raises GraphError for graphs that take different streams under one name, for graphs of different seeds, and
    for no graph at all.
    """
    if not graphs:
        raise GraphError("one graph or more become one; found none")
    first = graphs[0]
    for graph in graphs:
        if (graph.inputs, graph.seed) != (first.inputs, first.seed):
            raise GraphError(
                f"graphs in one take the same streams and have one seed; found {dict(first.inputs)}, seed "
                f"{first.seed}, and {dict(graph.inputs)}, seed {graph.seed}"
            )
    nodes: dict[str, Node] = {}
    wires: dict[str, Wire] = {}
    noise_keys: dict[str, str] = {}
    outputs: dict[str, str] = {}
    made: dict[Hashable, str] = {}
    for k, graph in enumerate(graphs):
        there = {name: name for name in graph.inputs}  # an origin in this graph -> the same in the merged graph
        for name in graph.canonical_order:
            node = graph.nodes[name]
            key = graph.noise_keys.get(name, name) if "seed" in type(node).model_fields else None
            taken = {port.name: _follow(graph.wires[f"{name}.{port.name}"], there) for port in node.inputs}
            same = (type(node), node.model_dump_json(), key, *taken.values())  # not the node: 0.0 == -0.0
            if same not in made:
                made[same] = own = _free(name, k, {*nodes, *first.inputs})
                nodes[own] = node
                wires |= {f"{own}.{port}": wire for port, wire in taken.items()}
                if key not in (None, own):
                    noise_keys[own] = key
            there |= {f"{name}.{port.name}": f"{made[same]}.{port.name}" for port in node.outputs}
        outputs |= {f"v{k}/{name}": there[origin] for name, origin in graph.origins.items()}
    return first.evolve(nodes=nodes, wires=wires, outputs=outputs, noise_keys=noise_keys)


def _follow(wire: Wire, there: Mapping[str, str]) -> Wire:
    return there[wire] if isinstance(wire, str) else tuple(there[origin] for origin in wire)


def _free(name: str, k: int, taken: Set[str]) -> str:
    """Return a name that no other node has: the name itself, or with a prefix."""
    own = name
    while own in taken:
        own = f"v{k}/{own}"
    return own
