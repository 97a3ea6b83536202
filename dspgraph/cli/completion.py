"""Completion by the shell: names of pipelines, slots, variants, settings, nodes and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from dspgraph.errors import DspgraphError

if TYPE_CHECKING:
    from dspgraph.pipeline.pipeline import Pipeline


def complete_pipelines(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Return the names of pipelines that begin with `start`; if there is none, let the shell complete file names."""
    from dspgraph import registry

    with suppress(DspgraphError):
        if found := _items(registry.pipelines(), start):
            return found
    return [CompletionItem(start, type="file")]


def complete_swaps(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Return the texts "slot=variant" that begin with `start`, for the pipeline that the command line names."""
    slots = found.slots if (found := _pipeline(ctx)) else {}
    return _items((f"{slot}={name}" for slot, names in slots.items() for name in names), start)


def complete_slots(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete the last name in `start`, a text "slot,slot": return the whole text for every slot that fits.

    A slot fits if its name begins with that last name. The slots are those of the pipeline that the command line names.
    """
    slots = found.slots if (found := _pipeline(ctx)) else {}
    return _lists(slots, start)


def complete_settings(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Return the texts "variable=" and "node.parameter=" that begin with `start`, for the pipeline in the command.

    If its graph cannot be made, return those of variables only.
    """
    found = _pipeline(ctx)
    if not found:
        return []
    names = [f"{name}=" for name in found.source.data.get("vars", {})]
    with suppress(DspgraphError):  # a pipeline may need weights, or another setting, before its graph can be made
        graph = found.graph
        names += [f"{name}.{field}=" for name, node in graph.nodes.items() for field in type(node).model_fields]
    return _items(names, start)


def complete_nodes(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Return the names of nodes that begin with `start`."""
    from dspgraph import registry

    return _items(registry.nodes(), start)


def complete_metrics(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete the last name in `start`, a text "name,name": return the whole text for every metric that fits.

    A metric fits if its name begins with that last name.
    """
    from dspgraph.evaluation.metrics import METRICS

    return _lists(METRICS, start)


def _pipeline(ctx: click.Context) -> Pipeline | None:
    """Return the pipeline that the command line names, without the swaps, settings and plugins that it gives.

    Return None if it names none, or if the pipeline cannot be read.
    """
    from dspgraph.pipeline.pipeline import Pipeline

    # Before an option that still lacks its value, click leaves the arguments unassigned.
    name = ctx.params.get("pipeline") or next(iter(ctx.args), None)
    with suppress(DspgraphError):
        return Pipeline(name) if name else None
    return None


def _items(names: Iterable[str], start: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(start)]


def _lists(names: Iterable[str], start: str) -> list[CompletionItem]:
    before, comma, last = start.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]
