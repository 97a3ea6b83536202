"""Several graphs in one, in which what they have in common is there once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from dspgraph.errors import GraphError
from dspgraph.graph import Graph, Wire
from dspgraph.node import Node


def union(graphs: Sequence[Graph]) -> Graph:
    """One graph that gives, sample for sample, what each of several gives: output `y` of the k-th is `vK/y`.

    Two nodes become one when they are equal, take from nodes that became one, and draw the same noise, if they draw
    any. Raises GraphError for graphs that take different streams under one name, and for graphs of different seeds.
    """
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
        here = {name: name for name in graph.inputs}  # an origin in this graph -> the same in the union

        def there(wire: Wire, here: dict[str, str] = here) -> Wire:
            return here[wire] if isinstance(wire, str) else tuple(here[origin] for origin in wire)

        for name in graph.order:
            node, key = graph.nodes[name], graph.names.get(name, name)
            taken = {port.name: there(graph.wires[f"{name}.{port.name}"]) for port in node.inputs}
            draws = key if "seed" in type(node).model_fields else None
            same: Any = (type(node), node, draws, tuple(taken.items()))
            if same not in made:
                made[same] = own = name if name not in nodes and name not in first.inputs else f"v{k}/{name}"
                nodes[own] = node
                wires |= {f"{own}.{port}": wire for port, wire in taken.items()}
                if draws not in (None, own):
                    names[own] = key
            here |= {f"{name}.{port.name}": f"{made[same]}.{port.name}" for port in node.outputs}
        outputs |= {f"v{k}/{name}": here[origin] for name, origin in graph.origins.items()}
    return Graph(nodes, wires, first.inputs, outputs, first.seed, names)
