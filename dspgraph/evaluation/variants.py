"""The choices of a comparison: graphs of one pipeline that differ in variants or values, each with a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any

import yaml

from dspgraph.errors import DspgraphError, RequestError, UnknownName, suggest
from dspgraph.graph import Graph
from dspgraph.pipeline.file_values import Values, nominal
from dspgraph.pipeline.overrides import split_overrides
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.streams import Audio

MOST_CHOICES = 1000
"""The largest number of graphs in one comparison, because the page contains the sounds and pictures of all graphs."""


@dataclass(frozen=True)
class Choice:
    """One graph to compare: its name, and the swaps and overrides of the pipeline that made it."""

    name: str
    graph: Graph
    swaps: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    @property
    def recipe(self) -> str:
        """The hash `Wiring.recipe` of the graph."""
        return self.graph.recipe

    @property
    def input(self) -> Audio:
        """The stream of the graph's only input.

        Raises RequestError if there are several inputs, or if the input is not audio.
        """
        if self.graph.audio_input:
            return self.graph.audio_input[1]
        found = ", ".join(f"{name}: {stream}" for name, stream in self.graph.inputs.items())
        raise RequestError(f"{self.name}: a graph to compare takes one audio input; found {found}")

    @property
    def output(self) -> str:
        """The name of the output to compare.

        It is the only audio output or, if there are several, the audio output with the name of the input. Raises
        RequestError if there is no such output.
        """
        _, (name,) = self.input, self.graph.inputs
        audio = [output for output, one in self.graph.outputs.items() if isinstance(one, Audio)]
        if len(audio) == 1:
            return audio[0]
        if name in audio:
            return name
        raise RequestError(
            f"{self.name}: a graph to compare has one audio output, or an audio output with the name of its input, "
            f"'{name}'; found {', '.join(audio) or 'none'}"
        )


@dataclass(frozen=True)
class OpenChoice:
    """A choice without a graph yet: its inputs get the rate or the channels of each file, so graphs can differ.

    pipeline: the pipeline; `given` returns the choice with its graph for the rate and channels of a file. way_out: the
    end of the error message for a file for which no graph can be made: the options of the command line that avoid the
    error; "" if no swap is the cause.
    """

    name: str
    pipeline: Pipeline
    swaps: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    way_out: str = ""

    @cached_property
    def recipe(self) -> str:
        """A hash of the pipeline with its swaps and overrides. It does not depend on the rates and channels of files.

        It is computed from the graph at 48000 Hz and 1 channel or, if there is no such graph, from the pipeline file,
        the swaps and the overrides.
        """
        try:
            content: Any = self.pipeline.given(nominal(self.pipeline.wanted)).graph.recipe
        except DspgraphError:
            content = [self.pipeline.source.data, dict(self.swaps), list(self.overrides)]
        return hashlib.sha256(json.dumps([self.pipeline.wanted, content], sort_keys=True).encode()).hexdigest()

    def given(self, values: Values) -> Choice | NoGraph:
        """Return the choice with its graph for the rates and channels of files.

        Return NoGraph if there is no such graph, or if it has no input or output to compare (see `Choice`). values:
        pairs (what the pipeline takes from a file, number), as in `file_values.Values`; pairs that this pipeline does
        not take are not used.
        """
        own = tuple(pair for pair in values if pair[0] in self.pipeline.wanted)
        try:
            found = Choice(self.name, self.pipeline.given(own).graph, self.swaps, self.overrides)
            _ = found.input, found.output
        except DspgraphError as error:
            return NoGraph(self.name, f"{error}{self.way_out}")
        return found


@dataclass(frozen=True)
class NoGraph:
    """A choice that has no graph for the rate and channels of a file.

    reason: why there is no graph and, if a swap can be the cause, which options avoid this.
    """

    name: str
    reason: str


def choices(
    pipeline: str | Path,
    overrides: Sequence[str] = (),
    swaps: Mapping[str, str] | None = None,
    plugins: Iterable[str | Path] = (),
    vary: Sequence[str] | None = None,
) -> list[Choice | OpenChoice]:
    """Return the choices to compare: graphs of one pipeline, each with a name.

    A choice that takes rates or channels from the files is an `OpenChoice`. overrides: "name=value" changes all graphs;
    "name=value,value" makes one graph for each value. swaps: slot -> "variant", for all graphs, or slot ->
    "variant,variant", for one graph with each variant. plugins: Python files with nodes. vary: slots; one graph is made
    for each combination of their variants. If `vary` is None, one slot at a time is varied while the other slots keep
    their default, or their variant in `swaps`; but if an override or a swap has several values, only these are varied.
    Several values of overrides and swaps, and the variants of `vary`, are combined with each other.

    Raises the errors of `pipeline.load`, UnknownName for a slot that does not exist, and RequestError for a slot that
    is in `vary` and in `swaps`, for a graph that cannot be made, and for more than MOST_CHOICES graphs.
    """
    swaps, plugins = dict(swaps or {}), list(plugins)
    slots = Pipeline(pipeline, (), None, plugins).slots
    _check_varied(pipeline, slots, swaps, vary or ())
    values = [_values(name, text) for _, name, text in split_overrides(overrides)]
    listed = {slot: [name.strip() for name in swaps.pop(slot).split(",")] for slot in list(swaps) if "," in swaps[slot]}
    if listed or (vary is None and any(len(each) > 1 for each in values)):
        vary = [*(vary or ()), *listed]
    varied = {**slots, **listed}
    wanted = ((swap, chosen) for swap in _swaps(varied, swaps, vary) for chosen in product(*values))
    combinations = list(islice(wanted, MOST_CHOICES + 1))
    if len(combinations) > MOST_CHOICES:
        raise RequestError(
            f"more than {MOST_CHOICES} graphs would be compared: vary fewer slots or fewer values, or compare in "
            "several runs"
        )
    found: list[Choice | OpenChoice] = []
    for swap, chosen in combinations:
        several = [override for override, each in zip(chosen, values, strict=True) if len(each) > 1]
        name = " / ".join([*_swap_names(slots, swap, vary), *several]) or Path(pipeline).stem
        way = f"; change that with -s, or leave {' and '.join(swap)} as it is with {_way_out(slots, swap, swaps)}"
        if all(variant == slots[slot][0] for slot, variant in swap.items()):
            way = ""  # all slots have their default, and no swap is the cause
        try:
            described = Pipeline(pipeline, chosen, {**swaps, **swap}, plugins)
            graph = None if described.wanted else described.graph
        except DspgraphError as error:
            if isinstance(error, UnknownName) or not way:
                raise
            raise RequestError(f"'{name}' cannot be compared: {error}{way}") from error
        made, changed = {**swaps, **swap}, list(chosen)
        open_choice = OpenChoice(name, described, made, changed, way)
        found.append(Choice(name, graph, made, changed) if graph else open_choice)
    return found


def _check_varied(
    pipeline: str | Path, slots: Mapping[str, Sequence[str]], swaps: Mapping[str, str], vary: Sequence[str]
) -> None:
    """Raise UnknownName or RequestError unless the slots that vary are slots of the pipeline, and are not fixed too.

    slots: slot -> names of its variants. swaps: slot -> variant, or several variants with commas between them, which
    then vary. vary: further slots that vary.
    """
    for slot in (*vary, *(slot for slot, names in swaps.items() if "," in names)):
        if slot not in slots:
            raise UnknownName(f"{pipeline} has no slot '{slot}' to vary; {suggest(slot, slots)}")
    for slot in vary:
        if slot in swaps:
            raise RequestError(
                f"the slot '{slot}' cannot have the variant '{swaps[slot]}' in all graphs and vary too: "
                "drop one of them"
            )


def _swaps(
    slots: Mapping[str, Sequence[str]], fixed: Mapping[str, str], vary: Sequence[str] | None
) -> Iterator[dict[str, str]]:
    """Yield the swaps (slot -> variant) of each graph to compare, in addition to those in `fixed`.

    slots: slot -> names of its variants, the default first. fixed: slot -> variant, for slots that all graphs have
    alike. vary: slots; all combinations of their variants are yielded. With None, the slots that are not in `fixed` are
    varied one at a time. If there is exactly one such slot, each of its variants is yielded, also the default.
    Otherwise {} comes first, and the defaults are left out, because they give the same graph as {}.
    """
    if vary is not None:
        varied = list(dict.fromkeys(vary))
        yield from (dict(zip(varied, chosen, strict=True)) for chosen in product(*(slots[slot] for slot in varied)))
        return
    free = {slot: names for slot, names in slots.items() if slot not in fixed}
    if len(free) != 1:
        yield {}
    for slot, names in free.items():
        yield from ({slot: name} for name in (names if len(free) == 1 else names[1:]))


def _swap_names(slots: Mapping[str, Sequence[str]], swap: Mapping[str, str], vary: Sequence[str] | None) -> list[str]:
    """Return the parts of the name of a graph that name its variants: one text for each slot in `swap`.

    slots: slot -> names of its variants. swap: slot -> chosen variant. vary: the slots whose variants are combined with
    each other; None if one slot at a time is varied. The text is the name of the variant if `vary` is given or if the
    pipeline has one slot; otherwise it is "slot=variant".
    """
    if vary is not None or len(slots) == 1:
        return list(swap.values())
    return [f"{slot}={name}" for slot, name in swap.items()]


def _way_out(slots: Mapping[str, Sequence[str]], swap: Mapping[str, str], swaps: Mapping[str, str]) -> str:
    """Return options of the command line that keep `compare` from varying the slots in `swap`.

    slots: slot -> names of its variants, the default first. swap: slot -> variant. swaps: slot -> variant, the slots
    that the user has fixed.
    """
    others = [slot for slot in slots if slot not in (*swap, *swaps)]
    return f"--vary {','.join(others)}" if others else " ".join(f"--swap {slot}={slots[slot][0]}" for slot in swap)


def _values(name: str, text: str) -> list[str]:
    """Return one override "name=value" for each value of the text "value,value".

    The values are separated as in a YAML list, but after a comma at the end there is one more value, which is empty. If
    the text is not the inside of a YAML list, it is one value: the error comes later, from the pipeline.
    """
    override = f"{name}={text}"
    try:
        listed = yaml.compose(f"[{text}]", yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return [override]
    if not isinstance(listed, yaml.SequenceNode) or listed.end_mark.index != len(text) + 2:
        return [override]  # a bracket in the text has ended the list early
    values = [text[one.start_mark.index - 1 : one.end_mark.index - 1].strip() for one in listed.value]
    if values and text.rstrip().endswith(","):
        values.append("")
    return [f"{name}={value}" for value in values] if len(values) > 1 else [override]
