"""Cones: the cone of a node is the node with everything that it takes from, directly or through other nodes."""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeAlias

from dspgraph.wiring.wiring import Wiring

Cone: TypeAlias = bytes


def cones(graph: Wiring) -> dict[str, Cone]:
    """Return name of an input or of a node that runs -> hash of its cone.

    In sessions of the same signal, two nodes with the same cone are in the same state. Two nodes have the same cone if
    they are equal, take from the same inputs or from nodes with the same cones, and use the same noise (if they use
    noise). Their names do not matter. The hashes can be compared within one process.
    """
    found = {name: _hash("input", name, stream) for name, stream in graph.inputs.items()}
    for name in graph.canonical_order:
        node = graph.nodes[name]
        noise = (graph.seed, graph.noise_keys.get(name, name)) if "seed" in type(node).model_fields else ()
        taken = []
        for port, origin in graph.sources(name):
            source, _, out = (origin, "", "") if origin in graph.inputs else origin.rpartition(".")
            taken.append((port.name, found[source], out))
        # The JSON, not the node: a node with 0.0 equals a node with -0.0.
        found[name] = _hash(id(type(node)), node.model_dump_json(), noise, taken)
    return found


def _hash(*parts: object) -> Cone:
    return blake2b(repr(parts).encode(), digest_size=16).digest()
