"""Apply swaps and overrides to the data of a pipeline file.

    "excitation": "residual"     swap: fill the slot `excitation` with its variant `residual`
    "lpc.order=24", "hop=80"     overrides: a parameter of a node; a var, or one of the settings precision and seed

A pipeline used as a node is reached into with a dot (or a slash, as graphs write it): "codec.excitation" is a slot of
the pipeline used as the node `codec`. Such requests are sorted out by node here, for that pipeline to apply.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from dspgraph.errors import PipelineError, RequestError, UnknownName, suggest
from dspgraph.pipeline.read import KeyPath, Source, parse

SETTINGS = ("precision", "seed")
"""The keys at the top of a file that an override can set."""

Slots: TypeAlias = dict[str, tuple[str, ...]]
"""For every slot the names of the entries that can fill it, the default first."""


def slots_of(source: Source) -> Slots:
    """Return the slots of a pipeline. Raise PipelineError if a slot is no node or a variant has the default's name."""
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
    """Fill slots with variants. Return the swaps for pipelines used as nodes, by node.

    name: the pipeline's, for messages. Outer swaps come first: an inner slot may be one of a variant just filled in.
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


def apply_overrides(source: Source, name: str, overrides: Iterable[str]) -> dict[str, list[str]]:
    """Set parameters, vars and settings. Return the overrides for pipelines used as nodes, by node."""
    inner: dict[str, list[str]] = defaultdict(list)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RequestError(f"'{override}' sets nothing: write NODE.PARAMETER=VALUE, or VAR=VALUE")
        node, dot, parameter = key.replace("/", ".").partition(".")
        if not dot:
            _set_var_or_setting(source, name, key, text, override)
        elif node not in source.data.get("nodes", {}):
            nodes = source.data.get("nodes", {})
            raise UnknownName(f"'{override}': no node is called '{node}'; {suggest(node, nodes)}")
        elif "." not in parameter:
            source.data["nodes"][node][parameter] = parse(text, f"'{override}'").data
            source.remark(("nodes", node, parameter), f"'{override}'")
        elif _is_pipeline(source, node):
            inner[node].append(f"{parameter}={text}")
        else:
            raise UnknownName(f"'{override}': '{node}' is a node, nothing is in it: write {node}.PARAMETER")
    return inner


def _set_var_or_setting(source: Source, name: str, key: str, text: str, override: str) -> None:
    variables = source.data.get("vars", {})
    if key not in (*variables, *SETTINGS):
        raise UnknownName(
            f"'{override}': {name} has no var '{key}'; {suggest(key, [*variables, *SETTINGS])} "
            "(a parameter is NODE.PARAMETER)"
        )
    path: KeyPath = (key,) if key in SETTINGS else ("vars", key)
    target = source.data if key in SETTINGS else variables
    target[key] = parse(text, f"'{override}'").data
    source.remark(path, f"'{override}'")


def _is_pipeline(source: Source, node: str) -> bool:
    return "pipeline" in source.data.get("nodes", {}).get(node, {})
