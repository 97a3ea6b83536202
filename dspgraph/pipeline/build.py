"""Build the graph that a checked pipeline file describes.

This module makes the nodes, finds the origin of every wire, and inserts the nodes of pipelines that are used as nodes.
Every error says the path of keys to the fault, such as nodes.lpc.order, and its file and line or the override that
set it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dspgraph import registry
from dspgraph.errors import DspgraphError, ParameterError, PipelineError, WireError, suggest
from dspgraph.graph import Graph
from dspgraph.node import Node, Port
from dspgraph.parameters import names_file
from dspgraph.pipeline.document import Document, NodeEntry, PortInput
from dspgraph.pipeline.read import KeyPath, Source
from dspgraph.shown import shown
from dspgraph.streams import Stream


@dataclass(frozen=True)
class SubPipeline:
    """A pipeline that is used as a node of another pipeline.

    name, graph: the name and the graph of the used pipeline. given: the entry of the node in the file of the other
    pipeline, without the key `pipeline`: name of an input of the used pipeline -> origin of the wire to it, as it is
    written there; and name of a var -> value with which `graph` was built.
    """

    name: str
    graph: Graph
    given: Mapping[str, Any]


def build(
    document: Document, source: Source, inner: Mapping[str, SubPipeline], plugins: Iterable[str | Path] = ()
) -> Graph:
    """Return the graph of a document, with its seed and precision.

    source: the data that the document was made from, with the places of its values. inner: the pipelines that are used
    as nodes, by name of the node; a node `b` of the pipeline that is used as the node `a` is called `a/b` in the graph.
    plugins: Python files with nodes. Raises PipelineError for a node, parameter or wire that is wrong.
    """
    return _Builder(document, source, inner, tuple(plugins)).graph()


class _Builder:
    def __init__(
        self, document: Document, source: Source, inner: Mapping[str, SubPipeline], plugins: tuple[str | Path, ...]
    ) -> None:
        self.document = document
        self.source = source
        self.inner = inner
        self.plugins = plugins
        self.kinds = {name: self._kind(name, e) for name, e in document.nodes.items() if isinstance(e, NodeEntry)}
        self.nodes: dict[str, Node] = {}
        self.wires: dict[str, str | list[str]] = {}
        self.followed: dict[str, str] = {}
        """Name of an origin as it is written in the file -> the origin that `_follow` returned for it."""

    def graph(self) -> Graph:
        for name, sub in self.inner.items():
            for key, stream in sub.graph.inputs.items():
                if key not in sub.given:
                    self._refuse(("nodes", name), f"pipeline '{sub.name}' takes '{key}', {stream}: wire it")
        for name, entry in self.document.nodes.items():
            if name in self.inner:
                self._add_graph(name, self.inner[name])
            else:
                self._add_node(name, dict(entry.model_extra or {}))
        inputs = self._inputs()
        outputs = {name: self._follow(origin, ("outputs", name)) for name, origin in self.document.outputs.items()}
        try:
            graph = Graph(self.nodes, self.wires, inputs, outputs, self.document.seed)
        except DspgraphError as error:
            raise self._placed(error) from error
        self._check_inner_inputs(graph)
        return graph

    def _refuse(self, path: KeyPath, message: str) -> None:
        raise PipelineError(f"{self.source.place(path)}: {message}")

    # ---- nodes ------------------------------------------------------------------------------------------------------

    def _kind(self, name: str, entry: NodeEntry) -> type[Node]:
        try:
            return registry.find(entry.node, self.plugins)
        except DspgraphError as error:
            raise PipelineError(f"{self.source.place(('nodes', name, 'node'))}: {error}") from error

    def _add_node(self, name: str, given: dict[str, Any]) -> None:
        kind, at = self.kinds[name], ("nodes", name)
        for port in kind.inputs:
            if port.name in given:
                self.wires[f"{name}.{port.name}"] = self._follow_all(given.pop(port.name), (*at, port.name))
        for key in given:
            if key not in kind.model_fields:
                known = {*kind.model_fields, *(port.name for port in kind.inputs)}
                self._refuse((*at, key), f"{kind.type_name} has no parameter '{key}'; {suggest(key, known)}")
            if isinstance(given[key], str) and names_file(kind, key):
                given[key] = str(self.source.folder_of((*at, key)) / given[key])
        try:
            self.nodes[name] = kind(**given)
        except ParameterError as error:
            faulty = [key for key in given if f".{key} is " in str(error)]
            raise PipelineError(f"{self.source.place((*at, *faulty[:1]))}: {error}") from None

    def _add_graph(self, name: str, sub: SubPipeline) -> None:
        for key, wire in sub.given.items():
            if key in sub.graph.inputs and isinstance(wire, list):
                self._refuse(("nodes", name, key), f"a pipeline takes one wire; found {len(wire)}: mix them first")
        inputs = {key: self._follow(sub.given[key], ("nodes", name, key)) for key in sub.graph.inputs}

        def outer(origin: str) -> str:
            return inputs.get(origin, f"{name}/{origin}")

        self.nodes |= {f"{name}/{key}": node for key, node in sub.graph.nodes.items()}
        for to, wire in sub.graph.wires.items():
            self.wires[f"{name}/{to}"] = outer(wire) if isinstance(wire, str) else [outer(one) for one in wire]

    # ---- wires ------------------------------------------------------------------------------------------------------

    def _follow_all(self, wire: Any, at: KeyPath) -> str | list[str]:
        return [self._follow(one, at) for one in wire] if isinstance(wire, list) else self._follow(wire, at)

    def _follow(self, wire: Any, at: KeyPath) -> str:
        """Return the origin of a wire: an input of the graph, or an output port of a node.

        wire: the origin as it is written in the file; at: the path of keys at which it is written. For an output of a
        pipeline that is used as a node, returns the port of the node inside that gives the output. If the output is one
        of the inputs of that pipeline, returns the origin of this input. Raises PipelineError if there is no such
        origin, or if such inputs lead back to the wire.
        """
        passed: dict[str, None] = {}
        while True:
            found: str | tuple[str, str] | None = self.followed.get(wire) if isinstance(wire, str) else None
            found = found or self._given_by(wire, at)
            if wire in passed:
                loop = " -> ".join([*list(passed)[list(passed).index(wire) :], wire])
                self._refuse(at, f"the wires have a loop: {loop}; feedback lives inside a node, not on a wire")
            passed[wire] = None
            if isinstance(found, str):
                self.followed |= dict.fromkeys(passed, found)
                return found
            name, key = found  # an output that is one of the inputs of its pipeline: follow the wire to that input
            wire, at = self.inner[name].given[key], ("nodes", name, key)

    def _given_by(self, wire: Any, at: KeyPath) -> str | tuple[str, str]:
        """Return the origin of a wire, as `_follow` does, but do not follow a wire through a pipeline.

        wire, at: as in `_follow`. A pipeline that is used as a node may have an output that is one of its own inputs.
        For a wire from such an output, the result is (name of the node, name of this input). Raises PipelineError if
        there is no such origin.
        """
        if not isinstance(wire, str):
            self._refuse(at, f"a port takes the name of a node or input; found {shown(wire)}")
        if wire in self.document.inputs:
            return str(wire)
        name, _, port = wire.partition(".")
        if name not in self.document.nodes:
            known = [*self.document.nodes, *self.document.inputs]
            if name in known:
                self._refuse(at, f"takes from '{wire}', but '{name}' is an input and has no ports: write '{name}'")
            self._refuse(at, f"takes from '{wire}', but nothing is called '{name}'; {suggest(name, known)}")
        ports = self._outputs(name)
        if not port and len(ports) > 1:
            ways = " or ".join(f"'{name}.{one}'" for one in ports)
            self._refuse(at, f"takes from '{name}', which has {len(ports)} outputs: write {ways}")
        port = port or ports[0]
        if port not in ports:
            self._refuse(at, f"takes from '{wire}', but '{name}' has no output '{port}'; {suggest(port, ports)}")
        if name in self.kinds:
            return f"{name}.{port}"
        sub = self.inner[name]
        origin = sub.graph.origins[port]
        return (name, origin) if origin in sub.graph.inputs else f"{name}/{origin}"

    def _outputs(self, name: str) -> list[str]:
        if name in self.kinds:
            return [port.name for port in self.kinds[name].outputs]
        return list(self.inner[name].graph.origins)

    def _inputs(self) -> dict[str, Stream]:
        inputs = {}
        for name, entry in self.document.inputs.items():
            try:
                stream = self._taken_by(name, entry) if isinstance(entry, PortInput) else entry.stream()
            except ParameterError as error:
                raise PipelineError(f"{self.source.place(('inputs', name))}: {error}") from None
            inputs[name] = stream.at_precision(self.document.precision)
        return inputs

    def _taken_by(self, name: str, entry: PortInput) -> Stream:
        """Return the stream of an input that is declared by a port, as in `inputs: {x: {port: note.latent}}`.

        The stream of the port follows from the parameters of its node (`Node.takes`). If the node is a pipeline, it is
        the stream of the input of that pipeline.

        name, entry: the name of the input ("x") and its entry. Raises PipelineError if there is no such port, or if the
        parameters do not decide its stream.
        """
        at, (owner, _, port) = ("inputs", name, "port"), entry.port.partition(".")
        if owner not in self.document.nodes:
            known = suggest(owner, self.document.nodes)
            self._refuse(at, f"is '{entry.port}', but no node is called '{owner}'; {known}")
        streams = self.inner[owner].graph.inputs if owner in self.inner else self.nodes[owner].takes()
        if port not in streams:
            known = ", ".join(f"'{owner}.{one}'" for one in streams) or "none"
            self._refuse(
                at,
                f"is '{entry.port}'; the parameters of '{owner}' decide the streams of these ports: {known}: "
                "declare the input by 'audio', 'frames' or 'symbols'",
            )
        return streams[port]

    # ---- errors of the graph ---------------------------------------------------------------------------------------

    def _check_inner_inputs(self, graph: Graph) -> None:
        """Raise PipelineError if a pipeline that is used as a node gets another stream than it declares.

        Streams that differ only in precision are no fault. graph: the whole graph, which has the streams.
        """
        for name, sub in self.inner.items():
            for key, declared in sub.graph.inputs.items():
                at = ("nodes", name, key)
                origin = self._follow(sub.given[key], at)
                found = graph.stream(origin)
                if found.at_precision(self.document.precision) != declared:
                    takes, gives = str(declared), str(found)
                    if takes == gives:
                        takes, gives = f"{takes} of {declared.dtype}", f"{gives} of {found.dtype}"
                    self._refuse(
                        at,
                        f"pipeline '{sub.name}' takes {takes}; {origin} gives {gives}: set its vars, or change "
                        "the wire",
                    )

    def _placed(self, error: DspgraphError) -> PipelineError:
        """Return an error of `Graph` as a PipelineError that begins with the place in the file.

        If the ends of a wire do not fit, the message ends with nodes that could be put between the ends.
        """
        begin = re.match(r"'?([\w/]*)", str(error))
        owner = error.taker if isinstance(error, WireError) else begin[1] if begin else ""
        inner, _, port = owner.partition(".")
        name, *rest = inner.split("/")
        path = ("nodes", name, *([port] if port and not rest else [])) if name in self.document.nodes else ("nodes",)
        hint = self._bridge(error) if isinstance(error, WireError) else ""
        return PipelineError(f"{self.source.place(path)}: {error}{hint}")

    def _bridge(self, error: WireError) -> str:
        """Return the end of a message, such as ": put a 'frame' or 'window' node between them"; "" if no node fits.

        error: the error about the wire. The message names up to three nodes that fit both ends. Return "" too if the
        fault is not that the stream does not fit the port (`error.stream` is None).
        """
        if error.stream is None:
            return ""
        kinds = registry.load_all(self.plugins)
        bridges = [f"'{name}'" for name, kind in kinds.items() if _bridges(kind, error.stream, error.port)]
        return f": put a {' or '.join(bridges[:3])} node between them" if bridges else ""


def _bridges(kind: type[Node], stream: Stream, port: Port) -> bool:
    """Return whether a node of the class `kind`, with default parameters, turns `stream` into one that fits `port`.

    False for a class with several inputs. If the node cannot be made without parameters, or does not accept the stream,
    only the declarations of its outputs count: one of them must be of the port's class and, if the port takes certain
    kinds only, name one of them.
    """
    if len(kind.inputs) != 1 or not kind.inputs[0].fits(stream):
        return False
    try:
        gives = kind().streams(stream)
    except Exception:  # any error, also of a plugin, is ignored, because the result is only a hint
        same = [one for one in kind.outputs if one.stream is port.stream]
        return any(not port.kinds or set(one.kinds) & set(port.kinds) for one in same)
    return any(port.fits(one) for one in gives)
