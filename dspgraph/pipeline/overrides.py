"""Swaps and overrides, applied to the data of a pipeline file.

    "excitation": "residual"     swap: the variant `residual` fills the slot `excitation`
    "lpc.order=24"               override: a new value for the parameter `order` of the node `lpc`
    "hop=80"                     override: a new value for the var `hop`, or for one of the settings `precision`, `seed`

A dot, or a slash as in names of nodes of a graph, leads into a pipeline that is used as a node: "codec.excitation" is
the slot `excitation` of the pipeline that is used as the node `codec`. Swaps and overrides of such an inner pipeline
are not applied here: the functions return them, and they are applied when the inner pipeline is read. But a new value
for one of its vars, as in "codec.hop=80", is written into the entry of the node.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from dspgraph.errors import PipelineError, RequestError, UnknownName, suggest
from dspgraph.pipeline.read import KeyPath, Source, parse
from dspgraph.shown import shown

SETTINGS = ("precision", "seed")
"""The keys at the top of a pipeline file to which an override can give a new value."""

Slots: TypeAlias = dict[str, tuple[str, ...]]
"""Slot -> the names of its default, which is the entry in `nodes`, and of its variants."""


def slots_of(source: Source) -> Slots:
    """Return the slots of a pipeline file: slot -> the names of its default and its variants.

    The name of the default is the type of the node, or the name of the pipeline, that fills the slot.

    Raises PipelineError if no node has the name of the slot, or if a variant has the name of the default.
    """
    nodes, found = source.data.get("nodes", {}), {}
    for slot, choices in source.data.get("variants", {}).items():
        if slot not in nodes:
            place = source.place(("variants", slot))
            raise PipelineError(f"{place}: no node is called '{slot}'; {suggest(slot, nodes)}")
        default = str(nodes[slot].get("node") or Path(str(nodes[slot].get("pipeline", ""))).stem)
        if default in choices:
            place = source.place(("variants", slot, default))
            raise PipelineError(
                f"{place}: '{default}' is the name of the default of the slot '{slot}': give the variant another name"
            )
        found[slot] = (default, *choices)
    return found


def apply_swaps(source: Source, name: str, slots: Slots, swap: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Fill the slots in `source` with variants. Return the swaps for pipelines used as nodes: node -> {slot: variant}.

    name: the name of the pipeline, for messages. slots: as `slots_of` returns them. swap: slot -> variant; the name of
    the default changes nothing. Swaps with the fewest dots or slashes are applied first, because a variant can be a
    pipeline that has slots itself. In the result, the slashes in names of slots are dots. Raises UnknownName for a slot
    or variant that does not exist.
    """
    inner: dict[str, dict[str, str]] = defaultdict(dict)
    for slot in sorted(swap, key=lambda slot: len(re.findall("[./]", slot))):
        node, _, rest = slot.replace("/", ".").partition(".")
        if rest and _is_pipeline(source, node):
            inner[node][rest] = swap[slot]
        else:
            _fill_slot(source, name, slots, slot, swap[slot])
    return inner


def _fill_slot(source: Source, name: str, slots: Slots, slot: str, variant: str) -> None:
    if slot not in slots:
        raise UnknownName(f"{name} has no variants of '{slot}'; {suggest(slot, slots)}")
    if variant not in slots[slot]:
        raise UnknownName(f"{name}: '{slot}' has no variant '{variant}'; {suggest(variant, slots[slot])}")
    if variant != slots[slot][0]:
        source.data["nodes"][slot] = source.data["variants"][slot][variant]
        source.move_marks(("variants", slot, variant), ("nodes", slot))


def swap_pairs(swaps: Iterable[str]) -> dict[str, str]:
    """Return {slot: variant} from texts SLOT=VARIANT. Raises RequestError for other texts and for a repeated slot.

    A slash in the name of a slot becomes a dot: "codec/excitation" and "codec.excitation" are the same slot.
    """
    pairs: dict[str, str] = {}
    for swap in swaps:
        slot, equals, variant = swap.partition("=")
        slot = slot.replace("/", ".")
        if not (slot and equals and variant):
            raise RequestError(f"swap {shown(swap)}: write SLOT=VARIANT, for instance excitation=residual")
        if slot in pairs:
            raise RequestError(
                f"swap {slot}={pairs[slot]} and swap {swap}: one slot takes one variant: drop one of them"
            )
        pairs[slot] = variant
    return pairs


def split_overrides(overrides: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (override, key, value), all texts, for each override "key=value".

    Slashes in the key are replaced by dots. Raises RequestError for an override without `=`, and for two overrides with
    the same key.
    """
    seen: dict[str, str] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.replace("/", ".")
        if not equals:
            raise RequestError(f"{shown(override)} sets nothing: write NODE.PARAMETER=VALUE, or VAR=VALUE")
        if key in seen:
            raise RequestError(f"{shown(seen[key])} and {shown(override)} set the same value: drop one of them")
        seen[key] = override
        yield override, key, text


def apply_overrides(source: Source, name: str, overrides: Iterable[str]) -> dict[str, list[str]]:
    """Set parameters, vars and settings in `source`. Return the overrides for pipelines used as nodes, by node.

    Example of the result: {"codec": ["lpc.order=24"]}. An override of a var of such a pipeline, "codec.hop=80", is set
    in the entry of the node `codec`. name: the name of the pipeline, for messages. overrides: texts such as
    "lpc.order=24"; the value is read as YAML. Whether the node has the parameter is not checked here. Raises
    UnknownName for a node or var that does not exist, RequestError for an override without `=` and for two overrides of
    the same value, and PipelineError for a value that is not YAML.
    """
    inner: dict[str, list[str]] = defaultdict(list)
    for override, key, text in split_overrides(overrides):
        node, dot, parameter = key.partition(".")
        if not dot:
            _set_var_or_setting(source, name, key, text, override)
        elif node not in source.data.get("nodes", {}):
            nodes = source.data.get("nodes", {})
            raise UnknownName(f"{shown(override)}: no node is called '{node}'; {suggest(node, nodes)}")
        elif "." not in parameter:
            source.data["nodes"][node][parameter] = parse(text, shown(override)).data
            source.remark(("nodes", node, parameter), shown(override))
        elif _is_pipeline(source, node):
            inner[node].append(f"{parameter}={text}")
        else:
            raise UnknownName(f"{shown(override)}: '{node}' is a node, not a pipeline: write {node}.PARAMETER")
    return inner


def _set_var_or_setting(source: Source, name: str, key: str, text: str, override: str) -> None:
    variables = source.data.get("vars", {})
    if key not in (*variables, *SETTINGS):
        raise UnknownName(
            f"{shown(override)}: {name} has no var '{key}'; {suggest(key, [*variables, *SETTINGS])} "
            "(a parameter is NODE.PARAMETER)"
        )
    path: KeyPath = (key,) if key in SETTINGS else ("vars", key)
    target = source.data if key in SETTINGS else variables
    target[key] = parse(text, shown(override)).data
    source.remark(path, shown(override))


def _is_pipeline(source: Source, node: str) -> bool:
    return "pipeline" in source.data.get("nodes", {}).get(node, {})
