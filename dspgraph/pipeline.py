"""Pipelines: graphs written in YAML. Names only, loaded safely, and every error says file, line and path.

    load("lpc_vocoder", overrides=["lpc.order=24", "hop=80"], swap={"excitation": "residual"})

A file is read, what it extends is laid under it, swaps and overrides are applied, `${vars}` are filled in, one
pydantic model validates the whole, and pipelines that stand as nodes are unfolded into the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from dspgraph import discover
from dspgraph.document import (
    SETTINGS,
    Document,
    NodeEntry,
    PipelineEntry,
    Trail,
    keys,
    locate,
    meaning,
    read,
    scalar,
)
from dspgraph.errors import DspgraphError, LinkError, ParameterError, PipelineError, RequestError, UnknownName, nearest
from dspgraph.graph import Graph
from dspgraph.node import Node
from dspgraph.streams import Stream


class Pipeline:
    """A pipeline as it stands after swaps and overrides. `graph` is what it describes.

    beside, within and given are for a pipeline that stands as a node: the file that names it, the files around it, and
    what it is given there, from which it takes its vars.
    """

    def __init__(
        self,
        name: str | Path,
        overrides: Sequence[str] = (),
        swap: Mapping[str, str] | None = None,
        plugins: Iterable[str | Path] = (),
        beside: Path | None = None,
        within: tuple[Path, ...] = (),
        given: dict[str, Any] | None = None,
    ) -> None:
        self.path = locate(name, beside)
        self.name = self.path.stem
        self.plugins = tuple(plugins)
        self.within = (*within, self.path.resolve())
        if self.path.resolve() in within:
            raise PipelineError(
                f"pipelines stand in each other in a circle: {' -> '.join(p.name for p in self.within)}"
            )
        self.source = read(self.path)
        self.variants = self._variants()
        self.swapped = dict(swap or {})
        for slot, variant in self.swapped.items():
            self._swap(slot, variant)
        for override in overrides:
            self._override(override)
        for key in (given or {}).keys() & (self.source.data.get("vars") or {}).keys():
            self.source.data["vars"][key] = (given or {}).pop(key)
        self.document = self._validate()

    @cached_property
    def graph(self) -> Graph:
        """The graph; errors say where in the file the fault is."""
        nodes, wires, declared = self._unfold()
        inputs = self._inputs()
        try:
            graph = Graph(nodes, wires, inputs, self._outputs(), self.document.seed)
        except DspgraphError as error:
            raise self._placed(error) from error
        for where, origin, promised in declared:
            found = graph.stream(origin).at_precision(promised.at_precision(self.document.precision).dtype)
            if found != promised.at_precision(self.document.precision):
                raise PipelineError(
                    f"{where} takes {promised}; {origin} gives {found}: set its vars, or change the wire"
                )
        return graph

    def _variants(self) -> dict[str, tuple[str, ...]]:
        """For every slot the names of what may stand in it, the one that does by default first."""
        nodes, variants = (self.source.data.get(key) or {} for key in ("nodes", "variants"))
        found = {}
        if isinstance(variants, dict) and isinstance(nodes, dict):
            for slot, choices in variants.items():
                if slot not in nodes:
                    raise PipelineError(
                        f"{self.source.place(('variants', slot))}: no node is called '{slot}'; {nearest(slot, nodes)}"
                    )
                if isinstance(choices, dict):
                    found[slot] = (_default_name(nodes[slot]), *(c for c in choices if c != _default_name(nodes[slot])))
        return found

    def _swap(self, slot: str, variant: str) -> None:
        if slot not in self.variants:
            raise UnknownName(f"{self.name} has no variants of '{slot}'; {nearest(slot, self.variants)}")
        choices = self.source.data["variants"][slot]
        if variant in choices:
            self.source.data["nodes"][slot] = choices[variant]
            self.source.move(("variants", slot, variant), ("nodes", slot))
        elif variant not in self.variants[slot]:
            raise UnknownName(
                f"{self.name}: '{slot}' has no variant '{variant}'; {nearest(variant, self.variants[slot])}"
            )

    def _override(self, override: str) -> None:
        key, equals, text = override.partition("=")
        if not equals:
            raise RequestError(f"'{override}' sets nothing: write NODE.PARAMETER=VALUE, or VAR=VALUE")
        value = scalar(text)
        data = self.source.data
        node, dot, parameter = key.rpartition(".")
        if dot:
            nodes = data.get("nodes") or {}
            if not isinstance(nodes.get(node), dict):
                raise UnknownName(f"'{override}': no node is called '{node}'; {nearest(node, nodes)}")
            nodes[node][parameter] = value
            self.source.marks[("nodes", node, parameter)] = f"'{override}'"
        elif key in SETTINGS:
            data[key] = value
            self.source.marks[(key,)] = f"'{override}'"
        else:
            variables = data.get("vars") or {}
            if key not in variables:
                raise UnknownName(
                    f"'{override}': {self.name} has no var '{key}'; {nearest(key, [*variables, *SETTINGS])} "
                    "A parameter is NODE.PARAMETER"
                )
            variables[key] = value
            self.source.marks[("vars", key)] = f"'{override}'"

    def _validate(self) -> Document:
        data = self._filled()
        try:
            return Document.model_validate(data)
        except ValidationError as error:
            raise PipelineError("\n".join(self._sentence(detail) for detail in error.errors())) from None

    def _filled(self) -> dict[str, Any]:
        """The data with `${vars}` filled in; only vars can be named: nothing of the machine leaks into a pipeline."""
        variables = self.source.data.get("vars") or {}
        if not isinstance(variables, dict):
            raise PipelineError(f"{self.source.place(('vars',))}: must be a mapping of names to values")

        def fill(value: Any, at: Trail) -> Any:
            if isinstance(value, dict):
                return {key: fill(inner, (*at, key)) for key, inner in value.items()}
            if isinstance(value, list):
                return [fill(inner, (*at, str(k))) for k, inner in enumerate(value)]
            if not isinstance(value, str) or "${" not in value:
                return value
            if ":" in value:
                raise PipelineError(f"{self.source.place(at)}: '{value}' calls a resolver; only ${{var}} is filled in")
            try:
                config = OmegaConf.create({**variables, "dspgraph value": value})
                return OmegaConf.to_container(config, resolve=True)["dspgraph value"]  # type: ignore[call-overload,index]
            except OmegaConfBaseException as error:
                names = nearest(value.strip("${} "), variables)
                raise PipelineError(f"{self.source.place(at)}: {str(error).splitlines()[0]}; {names}") from None

        return {key: fill(value, (key,)) for key, value in self.source.data.items()}

    def _sentence(self, detail: Any) -> str:
        """One pydantic complaint as file, line, path, found and expected."""
        tags = {"audio", "frames", "symbols", "node", "pipeline"}
        raw = [str(part) for part in detail["loc"]]
        depth = 3 if raw[:1] == ["variants"] else 2
        path = tuple(part for k, part in enumerate(raw) if not (k == depth and part in tags))
        place = self.source.place(path)
        if detail["type"] == "missing":
            return f"{place} is missing: {meaning(path[-1])}"
        if detail["type"] == "extra_forbidden":
            return f"{place}: no such key; {nearest(path[-1], keys(len(path)))}"
        return f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]}; found {detail['input']!r}"

    # ---- from entries to nodes and wires ----------------------------------------------------------------------------

    def _unfold(self) -> tuple[dict[str, Node], dict[str, Any], list[tuple[str, str, Stream]]]:
        nodes: dict[str, Node] = {}
        wires: dict[str, Any] = {}
        declared: list[tuple[str, str, Stream]] = []
        for name, entry in self.document.nodes.items():
            given = dict(entry.model_extra or {})
            at = ("nodes", name)
            if isinstance(entry, NodeEntry):
                try:
                    kind = discover.find(entry.node, self.plugins)
                except UnknownName as error:
                    raise PipelineError(f"{self.source.place((*at, 'node'))}: {error}") from None
                ports = {port.name for port in kind.inputs}
                for port in sorted(ports & given.keys()):
                    wires[f"{name}.{port}"] = self._wire(given.pop(port), (*at, port))
                nodes[name] = self._make(kind, given, at)
            else:
                inner = self._inner(entry, given, at)
                self._fold_in(name, inner, given, at, nodes, wires, declared)
        return nodes, wires, declared

    def _make(self, kind: type[Node], given: dict[str, Any], at: Trail) -> Node:
        try:
            return kind(**given)
        except DspgraphError as error:
            faulty = next((key for key in given if key not in kind.model_fields), None)
            faulty = faulty or next((key for key in given if f".{key} is " in str(error)), None)
            raise PipelineError(f"{self.source.place((*at, faulty) if faulty else at)}: {error}") from None

    def _inner(self, entry: PipelineEntry, given: dict[str, Any], at: Trail) -> Pipeline:
        """The pipeline that stands as a node, with those of the given keys that are its vars set."""
        try:
            return Pipeline(entry.pipeline, beside=self.path, within=self.within, plugins=self.plugins, given=given)
        except UnknownName as error:
            raise PipelineError(f"{self.source.place((*at, 'pipeline'))}: {error}") from None

    def _fold_in(
        self,
        name: str,
        inner: Pipeline,
        given: dict[str, Any],
        at: Trail,
        nodes: dict[str, Node],
        wires: dict[str, Any],
        declared: list[tuple[str, str, Stream]],
    ) -> None:
        graph = inner.graph
        for key in given:
            if key not in graph.inputs:
                known = [*graph.inputs, *inner.document.vars]
                raise PipelineError(
                    f"{self.source.place((*at, key))}: pipeline '{inner.name}' has no input or var '{key}'; "
                    f"{nearest(key, known)}"
                )
        origins = {}
        for key, stream in graph.inputs.items():
            if key not in given:
                raise PipelineError(
                    f"{self.source.place(at)}: pipeline '{inner.name}' takes '{key}', {stream}: wire it"
                )
            origins[key] = self._wire(given[key], (*at, key))
            declared.append((f"{self.source.place((*at, key))}: pipeline '{inner.name}'", origins[key], stream))

        def outer(origin: str) -> str:
            return str(origins[origin]) if origin in origins else f"{name}/{origin}"

        for key, node in graph.nodes.items():
            nodes[f"{name}/{key}"] = node
        for to, wire in graph.wires.items():
            wires[f"{name}/{to}"] = outer(wire) if isinstance(wire, str) else [outer(origin) for origin in wire]

    def _wire(self, value: Any, at: Trail) -> Any:
        """An origin as the graph names it: outputs of a pipeline that stands as a node lead inside it."""
        if isinstance(value, list):
            return [self._wire(one, at) for one in value]
        if not isinstance(value, str):
            raise PipelineError(f"{self.source.place(at)}: a port takes the name of a node or input; found {value!r}")
        name, _, port = value.partition(".")
        entry = self.document.nodes.get(name)
        if not isinstance(entry, PipelineEntry):
            return value
        origins = self._inner(entry, dict(entry.model_extra or {}), ("nodes", name)).graph.origins
        if not port and len(origins) == 1:
            port = next(iter(origins))
        if port not in origins:
            raise PipelineError(
                f"{self.source.place(at)}: pipeline '{entry.pipeline}' has no output '{port}'; {nearest(port, origins)}"
            )
        inner = origins[port]
        if "." in inner:
            return f"{name}/{inner}"
        return self._wire((entry.model_extra or {})[inner], at)  # an output that is an input, straight through

    def _inputs(self) -> dict[str, Stream]:
        inputs = {}
        for name, entry in self.document.inputs.items():
            try:
                inputs[name] = entry.stream().at_precision(self.document.precision)
            except ParameterError as error:
                raise PipelineError(f"{self.source.place(('inputs', name))}: {error}") from None
        return inputs

    def _outputs(self) -> dict[str, str]:
        return {name: self._wire(origin, ("outputs", name)) for name, origin in self.document.outputs.items()}

    def _placed(self, error: DspgraphError) -> PipelineError:
        """A fault of the graph, with its place in the file and, for two ends that do not fit, what would join them."""
        text = str(error)
        path: Trail = ("nodes",)
        candidates = [("nodes", *to.split(".", 1)) for to in (getattr(error, "taker", ""),) if to]
        candidates += [
            ("nodes", name) for name in self.document.nodes if text.startswith((f"{name}:", f"{name}.", f"{name} "))
        ]
        candidates += [("outputs", name) for name in self.document.outputs if f"the output '{name}'" in text]
        path = candidates[0] if candidates else path
        hint = self._bridge(error) if isinstance(error, LinkError) else ""
        return PipelineError(f"{self.source.place(path)}: {text}{hint}")

    def _bridge(self, error: LinkError) -> str:
        """': put a 'frame' node between them', found by asking every node what it takes and gives."""
        if error.stream is None:
            return ""
        bridges = []
        for name, found in discover.nodes(self.plugins).items():
            kind = found.load()
            gives = any(
                output.stream is error.port.stream and set(output.kinds) & set(error.port.kinds or output.kinds)
                for output in kind.outputs
            )
            if gives and len(kind.inputs) == 1 and kind.inputs[0].fits(error.stream):
                bridges.append(f"'{name}'")
        return f": put a {' or '.join(bridges[:3])} node between them" if bridges else ""


def load(
    name: str | Path,
    overrides: Sequence[str] = (),
    swap: Mapping[str, str] | None = None,
    plugins: Iterable[str | Path] = (),
) -> Graph:
    """The graph of a pipeline, shipped or a file of your own.

    overrides: "node.parameter=value" or "var=value". swap: slot -> name of a variant. plugins: Python files with nodes.
    Raises PipelineError (file, line and path of the fault) or UnknownName (with the nearest right name).
    """
    return Pipeline(name, overrides, swap, plugins).graph


def variants(name: str | Path) -> list[dict[str, str]]:
    """Every swap of one slot a pipeline offers, the pipeline as it is (an empty swap) first."""
    slots = Pipeline(name).variants
    return [{}, *({slot: choice} for slot, choices in slots.items() for choice in choices[1:])]


def _default_name(entry: Any) -> str:
    return str(entry.get("node") or Path(str(entry.get("pipeline"))).stem) if isinstance(entry, dict) else ""
