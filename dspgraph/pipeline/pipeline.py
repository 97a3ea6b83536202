"""Pipelines: graphs that are written in YAML. A message about a fault in a file says file, line and path.

    load("lpc_vocoder", overrides=["lpc.order=24"], swap="excitation=residual", hop=80)

The steps, and the modules that do them:

1. `read`: the file is read, and merged with the file that it extends. A file has plain values only, never code.
2. `overrides`: swaps and overrides are applied.
3. `file_values`: `file`, the rate or the channels of the file that is rendered, is replaced by a number.
4. `validate`: each `${var}` is replaced by its value (`interpolate`), and sections, keys and types are checked against
   `document`.
5. `build`: the graph is made. It includes the nodes of the pipelines that are used as nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from dspgraph import registry
from dspgraph.errors import DspgraphError, PipelineError, UnknownName, suggest
from dspgraph.graph import Graph, Loaded
from dspgraph.pipeline.build import SubPipeline, build
from dspgraph.pipeline.document import ControlInput, Document, PipelineEntry
from dspgraph.pipeline.file_values import Values, Wanted, put_values, unset_message, values_of, wanted_values
from dspgraph.pipeline.locate import locate
from dspgraph.pipeline.overrides import Slots, apply_overrides, apply_swaps, slots_of, swap_pairs
from dspgraph.pipeline.read import MOST_FILES, Files, KeyPath, Source
from dspgraph.pipeline.validate import check_shape, validate

MOST_PIPELINES = 1000
MOST_NODES = 2000
MOST_VALUES_IN_ALL = 100_000
"""Limits of one pipeline together with all pipelines that are used as nodes in it: pipelines, nodes, values.

Without limits a few files could fill the memory: 20 files, each of which uses the next one twice, are 2**20 pipelines.
"""


class _Used:
    """The files that were read for one pipeline so far, and the counts of pipelines, nodes and values in them.

    The pipelines that are used as nodes, directly or inside others, count too.
    """

    def __init__(self) -> None:
        self.files = Files()
        self.sources: dict[Path, Source] = {}
        self.pipelines = self.nodes = self.values = 0

    def read(self, path: Path) -> Source:
        """Return the data of a pipeline file, and count one more pipeline and its values.

        The result is a copy, which may be changed. The file is read from disk only once. Raises PipelineError if the
        file cannot be read, has a wrong shape (see `check_shape`), or is one too many, or if there are too many values.
        """
        if path not in self.sources:
            self.sources[path] = self.files.read(path)
            check_shape(self.sources[path])
        source = self.sources[path]
        self.pipelines += 1
        self.values += source.values
        if self.pipelines > MOST_PIPELINES or self.values > MOST_VALUES_IN_ALL:
            raise PipelineError(
                f"more than {MOST_PIPELINES} pipelines are used as nodes, or they have more than {MOST_VALUES_IN_ALL} "
                "values: this is not a pipeline"
            )
        return source.copy()

    def add(self, nodes: int) -> None:
        """Count the nodes of one more pipeline. Raises PipelineError if there are too many."""
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise PipelineError(
                f"more than {MOST_NODES} nodes, those of the pipelines that are used as nodes included: this is not a "
                "pipeline"
            )


class Pipeline:
    """A pipeline file with swaps and overrides applied. `graph` is the graph that it describes, `slots` its slots.

    name, overrides, plugins: as in `load`. swap: slot -> name of a variant; a text is not allowed here. outer, node:
    only for a pipeline that is used as a node: the pipeline that contains the node, and the name of the node. The entry
    of the node can then set vars of this pipeline, and precision and seed are taken from the outer pipeline. Raises the
    same errors as `load`; faults of nodes and wires are raised by `graph`, at its first use.

    An input may have the rate or the number of channels of the file that is rendered (see `file_values`). values: such
    numbers, as far as they are known. The attribute `from_file` has all of them: number -> path at which `file` is
    written for it. The attribute `wanted` lists the numbers that are not known yet. As long as there are any, the
    pipeline has no `graph`: `given` and `for_file` return a copy of the pipeline that has the numbers and a graph.
    """

    def __init__(
        self,
        name: str | Path,
        overrides: Iterable[str] = (),
        swap: Mapping[str, str] | None = None,
        plugins: Iterable[str | Path] = (),
        outer: Pipeline | None = None,
        node: str = "",
        values: Values = (),
    ) -> None:
        self.path: Path = locate(name, outer.path if outer else None)
        self.name = self.path.stem
        self.plugins = tuple(plugins)
        overrides = tuple(overrides)
        self._arguments = str(name), overrides, dict(swap or {}), self.plugins
        self._values, self._taps = dict(values), tuple[str, ...]()
        self.files: tuple[Path, ...] = (*(outer.files if outer else ()), self.path.resolve())
        if self.files.count(self.files[-1]) > 1:
            circle = " -> ".join(path.name for path in self.files)
            raise PipelineError(f"the pipelines contain each other in a circle: {circle}")
        if len(self.files) > MOST_FILES:
            raise PipelineError(f"more than {MOST_FILES} pipelines are one inside the other: this is not a pipeline")
        self._used: _Used = outer._used if outer else _Used()
        self.source = self._used.read(self.path)
        if outer:
            self._take_vars(outer, node)
        self.slots: Slots = slots_of(self.source)
        self._inner_swaps = apply_swaps(self.source, self.name, self.slots, swap or {})
        self._inner_overrides = apply_overrides(self.source, self.name, overrides)
        self.from_file: dict[Wanted, KeyPath] = wanted_values(self.source)
        if outer and self.from_file:
            raise PipelineError(
                f"{self.source.place(next(iter(self.from_file.values())))}: a pipeline that is used as a node has no "
                "file: write a var here, and give it a value in the node"
            )
        put_values(self.source, self.from_file, self._values)
        self.document = validate(self.source, self.plugins)
        self._used.add(len(self.document.nodes))
        if outer:
            self._take_settings(outer.document)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The rates and numbers of channels that the inputs take from files, and that are not known yet."""
        return tuple(one for one in self.from_file if one not in self._values)

    def given(self, values: Values) -> Pipeline:
        """Return a copy of this pipeline that has the rates and channels of files. The pipeline is read again.

        values: pairs (entry of `wanted`, number), one for every entry. For a pipeline without `outer` only.
        """
        return Pipeline(*self._arguments, values=(*self._values.items(), *values)).tap(*self._taps)

    def for_file(self, file: Path) -> Pipeline:
        """Return a copy of this pipeline with the rate and channels of `file` for all entries of `wanted`.

        If `wanted` is empty, return this pipeline, and do not read the file. Raises FileError for a file that cannot be
        read, and RequestError for an .npz file.
        """
        files = {one.input: file for one in self.wanted}
        return self.given(values_of(self.wanted, files)) if files else self

    def tap(self, *names: str) -> Self:
        """Return a copy of this pipeline with more outputs, as `Graph.tap` does. Errors are raised by its `graph`.

        names: the origins of the new outputs, "node.port" or the name of a node with one output.
        """
        tapped = copy(self)
        tapped.__dict__.pop("graph", None)
        tapped._taps = (*self._taps, *names)
        return tapped

    @cached_property
    def graph(self) -> Graph:
        """The graph that the file describes, built at the first use.

        Raises PipelineError for a fault in the file, and if an input has the rate or channels of a file that is not
        known (see `wanted`).
        """
        for one in self.wanted:
            raise PipelineError(unset_message(self.source, one, self.from_file[one]))
        entries = {name: one for name, one in self.document.nodes.items() if isinstance(one, PipelineEntry)}
        inner = {name: self._sub_pipeline(name, entry) for name, entry in entries.items()}
        graph = build(self.document, self.source, inner, self.plugins)
        graph.loaded = self._loaded()
        return graph.tap(*self._taps) if self._taps else graph

    def _loaded(self) -> Loaded | None:
        """Return the arguments with which `load` makes the same graph without a file.

        Where the value of a var is `file`, an override sets the var to the number from the file. Return None if `file`
        is written where no override can replace it: in an input itself, or inside the value of a var. The plugins are
        left out.
        """
        name, overrides, swap, _ = self._arguments
        for one, number in self._values.items():
            section, *keys = self.from_file[one]
            if section != "vars" or len(keys) > 1:
                return None
            others = (override for override in overrides if override.partition("=")[0] != keys[0])
            overrides = (*others, f"{keys[0]}={number}")
        return Loaded(name, overrides, swap)

    @property
    def controls(self) -> dict[str, float]:
        """The inputs that are controls: name -> value before the first event."""
        return {name: one.control for name, one in self.document.inputs.items() if isinstance(one, ControlInput)}

    def _take_vars(self, outer: Pipeline, node: str) -> None:
        """Set the vars that have a value in the entry of the node in the outer pipeline.

        Messages about such a value then name the place in the outer file, because the value is written there.
        """
        variables = self.source.data.get("vars", {})
        for key, value in (outer.document.nodes[node].model_extra or {}).items():
            if key in variables:
                variables[key] = value
                self.source.remark(("vars", key), outer.source.origin(("nodes", node, key)))

    def _take_settings(self, outer: Document) -> None:
        """Take precision and seed from the outer pipeline. Raises PipelineError if this file sets another seed."""
        if "seed" in self.document.model_fields_set and self.document.seed != outer.seed:
            raise PipelineError(
                f"{self.source.place(('seed',))}: is {self.document.seed}, and {outer.seed} in the pipeline that uses "
                "this one: a graph has one seed: leave it out here, or set the same there"
            )
        self.document = self.document.model_copy(update={"precision": outer.precision, "seed": outer.seed})

    def _sub_pipeline(self, name: str, entry: PipelineEntry) -> SubPipeline:
        """Return the pipeline that is used as the node `name`, with the vars of its entry, and its swaps and overrides.

        entry: the entry of this node. Raises PipelineError for a fault in it or in the used pipeline.
        """
        at, given = ("nodes", name), entry.model_extra or {}
        try:
            locate(entry.pipeline, self.path)
        except UnknownName as error:
            raise PipelineError(f"{self.source.place((*at, 'pipeline'))}: {error}") from None
        requests = self._inner_overrides.get(name, ()), self._inner_swaps.get(name, {})
        try:
            inner = Pipeline(entry.pipeline, *requests, self.plugins, self, name)
            known = [*inner.document.inputs, *inner.document.vars]
            graph = inner.graph
        except DspgraphError as error:
            first, *more = error.complaints
            raise PipelineError(
                f"{self.source.place(at)}: in the pipeline '{entry.pipeline}': {first}", *more
            ) from error
        for key in given:
            if key not in known:
                raise PipelineError(
                    f"{self.source.place((*at, key))}: pipeline '{inner.name}' has no input or var '{key}'; "
                    f"{suggest(key, known)}"
                )
        return SubPipeline(inner.name, graph, given)


def load(
    name: str | Path,
    /,
    overrides: Sequence[str] = (),
    swap: Mapping[str, str] | str | None = None,
    plugins: Iterable[str | Path] = (),
    file: str | Path | None = None,
    **variables: Any,
) -> Graph:
    """Return the graph of a pipeline.

    name: the name of the pipeline, or the path of its file. overrides: "node.parameter=value" or "var=value". swap:
    slot -> name of a variant; or a text, "slot=variant", with commas between several. To change a pipeline that is used
    as the node `codec`, put "codec." first: "codec.lpc.order=24", {"codec.excitation": "residual"}. plugins: Python
    files with nodes. file: an audio file; inputs that are declared with the rate or channels `file` get those of this
    file. variables: values of vars of the pipeline, or of `precision` and `seed`.

    Raises PipelineError for a fault in a file (the message says file, line and path), UnknownName if an argument
    names a pipeline, node, var, slot or variant that does not exist (PipelineError if it is missing inside a pipeline
    that is used as a node), and RequestError for an override or a swap without `=` and for two that set the same value
    or slot. If an input takes its rate or channels from `file`, raises FileError if the file cannot be read, and
    RequestError for an .npz file.
    """
    written = [f"{key}={json.dumps(value, default=_plain, ensure_ascii=False)}" for key, value in variables.items()]
    pipeline = Pipeline(name, [*overrides, *written], _swaps(swap), plugins)
    return (pipeline if file is None else pipeline.for_file(Path(file))).graph


def _plain(value: Any) -> Any:
    """Return a value that JSON can have: a Python number for a numpy number, a text for a path or any other object."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _swaps(swap: Mapping[str, str] | str | None) -> Mapping[str, str]:
    return swap_pairs(pair.strip() for pair in swap.split(",")) if isinstance(swap, str) else swap or {}


def variants(name: str | Path) -> list[dict[str, str]]:
    """Return a list of swaps: first {}, which swaps nothing, then {slot: variant} for every variant of a pipeline.

    name: the name of the pipeline, or the path of its file.
    """
    slots = Pipeline(name).slots
    return [{}, *({slot: choice} for slot, choices in slots.items() for choice in choices[1:])]


@dataclass(frozen=True)
class PipelineSummary:
    """One line of a list of pipelines.

    pack: the installed package that contains the pipeline. about: what the pipeline does. slots: slot -> names of the
    default and the variants.
    """

    name: str
    pack: str
    about: str
    slots: Slots


def summaries() -> list[PipelineSummary]:
    """Return the summaries of the pipelines of dspgraph and of other installed packages, sorted by name.

    For a pipeline that cannot be read, `about` is "(broken)" and the error.
    """
    found = []
    for name, entry in sorted(registry.pipelines().items()):
        try:
            pipeline = Pipeline(entry.path)
            found.append(PipelineSummary(name, entry.pack, pipeline.document.about, pipeline.slots))
        except DspgraphError as error:
            found.append(PipelineSummary(name, entry.pack, f"(broken) {error}", {}))
    return found
