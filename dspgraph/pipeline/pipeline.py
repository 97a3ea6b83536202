"""Pipelines: graphs written in YAML. Names only, loaded safely, and every error says file, line and path.

    load("lpc_vocoder", overrides=["lpc.order=24", "hop=80"], swap={"excitation": "residual"})

A file is read, what it extends is laid under it, swaps and overrides are applied, `${vars}` are filled in, one
pydantic model validates the whole, and pipelines that stand as nodes are unfolded into the graph.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dspgraph.errors import DspgraphError, PipelineError, RequestError, UnknownName, suggest
from dspgraph.graph import Graph
from dspgraph.parameters import complaint_sentence
from dspgraph.pipeline.build import Standing, unfold
from dspgraph.pipeline.document import SETTINGS, Document, PipelineEntry, Trail, keys, locate, meaning, parse, read
from dspgraph.pipeline.interpolate import fill_vars


class Pipeline:
    """A pipeline as it stands after swaps and overrides. `graph` is what it describes.

    outer and role are for a pipeline that stands as a node: the pipeline it stands in, and the name of the node. It
    takes its vars from what it is given there. Its precision and seed are those of the outer one.
    """

    def __init__(
        self,
        name: str | Path,
        overrides: Iterable[str] = (),
        swap: Mapping[str, str] | None = None,
        plugins: Iterable[str | Path] = (),
        outer: Pipeline | None = None,
        role: str = "",
    ) -> None:
        self.path: Path = locate(name, outer.path if outer else None)
        self.name = self.path.stem
        self.plugins = tuple(plugins)
        self.files: tuple[Path, ...] = (*(outer.files if outer else ()), self.path.resolve())
        if self.files.count(self.files[-1]) > 1:
            circle = " -> ".join(path.name for path in self.files)
            raise PipelineError(f"pipelines stand in each other in a circle: {circle}")
        self.source = read(self.path)
        self._check_shape()
        if outer:
            self._take_vars(outer, role)
        self.variants = self._variants()
        self._inward_overrides: dict[str, list[str]] = defaultdict(list)
        self._inward_swaps: dict[str, dict[str, str]] = defaultdict(dict)
        for slot in sorted(swap or {}, key=lambda slot: len(re.findall("[./]", slot))):
            self._swap(slot, (swap or {})[slot])
        for override in overrides:
            self._override(override)
        self.document = self._validate()
        if outer:
            self._join(outer.document)

    @cached_property
    def graph(self) -> Graph:
        """The graph; errors say where in the file the fault is."""
        entries = {name: one for name, one in self.document.nodes.items() if isinstance(one, PipelineEntry)}
        standing = {name: self._standing(name, entry) for name, entry in entries.items()}
        return unfold(self.document, self.source, standing, self.plugins)

    # ---- what is asked of the file ----------------------------------------------------------------------------------

    def _check_shape(self) -> None:
        """Sections and entries are mappings; an empty section is as good as none."""
        data = self.source.data
        for section in ("vars", "inputs", "nodes", "outputs", "variants"):
            if section in data and data[section] is None:
                del data[section]
        for path, value in self._mappings():
            if not isinstance(value, dict):
                entry = (path[0], len(path)) in (("nodes", 2), ("variants", 3))
                what = "with one of the keys 'node', 'pipeline'" if entry else "of names"
                raise PipelineError(f"{self.source.place(path)}: must be a mapping {what}; found {value!r}")

    def _mappings(self) -> Iterator[tuple[Trail, Any]]:
        data = self.source.data
        for section in ("vars", "inputs", "nodes", "outputs", "variants"):
            yield (section,), data.get(section, {})
        for name, entry in data.get("nodes", {}).items():
            yield ("nodes", name), entry
        for slot, choices in data.get("variants", {}).items():
            yield ("variants", slot), choices
            for name, entry in choices.items():
                yield ("variants", slot, name), entry

    def _variants(self) -> dict[str, tuple[str, ...]]:
        """For every slot the names of what may stand in it, the one that does by default first."""
        nodes, found = self.source.data.get("nodes", {}), {}
        for slot, choices in self.source.data.get("variants", {}).items():
            place = self.source.place(("variants", slot))
            if slot not in nodes:
                raise PipelineError(f"{place}: no node is called '{slot}'; {suggest(slot, nodes)}")
            default = str(nodes[slot].get("node") or Path(str(nodes[slot].get("pipeline", ""))).stem)
            if default in choices:
                raise PipelineError(
                    f"{self.source.place(('variants', slot, default))}: '{default}' is the name of what stands in "
                    f"'{slot}' as it is: give the variant another name"
                )
            found[slot] = (default, *choices)
        return found

    def _swap(self, slot: str, variant: str) -> None:
        head, _, rest = slot.replace("/", ".").partition(".")
        if rest and self._stands(head):
            self._inward_swaps[head][rest] = variant
            return
        if slot not in self.variants:
            raise UnknownName(f"{self.name} has no variants of '{slot}'; {suggest(slot, self.variants)}")
        if variant not in self.variants[slot]:
            raise UnknownName(
                f"{self.name}: '{slot}' has no variant '{variant}'; {suggest(variant, self.variants[slot])}"
            )
        if variant != self.variants[slot][0]:
            self.source.data["nodes"][slot] = self.source.data["variants"][slot][variant]
            self.source.move(("variants", slot, variant), ("nodes", slot))

    def _stands(self, name: str) -> bool:
        return "pipeline" in self.source.data.get("nodes", {}).get(name, {})

    def _override(self, override: str) -> None:
        key, equals, text = override.partition("=")
        if not equals:
            raise RequestError(f"'{override}' sets nothing: write NODE.PARAMETER=VALUE, or VAR=VALUE")
        data = self.source.data
        nodes, variables = data.get("nodes", {}), data.get("vars", {})
        name, dot, parameter = key.replace("/", ".").partition(".")
        if dot and name not in nodes:
            raise UnknownName(f"'{override}': no node is called '{name}'; {suggest(name, nodes)}")
        if "." in parameter:
            if not self._stands(name):
                raise UnknownName(f"'{override}': '{name}' is a node, nothing is in it: write {name}.PARAMETER")
            self._inward_overrides[name].append(f"{parameter}={text}")
            return
        if not dot and key not in (*variables, *SETTINGS):
            raise UnknownName(
                f"'{override}': {self.name} has no var '{key}'; {suggest(key, [*variables, *SETTINGS])} "
                "(a parameter is NODE.PARAMETER)"
            )
        path: Trail = ("nodes", name, parameter) if dot else (key,) if key in SETTINGS else ("vars", key)
        target = nodes[name] if dot else data if key in SETTINGS else variables
        target[path[-1]] = parse(text, f"'{override}'").data
        self.source.note(path, f"'{override}'")

    # ---- from data to a document ------------------------------------------------------------------------------------

    def _validate(self) -> Document:
        data = fill_vars(self.source)
        try:
            document = Document.model_validate(data)
        except ValidationError as error:
            raise PipelineError("\n".join(self._sentence(detail) for detail in error.errors())) from None
        for name in document.inputs.keys() & document.vars.keys():
            raise PipelineError(f"{self.source.place(('inputs', name))}: a var has this name too: rename one")
        return document

    def _sentence(self, detail: Any) -> str:
        """One pydantic complaint as file, line, path, found and expected."""
        tags = {"audio", "frames", "symbols", "node", "pipeline"}
        raw = [str(part) for part in detail["loc"] if part != "[key]"]
        depth = 3 if raw[:1] == ["variants"] else 2
        path = tuple(part for k, part in enumerate(raw) if not (k == depth and part in tags))
        place = self.source.place(path)
        if detail["type"] == "missing":
            return f"{place} is missing: {meaning(path[-1])}"
        if detail["type"] == "extra_forbidden":
            return f"{place}: no such key; {suggest(path[-1], keys(len(path)))}"
        if detail["type"] == "string_pattern_mismatch":
            return f"{place}: a name is letters, digits and _, not beginning with a digit; found '{detail['input']}'"
        return complaint_sentence(detail, place)

    # ---- one in another ---------------------------------------------------------------------------------------------

    def _take_vars(self, outer: Pipeline, role: str) -> None:
        """The vars that are given where this one stands; each has its origin where the outer value has it."""
        variables = self.source.data.get("vars", {})
        for key, value in (outer.document.nodes[role].model_extra or {}).items():
            if key in variables:
                variables[key] = value
                self.source.note(("vars", key), outer.source.origin(("nodes", role, key)))

    def _join(self, whole: Document) -> None:
        """Take the precision and the seed of the pipeline this one stands in."""
        if "seed" in self.document.model_fields_set and self.document.seed != whole.seed:
            raise PipelineError(
                f"{self.source.place(('seed',))}: is {self.document.seed}, and {whole.seed} in the pipeline it stands "
                "in: one seed keys the noise of the whole: leave it out here, or set the same there"
            )
        self.document = self.document.model_copy(update={"precision": whole.precision, "seed": whole.seed})

    def _standing(self, name: str, entry: PipelineEntry) -> Standing:
        """The pipeline that stands as a node, with those of the given keys that are its vars set."""
        at, given = ("nodes", name), entry.model_extra or {}
        try:
            locate(entry.pipeline, self.path)
        except UnknownName as error:
            raise PipelineError(f"{self.source.place((*at, 'pipeline'))}: {error}") from None
        asked = self._inward_overrides[name], self._inward_swaps[name]
        try:
            inner = Pipeline(entry.pipeline, *asked, self.plugins, self, name)
            known = [*inner.document.inputs, *inner.document.vars]
            graph = inner.graph
        except DspgraphError as error:
            raise PipelineError(f"{self.source.place(at)}: in the pipeline '{entry.pipeline}': {error}") from error
        for key in given:
            if key not in known:
                raise PipelineError(
                    f"{self.source.place((*at, key))}: pipeline '{inner.name}' has no input or var '{key}'; "
                    f"{suggest(key, known)}"
                )
        return Standing(inner.name, graph, given)


def load(
    name: str | Path,
    overrides: Sequence[str] = (),
    swap: Mapping[str, str] | None = None,
    plugins: Iterable[str | Path] = (),
) -> Graph:
    """The graph of a pipeline, shipped or a file of your own.

    overrides: "node.parameter=value" or "var=value". swap: slot -> name of a variant. A pipeline that stands as a
    node is reached into with a dot: "node.inner.parameter=value", "node.slot". plugins: Python files with nodes.
    Raises PipelineError (file, line and path of the fault) or UnknownName (with the nearest right name).
    """
    return Pipeline(name, overrides, swap, plugins).graph


def variants(name: str | Path) -> list[dict[str, str]]:
    """Every swap of one slot a pipeline offers, the pipeline as it is (an empty swap) first."""
    slots = Pipeline(name).variants
    return [{}, *({slot: choice} for slot, choices in slots.items() for choice in choices[1:])]
