"""Several graphs in one, in which what they have in common is there once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set

from dspgraph.errors import GraphError
from dspgraph.graph import Graph, Wire
from dspgraph.node import Node


def union(graphs: Sequence[Graph]) -> Graph:
    """One graph that gives, sample for sample, what each of several gives: output `y` of the k-th is `vK/y`.

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
    names: dict[str, str] = {}
    outputs: dict[str, str] = {}
    made: dict[Hashable, str] = {}
    for k, graph in enumerate(graphs):
        there = {name: name for name in graph.inputs}  # an origin in this graph -> the same in the union
        for name in _ordered(graph):
            node = graph.nodes[name]
            key = graph.names.get(name, name) if "seed" in type(node).model_fields else None
            taken = {port.name: _follow(graph.wires[f"{name}.{port.name}"], there) for port in node.inputs}
            same = (type(node), node.model_dump_json(), key, *taken.values())  # not the node: 0.0 == -0.0
            if same not in made:
                made[same] = own = _free(name, k, {*nodes, *first.inputs})
                nodes[own] = node
                wires |= {f"{own}.{port}": wire for port, wire in taken.items()}
                if key not in (None, own):
                    names[own] = key
            there |= {f"{name}.{port.name}": f"{made[same]}.{port.name}" for port in node.outputs}
        outputs |= {f"v{k}/{name}": there[origin] for name, origin in graph.origins.items()}
    return Graph(nodes, wires, first.inputs, outputs, first.seed, names)


def _ordered(graph: Graph) -> list[str]:
    """The nodes that run, in an order that does not depend on how the graph was written down: nor do names, then."""
    import networkx

    return [name for name in networkx.lexicographical_topological_sort(graph.dag) if name in graph.order]


def _follow(wire: Wire, there: Mapping[str, str]) -> Wire:
    return there[wire] if isinstance(wire, str) else tuple(there[origin] for origin in wire)


def _free(name: str, k: int, taken: Set[str]) -> str:
    """The name itself, if no other node has it."""
    own = name
    while own in taken:
        own = f"v{k}/{own}"
    return own
