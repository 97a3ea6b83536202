"""Nodes wired into a directed acyclic graph. The graph is checked when it is made, and never changes after that."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias

from dspgraph._version import __version__
from dspgraph.errors import GraphError, LoopError, UnknownName, WireError, suggest
from dspgraph.node import Input, Node
from dspgraph.shown import shown
from dspgraph.streams import Audio, Frames, Stream, stream_to_dict
from dspgraph.wiring.binding import Binding, bind
from dspgraph.wiring.duration import Duration
from dspgraph.wiring.provenance import provenance

if TYPE_CHECKING:
    import networkx

Wire: TypeAlias = str | tuple[str, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z")


def recipe_of(description: Mapping[str, Any]) -> str:
    """Return the recipe of a graph, the hash `Wiring.recipe`.

    description: the mapping `Wiring.description`, or one that was read from a sidecar; a missing key counts as None.
    """
    return _hash({name: description.get(name) for name in ("seed", "inputs", "outputs", "nodes", "noise_keys")})


def _hash(value: Any) -> str:
    """Return the SHA-256 digest of data that consists of plain values, as hexadecimal text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _in_order(takers: Mapping[str, Sequence[str]], by_name: bool = False) -> list[str]:
    """Return the names in `takers` in an order in which each name comes after all names that it takes from.

    Names in a loop are left out, as are names that take from a loop, directly or through other names.

    takers: every name -> the names that take from it, one for each wire. by_name: where several names can come next,
    choose the first one in alphabetical order; by default, choose the name that became ready first.
    """
    waiting = Counter(name for names in takers.values() for name in names)
    ready, order = [name for name in takers if not waiting[name]], []
    while ready:
        name = ready.pop(ready.index(min(ready)) if by_name else 0)
        order.append(name)
        for taker in takers[name]:
            waiting[taker] -= 1
            if not waiting[taker]:
                ready.append(taker)
    return order


class Wiring:
    """Nodes, the wires between them, and the streams of the inputs and outputs.

    nodes: name -> Node.
    wires: input port, as "node.port" -> its origin; for a port with `many=True` a list of origins. An origin is the
    name of a graph input, an output port as "node.port", or the name of a node that has only one output.
    inputs: name -> Stream.
    outputs: name -> origin.
    seed: the noise of a node depends on this seed, the name of the node, and the node's own seed.
    noise_keys: name of a node -> the name from which its noise is computed in place of its own. With the old name as
    its key, a node that was copied from another graph under a new name keeps its noise.

    Attributes: `outputs` has the streams of the outputs, `origins` their origins. In `origins` and `wires` each origin
    is an input or "node.port", and the wire of a port with `many=True` is a tuple. `bindings`: name of a node ->
    Binding. `durations`: origin -> Duration, for every input of the graph and every output port.

    Raises GraphError, WireError, LoopError, ParameterError or UnknownName for anything that does not fit, and LawError
    or NodeError for a faulty node. All checks are made here: a graph that was made can run.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        wires: Mapping[str, str | Iterable[str]],
        inputs: Mapping[str, Stream],
        outputs: Mapping[str, str],
        seed: int = 0,
        noise_keys: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.nodes: Mapping[str, Node] = MappingProxyType(dict(nodes))
        self.inputs: Mapping[str, Stream] = MappingProxyType(dict(inputs))
        self.seed = seed
        self.noise_keys: Mapping[str, str] = MappingProxyType(dict(noise_keys))
        self._check_names(outputs)
        self.wires: Mapping[str, Wire] = MappingProxyType(self._resolve_wires(wires))
        self.bindings: Mapping[str, Binding] = MappingProxyType(self._bind())
        self.origins: Mapping[str, str] = MappingProxyType(
            {name: self._origin(origin, f"the output '{name}'") for name, origin in outputs.items()}
        )
        self.outputs: Mapping[str, Stream] = MappingProxyType(
            {name: self.stream(origin) for name, origin in self.origins.items()}
        )

    # ---- structure and identity -------------------------------------------------------------------------------------

    def stream(self, origin: str) -> Stream:
        """Return the stream of an origin: a graph input, "node.port", or the name of a node with one output.

        Raises UnknownName for an origin that does not exist, and WireError for a node with several outputs.
        """
        origin = self._origin(origin, "stream()")
        if origin in self.inputs:
            return self.inputs[origin]
        name, port = origin.rsplit(".", 1)
        return self.bindings[name].gives[[output.name for output in self.nodes[name].outputs].index(port)]

    @property
    def audio_input(self) -> tuple[str, Audio] | None:
        """The name and stream of the input, if the graph has one input and it is audio; None for any other graph."""
        name, stream = next(iter(self.inputs.items()))
        return (name, stream) if len(self.inputs) == 1 and isinstance(stream, Audio) else None

    def other_tempo(self) -> str | None:
        """Return the name of the first node that changes the tempo: its stretch is not 1. None if there is none."""
        return next((name for name in self.order if self.bindings[name].stretch != 1), None)

    def sources(self, name: str) -> Iterator[tuple[Input, str]]:
        """Yield (input port, origin) for every wire into the node called `name`, in the order of the ports."""
        for port in self.nodes[name].inputs:
            wire = self.wires[f"{name}.{port.name}"]
            for origin in wire if isinstance(wire, tuple) else (wire,):
                yield port, origin

    @cached_property
    def dag(self) -> networkx.MultiDiGraph[str]:
        """The graph in networkx, with a vertex for each node and each input, and an edge for each wire.

        The vertex of a node has the attribute `node`, the vertex of an input `stream`. An edge has `origin`, `port`
        (the name of the input port) and `stream`.
        """
        dag = self._wiring()
        for _, _, edge in dag.edges(data=True):
            edge["stream"] = self.stream(edge["origin"])
        return dag

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names of the nodes on which an output depends, each after the nodes that it takes from."""
        takers = self._takers()
        order = _in_order(takers)
        running = {origin.rsplit(".", 1)[0] for origin in self.origins.values()}
        for name in reversed(order):
            if not running.isdisjoint(takers[name]):
                running.add(name)
        return tuple(name for name in order if name in running and name in self.nodes)

    @property
    def canonical_order(self) -> tuple[str, ...]:
        """The names in `order`, in another order in which the nodes can run.

        This order does not depend on the order of `nodes` and `wires` in the constructor. Equal graphs therefore have
        equal plans, and a session of one can restore a snapshot of the other.
        """
        running = frozenset(self.order)
        return tuple(name for name in _in_order(self._takers(), by_name=True) if name in running)

    @property
    def unused(self) -> tuple[str, ...]:
        """The names of the nodes on which no output depends. They are checked but never run."""
        running = frozenset(self.order)
        return tuple(name for name in self.nodes if name not in running)

    @property
    def advice(self) -> tuple[str, ...]:
        """Sentences about parameters that are likely to be mistakes, of the nodes that run; see `Node.advice`.

        Each begins with the name of its node.
        """
        given = ((name, self.nodes[name].advice(*self.bindings[name].takes)) for name in self.order)
        return tuple(f"{name}: {sentence}" for name, sentence in given if sentence)

    @cached_property
    def description(self) -> dict[str, Any]:
        """Everything on which the outputs depend, as plain data. The sidecar of a rendered file contains it.

        It has the nodes that run, their parameters, their wires and noise keys, the input streams, the origins of the
        outputs, the seed, the version of dspgraph, and the result of `provenance`: the hashes of the source files of
        the engine and of the nodes, and the versions of the libraries that these files import. It is made once: do
        not change it.
        """
        running = {name: self.nodes[name] for name in sorted(self.order)}
        return {
            "dspgraph": __version__,
            **provenance({type(node) for node in running.values()}),
            "seed": self.seed,
            "inputs": {name: stream_to_dict(stream) for name, stream in sorted(self.inputs.items())},
            "outputs": dict(sorted(self.origins.items())),
            "nodes": {
                name: {
                    "type": node.type_name,
                    "parameters": node.model_dump(mode="json"),
                    "wires": {port.name: self.wires[f"{name}.{port.name}"] for port in node.inputs},
                }
                for name, node in running.items()
            },
            "noise_keys": {name: key for name, key in sorted(self.noise_keys.items()) if name in running},
        }

    @cached_property
    def digest(self) -> str:
        """A hash of the description. Two graphs with the same digest give the same outputs."""
        return _hash(self.description)

    @cached_property
    def recipe(self) -> str:
        """A hash of a part of `description`: nodes, parameters, wires, streams and seed, without code and versions.

        Two graphs with the same recipe and different digests differ only in source code or versions of libraries.
        """
        return recipe_of(self.description)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wiring) and self._arguments() == other._arguments()

    def __hash__(self) -> int:
        return hash((frozenset(self.wires.items()), frozenset(self.origins.items()), self.seed))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self._arguments().values())

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({', '.join(self.inputs)} -> {' -> '.join(self.order)} -> {', '.join(self.outputs)})"

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments with which the constructor makes an equal graph, in the order of the constructor."""
        arguments = {"nodes": self.nodes, "wires": self.wires, "inputs": self.inputs, "outputs": self.origins}
        copies: dict[str, Any] = {name: dict(mapping) for name, mapping in arguments.items()}
        return {**copies, "seed": self.seed, "noise_keys": dict(self.noise_keys)}

    # ---- changed copies ---------------------------------------------------------------------------------------------

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with some constructor arguments replaced as a whole: `graph.evolve(seed=1)`.

        Raises the errors of the constructor.
        """
        return type(self)(**{**self._arguments(), **changes})

    def replace(self, name: str, node: Node, **wires: str | Iterable[str]) -> Self:
        """Return a copy in which `node` takes the place of the node called `name`.

        An input port that both nodes have keeps its wire, unless `wires` (port=origin) gives it a new one; other input
        ports need one in `wires`. If both nodes have only one output, the wires and outputs of the graph that came from
        the old output now come from the new output; otherwise from the output of the same name. Raises UnknownName if
        no node is called `name`, and the errors of the constructor.
        """
        if name not in self.nodes:
            raise UnknownName(f"no node is called '{name}'; {suggest(name, self.nodes)}")
        old, ports = self.nodes[name], {port.name for port in node.inputs}
        kept = {to: origin for to, origin in self.wires.items() if to.rsplit(".", 1)[0] != name}
        inner = {port.name: self.wires[f"{name}.{port.name}"] for port in old.inputs if port.name in ports}
        renamed = {f"{name}.{old.outputs[0].name}": name} if len(old.outputs) == len(node.outputs) == 1 else {}

        def follow(wire: str | Iterable[str]) -> str | tuple[str, ...]:
            if isinstance(wire, str):
                return renamed.get(wire, wire)
            return tuple(renamed.get(origin, origin) for origin in wire)

        everything = {**kept, **{f"{name}.{port}": wire for port, wire in {**inner, **wires}.items()}}
        return self.evolve(
            nodes={**self.nodes, name: node},
            wires={to: follow(wire) for to, wire in everything.items()},
            outputs={output: renamed.get(origin, origin) for output, origin in self.origins.items()},
        )

    def tap(self, *origins: str) -> Self:
        """Return a copy with more outputs: for each text in `origins`, the stream of this origin, named by this text.

        origins: "node.port", or the name of a node that has only one output. Raises UnknownName for an origin that does
        not exist, WireError for a node with several outputs, and GraphError if an output for another stream has the
        same name.
        """
        more = {origin: self._origin(origin, f"the tap '{origin}'") for origin in origins}
        for name, origin in more.items():
            if self.origins.get(name, origin) != origin:
                way = "give that output another name" if origin == name else f"write '{origin}'"
                raise GraphError(f"the output '{name}' is another stream than the tap '{name}': {way}")
        return self.evolve(outputs={**self.origins, **more})

    def expose_all(self) -> Self:
        """Return a copy with other outputs: every output port of every node in `order`, named "node.port".

        A graph in which no node runs keeps its outputs.
        """
        outputs = {
            f"{name}.{port.name}": f"{name}.{port.name}" for name in self.order for port in self.nodes[name].outputs
        }
        return self.evolve(outputs=outputs or dict(self.origins))

    # ---- checks -----------------------------------------------------------------------------------------------------

    def _check_names(self, outputs: Mapping[str, str]) -> None:
        for what, names in (("node", self.nodes), ("input", self.inputs), ("output", outputs)):
            for name in names:
                if not _NAME.match(name.replace(".", "/") if what == "output" else name):
                    raise GraphError(f"{what} '{name}': a name is letters, digits and _, not beginning with a digit")
        for name in self.noise_keys:
            if name not in self.nodes:
                raise UnknownName(f"noise_keys names '{name}', but no node is called so; {suggest(name, self.nodes)}")
        for name in self.inputs.keys() & self.nodes.keys():
            raise GraphError(f"'{name}' names an input and a node: rename one of them")
        for name, node in self.nodes.items():
            if not isinstance(node, Node):
                raise GraphError(f"node '{name}' is {shown(node)}, not a node: make one, as in Name(parameter=value)")
        for name, stream in self.inputs.items():
            if not isinstance(stream, Stream):
                raise GraphError(f"input '{name}' is {shown(stream)}, not a stream such as Audio(16000)")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise GraphError(f"the seed is {shown(self.seed)}; it must be a whole number, at least 0")
        if not self.inputs or not outputs:
            raise GraphError("a graph has at least one input and one output")

    def _resolve_wires(self, wires: Mapping[str, str | Iterable[str]]) -> dict[str, Wire]:
        resolved: dict[str, Wire] = {}
        for to, wire in wires.items():
            port = self._port(to)
            origins = (wire,) if isinstance(wire, str) else tuple(wire) if isinstance(wire, Iterable) else (wire,)
            if not all(isinstance(origin, str) for origin in origins):
                raise WireError(f"{to} takes the name of an origin, or a list of names; found {shown(wire)}", to)
            if not port.many and len(origins) != 1:
                raise WireError(f"{to} takes one wire; found {len(origins)}: mix them first", to)
            if not origins:
                raise WireError(f"{to} takes one wire or more; found none", to)
            found = tuple(self._origin(origin, to) for origin in origins)
            resolved[to] = found if port.many else found[0]
        for name, node in self.nodes.items():
            for port in node.inputs:
                if f"{name}.{port.name}" not in resolved:
                    raise WireError(
                        f"{name}.{port.name} is not wired; it takes {port}: say where it comes from",
                        f"{name}.{port.name}",
                    )
        return resolved

    def _port(self, to: str) -> Input:
        name, _, port = to.rpartition(".")
        if name not in self.nodes:
            raise UnknownName(f"a wire leads to '{to}', but no node is called '{name}'; {suggest(name, self.nodes)}")
        ports = {one.name: one for one in self.nodes[name].inputs}
        if port not in ports:
            raise UnknownName(f"{name} ({self.nodes[name].type_name}) has no input '{port}'; {suggest(port, ports)}")
        return ports[port]

    def _origin(self, origin: str, to: str) -> str:
        if origin in self.inputs:
            return origin
        name, _, port = origin.rpartition(".")
        if origin in self.nodes:
            outputs = [one.name for one in self.nodes[origin].outputs]
            if len(outputs) > 1:
                ways = " or ".join(f"'{origin}.{one}'" for one in outputs)
                raise WireError(f"{to} takes from '{origin}', which has {len(outputs)} outputs: write {ways}", to)
            return f"{origin}.{outputs[0]}"
        if name in self.nodes:
            known = [one.name for one in self.nodes[name].outputs]
            if port in known:
                return origin
            raise UnknownName(
                f"{to}: {name} ({self.nodes[name].type_name}) has no output '{port}'; {suggest(port, known)}"
            )
        known = [*self.nodes, *self.inputs]
        missing = name or origin
        raise UnknownName(f"{to} takes from '{origin}', but nothing is called '{missing}'; {suggest(missing, known)}")

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

    def _takers(self) -> dict[str, list[str]]:
        """Return name of an input or node -> the names of the nodes that take from it, one name for each wire."""
        takers: dict[str, list[str]] = {name: [] for name in (*self.inputs, *self.nodes)}
        for name in self.nodes:
            for _, origin in self.sources(name):
                takers[origin if origin in self.inputs else origin.rsplit(".", 1)[0]].append(name)
        return takers

    def _raise_loop(self) -> NoReturn:
        import networkx

        loop = [edge[0] for edge in networkx.find_cycle(self._wiring())]
        raise LoopError(
            f"the graph has a loop: {' -> '.join([*loop, loop[0]])}; feedback lives inside a node, not on a wire"
        )

    def _bind(self) -> dict[str, Binding]:
        """Check every wire, in the order in which the streams flow; return name of a node -> binding, for all nodes.

        Also set `durations`: origin of a stream -> its duration. Raises LoopError, WireError, and the errors of `bind`.
        """
        takers = self._takers()
        order = _in_order(takers)
        if len(order) < len(takers):
            self._raise_loop()
        streams = dict(self.inputs)
        self.durations: dict[str, Duration] = dict.fromkeys(self.inputs, Duration())
        bindings = {}
        for name in order:
            if name in self.nodes:
                bindings[name] = binding = self._bind_node(name, streams)
                duration = self._common_duration(name).then(binding.stretch, binding.extra)
                for port, stream in zip(self.nodes[name].outputs, binding.gives, strict=True):
                    streams[f"{name}.{port.name}"] = stream
                    self.durations[f"{name}.{port.name}"] = duration
        return bindings

    def _common_duration(self, name: str) -> Duration:
        """Return the duration of the streams at the inputs of a node. Raises WireError if their durations differ."""
        (port, first), *others = [(f"{name}.{port.name}", origin) for port, origin in self.sources(name)]
        for to, origin in others:
            if self.durations[origin] != self.durations[first]:
                raise WireError(
                    f"the streams that meet in '{name}' end at different times: {port} gets {first}, which lasts "
                    f"{self.durations[first]}, {to} gets {origin}, which lasts {self.durations[origin]}: lengthen the "
                    "shorter one with a 'pad'",
                    to,
                )
        return self.durations[first]

    def _bind_node(self, name: str, streams: Mapping[str, Stream]) -> Binding:
        node = self.nodes[name]
        wired: dict[str, list[Stream]] = {port.name: [] for port in node.inputs}
        frames: list[tuple[Input, str, Frames]] = []
        for port, origin in self.sources(name):
            stream, to = streams[origin], f"{name}.{port.name}"
            if not port.fits(stream):
                raise WireError(f"{to} takes {port}; {origin} gives {stream}", to, port, stream)
            if isinstance(stream, Frames):
                frames.append((port, origin, stream))
            wired[port.name].append(stream)
        centred = [one for one in frames if not one[0].any_centre]
        for group, spans in ((centred, False), (frames, True)):  # of the second group only the rates must agree
            for port, origin, stream in group[1:]:
                first_port, first_origin, first = group[0]
                if stream.rate != first.rate or (stream.centre != first.centre and not spans):
                    raise WireError(
                        f"the frames that meet in '{name}' differ: {name}.{first_port.name} gets {first} from "
                        f"{first_origin}, {name}.{port.name} gets {stream} from {origin}; "
                        f"rate {'' if spans else 'and centre '}must agree: give both the same hop"
                        f"{'' if spans else ' and centre'}",
                        f"{name}.{port.name}",
                    )
        takes = tuple(tuple(wired[port.name]) if port.many else wired[port.name][0] for port in node.inputs)
        return bind(name, node, takes)
