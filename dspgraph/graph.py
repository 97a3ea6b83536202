"""The graph: nodes wired into a DAG, checked when it is made, and never changed after."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from dspgraph.errors import (
    GraphError,
    LinkError,
    LoopError,
    UnknownName,
    nearest,
)
from dspgraph.link import Link, Times, link
from dspgraph.node import Input, Node
from dspgraph.streams import Array, Audio, Frames, Stream

if TYPE_CHECKING:
    import networkx

    from dspgraph.engine import Session

Wire: TypeAlias = str | tuple[str, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z")


@dataclass(frozen=True)
class Latency:
    """How long after an item's span its output comes out at the latest, and the nodes that make it so."""

    seconds: Fraction | float
    path: tuple[str, ...]


class Graph:
    """Nodes, the wires between them, and the streams that go in and come out.

    nodes: name -> Node. wires: "node.port" -> its origin, which is "node.port", the name of a node with one output,
    or the name of a graph input; several origins for a port that takes many. inputs: name -> Stream. outputs:
    name -> origin. seed: with the node's name and own seed it keys the noise of every node that draws numbers. names: a
    node -> the name that keys its noise, where that is not its own: another graph's, whose part it is here.

    Raises GraphError, LinkError, LoopError, ParameterError or UnknownName: a Graph that exists can run.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        wires: Mapping[str, str | Iterable[str]],
        inputs: Mapping[str, Stream],
        outputs: Mapping[str, str],
        seed: int = 0,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.nodes: Mapping[str, Node] = MappingProxyType(dict(nodes))
        self.inputs: Mapping[str, Stream] = MappingProxyType(dict(inputs))
        self.seed = seed
        self.names: Mapping[str, str] = MappingProxyType(dict(names))
        self._check_names(outputs)
        self.wires: Mapping[str, Wire] = MappingProxyType(self._resolve_wires(wires))
        self.links: Mapping[str, Link] = MappingProxyType(self._link())
        self.origins: Mapping[str, str] = MappingProxyType(
            {name: self._origin(origin, f"the output '{name}'") for name, origin in outputs.items()}
        )
        self.outputs: Mapping[str, Stream] = MappingProxyType(
            {name: self.stream(origin) for name, origin in self.origins.items()}
        )

    # ---- what it is -------------------------------------------------------------------------------------------------

    def stream(self, origin: str) -> Stream:
        """The stream that leaves an origin, written as in `wires`: a graph input, "node.port" or a node's name."""
        origin = self._origin(origin, "the question")
        if origin in self.inputs:
            return self.inputs[origin]
        name, port = origin.rsplit(".", 1)
        return self.links[name].gives[[output.name for output in self.nodes[name].outputs].index(port)]

    @property
    def audio_input(self) -> tuple[str, Audio] | None:
        """The name and the stream of the one input, where there is one alone and it is audio: what a recording is."""
        name, stream = next(iter(self.inputs.items()))
        return (name, stream) if len(self.inputs) == 1 and isinstance(stream, Audio) else None

    def sources(self, name: str) -> Iterator[tuple[Input, str]]:
        """Every wire into a node, port by port: the port and the origin."""
        for port in self.nodes[name].inputs:
            wire = self.wires[f"{name}.{port.name}"]
            for origin in wire if isinstance(wire, tuple) else (wire,):
                yield port, origin

    @cached_property
    def dag(self) -> networkx.MultiDiGraph[str]:
        """The graph as networkx sees it: nodes carry `node` (or `stream`, for a graph input), edges carry `origin`,
        `port` and `stream`."""
        dag = self._wiring()
        for _, _, edge in dag.edges(data=True):
            edge["stream"] = self.stream(edge["origin"])
        return dag

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The nodes that some output depends on, each after those it takes from."""
        import networkx

        dag = self.dag
        ends = {origin.rsplit(".", 1)[0] for origin in self.origins.values()}
        alive = ends.union(*(networkx.ancestors(dag, end) for end in ends))
        return tuple(name for name in networkx.topological_sort(dag) if name in alive and name in self.nodes)

    @property
    def idle(self) -> tuple[str, ...]:
        """The nodes no output depends on: they are checked, and never run."""
        return tuple(name for name in self.nodes if name not in self.order)

    @cached_property
    def description(self) -> dict[str, Any]:
        """Everything the samples depend on, as plain data: what a file that was rendered is kept with.

        The nodes that run, their parameters and wires, the streams that go in, the seed, the versions of what computes,
        and a hash of every source file of the packages the nodes come from: an edited kernel is another graph.
        """
        from importlib.metadata import version

        from dspgraph import __version__

        running = {name: node for name, node in sorted(self.nodes.items()) if name in self.order}
        sources: dict[str, list[str]] = {}
        for kind in sorted({type(node) for node in running.values()}, key=lambda kind: kind.type_name):
            sources.setdefault(_source_hash(kind.__module__), []).append(kind.type_name)
        return {
            "dspgraph": __version__,
            "versions": {name: version(name) for name in ("numba", "numpy", "pysptk", "scipy", "soxr", "torch")},
            "sources": sources,
            "seed": self.seed,
            "inputs": {name: describe_stream(stream) for name, stream in sorted(self.inputs.items())},
            "outputs": dict(sorted(self.origins.items())),
            "nodes": {
                name: {
                    "type": node.type_name,
                    "parameters": node.model_dump(mode="json"),
                    "wires": {port.name: self.wires[f"{name}.{port.name}"] for port in node.inputs},
                }
                for name, node in running.items()
            },
            "names": {name: key for name, key in sorted(self.names.items()) if name in running},
        }

    @cached_property
    def digest(self) -> str:
        """A hash of the description; two graphs with one digest give the same outputs."""
        text = json.dumps(self.description, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def latency(self) -> Latency:
        """The slowest output: how long after an item's span it is out, at the latest, and the nodes that delay it.

        Both lookahead and the wait for a whole tick count, as they show when input comes item by item.
        """
        # Backwards: at which times does anybody wait for the items of a stream?
        times: dict[str, set[Times]] = {origin: set() for origin in self._origins_in_order()}
        for name, stream in self.outputs.items():
            times[self.origins[name]].add((1 / stream.rate, Fraction(0)))
        for name in reversed(self.order):
            for port in self.nodes[name].outputs:
                for asked in times[f"{name}.{port.name}"]:
                    _, needed = self.links[name].wait(*asked)
                    for _, origin in self.sources(name):
                        times[origin].add(needed)
        # Forwards: how late are they?
        late = {(name, asked): Latency(Fraction(0), ()) for name in self.inputs for asked in times[name]}
        for name in self.order:
            for port in self.nodes[name].outputs:
                for asked in times[f"{name}.{port.name}"]:
                    own, needed = self.links[name].wait(*asked)
                    worst = max((late[origin, needed] for _, origin in self.sources(name)), key=lambda one: one.seconds)
                    adds = own and (own == math.inf or worst.seconds != math.inf)
                    path = (*worst.path, name) if adds else worst.path
                    late[f"{name}.{port.name}", asked] = Latency(own + worst.seconds, path)
        ends = [late[self.origins[name], (1 / stream.rate, Fraction(0))] for name, stream in self.outputs.items()]
        return max(ends, key=lambda latency: latency.seconds)

    def _origins_in_order(self) -> list[str]:
        inner = [f"{name}.{port.name}" for name in self.order for port in self.nodes[name].outputs]
        return [*self.inputs, *inner]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._arguments() == other._arguments()

    def __hash__(self) -> int:
        return hash((frozenset(self.wires.items()), frozenset(self.origins.items()), self.seed))

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, self._arguments()

    def __repr__(self) -> str:
        return f"Graph({', '.join(self.inputs)} -> {' -> '.join(self.order)} -> {', '.join(self.outputs)})"

    def _arguments(self) -> tuple[Any, ...]:
        return dict(self.nodes), dict(self.wires), dict(self.inputs), dict(self.origins), self.seed, dict(self.names)

    # ---- what it becomes --------------------------------------------------------------------------------------------

    def replace(self, name: str, node: Node, **wires: str | Iterable[str]) -> Graph:
        """This graph with another node in a slot. Ports of the same name keep their wires; `wires` sets the others."""
        if name not in self.nodes:
            raise UnknownName(f"no node is called '{name}'; {nearest(name, self.nodes)}")
        old, ports = self.nodes[name], {port.name for port in node.inputs}
        kept = {to: origin for to, origin in self.wires.items() if to.rsplit(".", 1)[0] != name}
        inner = {port.name: self.wires[f"{name}.{port.name}"] for port in old.inputs if port.name in ports}
        renamed = {f"{name}.{old.outputs[0].name}": name} if len(old.outputs) == len(node.outputs) == 1 else {}

        def follow(wire: str | Iterable[str]) -> str | tuple[str, ...]:
            if isinstance(wire, str):
                return renamed.get(wire, wire)
            return tuple(renamed.get(origin, origin) for origin in wire)

        everything = {**kept, **{f"{name}.{port}": wire for port, wire in {**inner, **wires}.items()}}
        return Graph(
            {**self.nodes, name: node},
            {to: follow(wire) for to, wire in everything.items()},
            self.inputs,
            {output: renamed.get(origin, origin) for output, origin in self.origins.items()},
            self.seed,
            self.names,
        )

    def tapped(self) -> Graph:
        """This graph with every stream inside it as an output, named by its origin, in the order they are computed."""
        outputs = {origin: origin for origin in self._origins_in_order() if origin not in self.inputs}
        return Graph(self.nodes, self.wires, self.inputs, outputs or dict(self.origins), self.seed, self.names)

    # The two doors to the engine; it stands above this module, so it is opened late.

    def __call__(self, /, **signals: Any) -> dict[str, Array]:
        """Render whole arrays: one per input, a dict of arrays out."""
        from dspgraph.engine import render_arrays

        return render_arrays(self, signals)

    def session(self) -> Session:
        """One signal on its way through this graph, block by block."""
        from dspgraph.engine import Session

        return Session(self)

    # ---- how it is checked ------------------------------------------------------------------------------------------

    def _check_names(self, outputs: Mapping[str, str]) -> None:
        for what, names in (("node", self.nodes), ("input", self.inputs), ("output", outputs)):
            for name in names:
                if not _NAME.match(name.replace(".", "/") if what == "output" else name):
                    raise GraphError(f"{what} '{name}': a name is letters, digits and _, not beginning with a digit")
        for name in self.names:
            if name not in self.nodes:
                raise UnknownName(f"a name is given to '{name}', but no node is called so; {nearest(name, self.nodes)}")
        for name in self.inputs.keys() & self.nodes.keys():
            raise GraphError(f"'{name}' names an input and a node: rename one of them")
        for name, node in self.nodes.items():
            if not isinstance(node, Node):
                raise GraphError(f"node '{name}' is {node!r}, not a node: make one, as in Name(parameter=value)")
        for name, stream in self.inputs.items():
            if not isinstance(stream, Stream):
                raise GraphError(f"input '{name}' is {stream!r}, not a stream such as Audio(16000)")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise GraphError(f"the seed is {self.seed!r}; it must be a whole number, at least 0")
        if not self.inputs or not outputs:
            raise GraphError("a graph has at least one input and one output")

    def _resolve_wires(self, wires: Mapping[str, str | Iterable[str]]) -> dict[str, Wire]:
        resolved: dict[str, Wire] = {}
        for to, wire in wires.items():
            port = self._port(to)
            origins = (wire,) if isinstance(wire, str) else tuple(wire) if isinstance(wire, Iterable) else (wire,)
            if not all(isinstance(origin, str) for origin in origins):
                raise LinkError(f"{to} takes the name of an origin, or a list of names; found {wire!r}", to)
            if not port.many and len(origins) != 1:
                raise LinkError(f"{to} takes one wire; found {len(origins)}: mix them first", to)
            if not origins:
                raise LinkError(f"{to} takes one wire or more; found none", to)
            found = tuple(self._origin(origin, to) for origin in origins)
            resolved[to] = found if port.many else found[0]
        for name, node in self.nodes.items():
            for port in node.inputs:
                if f"{name}.{port.name}" not in resolved:
                    raise LinkError(
                        f"{name}.{port.name} is not wired; it takes {port}: say where it comes from",
                        f"{name}.{port.name}",
                    )
        return resolved

    def _port(self, to: str) -> Input:
        name, _, port = to.rpartition(".")
        if name not in self.nodes:
            raise UnknownName(f"a wire leads to '{to}', but no node is called '{name}'; {nearest(name, self.nodes)}")
        ports = {one.name: one for one in self.nodes[name].inputs}
        if port not in ports:
            raise UnknownName(f"{name} ({self.nodes[name].type_name}) has no input '{port}'; {nearest(port, ports)}")
        return ports[port]

    def _origin(self, origin: str, to: str) -> str:
        if origin in self.inputs:
            return origin
        name, _, port = origin.rpartition(".")
        if origin in self.nodes:
            outputs = [one.name for one in self.nodes[origin].outputs]
            if len(outputs) > 1:
                ways = " or ".join(f"'{origin}.{one}'" for one in outputs)
                raise LinkError(f"{to} takes from '{origin}', which has {len(outputs)} outputs: write {ways}", to)
            return f"{origin}.{outputs[0]}"
        if name in self.nodes:
            known = [one.name for one in self.nodes[name].outputs]
            if port in known:
                return origin
            raise UnknownName(
                f"{to}: {name} ({self.nodes[name].type_name}) has no output '{port}'; {nearest(port, known)}"
            )
        known = [*self.nodes, *self.inputs]
        missing = name or origin
        raise UnknownName(f"{to} takes from '{origin}', but nothing is called '{missing}'; {nearest(missing, known)}")

    def _wiring(self) -> networkx.MultiDiGraph[str]:
        import networkx

        dag: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        for name, stream in self.inputs.items():
            dag.add_node(name, stream=stream)
        for name, node in self.nodes.items():
            dag.add_node(name, node=node)
        for name in self.nodes:
            for port, origin in self.sources(name):
                source = origin if origin in self.inputs else origin.rsplit(".", 1)[0]
                dag.add_edge(source, name, origin=origin, port=port.name)
        return dag

    def _link(self) -> dict[str, Link]:
        """Follow the streams from the inputs on, checking every wire and asking every node what it gives."""
        import networkx

        dag = self._wiring()
        try:
            order = list(networkx.topological_sort(dag))
        except networkx.NetworkXUnfeasible:
            loop = [edge[0] for edge in networkx.find_cycle(dag)]
            raise LoopError(
                f"the graph has a loop: {' -> '.join([*loop, loop[0]])}; feedback lives inside a node, not on a wire"
            ) from None
        streams = dict(self.inputs)
        links = {}
        for name in order:
            if name in self.nodes:
                links[name] = self._link_node(name, streams)
                for port, stream in zip(self.nodes[name].outputs, links[name].gives, strict=True):
                    streams[f"{name}.{port.name}"] = stream
        return links

    def _link_node(self, name: str, streams: Mapping[str, Stream]) -> Link:
        node = self.nodes[name]
        wired: dict[str, list[Stream]] = {port.name: [] for port in node.inputs}
        frames: list[tuple[str, str, Frames]] = []
        for port, origin in self.sources(name):
            stream, to = streams[origin], f"{name}.{port.name}"
            if not port.fits(stream):
                raise LinkError(f"{to} takes {port}; {origin} gives {stream}", to, port, stream)
            if isinstance(stream, Frames):
                frames.append((to, origin, stream))
            wired[port.name].append(stream)
        for to, origin, stream in frames[1:]:
            first_to, first_origin, first = frames[0]
            if (stream.rate, stream.centre) != (first.rate, first.centre):
                raise LinkError(
                    f"the frames that meet in '{name}' differ: {first_to} gets {first} from {first_origin}, "
                    f"{to} gets {stream} from {origin}; rate and centre must agree: give both the same hop and centre",
                    to,
                )
        takes = tuple(tuple(wired[port.name]) if port.many else wired[port.name][0] for port in node.inputs)
        return link(name, node, takes)


def describe_stream(stream: Stream) -> dict[str, Any]:
    """A stream as plain data, for digests and files."""
    values = {one.name: getattr(stream, one.name) for one in fields(stream)}
    return {"stream": type(stream).__name__} | {
        name: value if isinstance(value, str | int) else str(value) for name, value in values.items()
    }


@lru_cache
def _source_hash(module: str) -> str:
    """Of all Python files of the package a module belongs to; of its own file, if it belongs to none."""
    top = sys.modules.get(module.partition(".")[0])
    folders = [Path(folder) for folder in getattr(top, "__path__", ())]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    own = getattr(sys.modules.get(module), "__file__", None)
    if not files and own:
        files = [Path(own)]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()  # of nothing, for a class made in an interactive session
