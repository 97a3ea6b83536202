"""Several graphs merged into one, in which the nodes that they have in common occur once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TypeVar

from dspgraph.errors import GraphError
from dspgraph.node import Node
from dspgraph.wiring.cones import Cone, cones
from dspgraph.wiring.wiring import Wire, Wiring

W = TypeVar("W", bound=Wiring)


def merge(graphs: Sequence[W]) -> W:
    """Return one graph that gives all outputs of several graphs.

    Output `y` of graphs[0] is called "v0/y", output `y` of graphs[1] "v1/y", and so on. Every output has the same
    samples as in its own graph. Two nodes become one if they are equal, take from the same inputs and from nodes that
    become one, and use the same noise (if they use noise). Nodes on which no output depends are left out. Of different
    nodes with the same name, the first keeps it, and that of graphs[K] is called "vK/NAME". Raises GraphError if the
    graphs differ in their inputs or in their seeds, and if `graphs` is empty.
    """
    if not graphs:
        raise GraphError("merge takes at least one graph; found none")
    first = graphs[0]
    for graph in graphs:
        if (graph.inputs, graph.seed) != (first.inputs, first.seed):
            raise GraphError(
                f"merged graphs must have the same inputs and the same seed; found {dict(first.inputs)}, seed "
                f"{first.seed}, and {dict(graph.inputs)}, seed {graph.seed}"
            )
    nodes: dict[str, Node] = {}
    wires: dict[str, Wire] = {}
    noise_keys: dict[str, str] = {}
    outputs: dict[str, str] = {}
    made: dict[Cone, str] = {}
    for k, graph in enumerate(graphs):
        there = {name: name for name in graph.inputs}  # an origin in this graph -> its origin in the merged graph
        own_cones = cones(graph)
        for name in graph.canonical_order:
            node = graph.nodes[name]
            key = graph.noise_keys.get(name, name) if "seed" in type(node).model_fields else None
            taken = {port.name: _follow(graph.wires[f"{name}.{port.name}"], there) for port in node.inputs}
            same = own_cones[name]
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
    """Return a name that is not in `taken`: `name` itself or, if it is taken, "vK/" and `name`, such as "v0/lpc".

    k: the number K. If the longer name is taken too, "vK/" is put before it again.
    """
    own = name
    while own in taken:
        own = f"v{k}/{own}"
    return own
