"""Events of a live graph as the lines of a file, which `dspgraph render --events` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from dspgraph.errors import RequestError
from dspgraph.graph import Graph
from dspgraph.live.events import Event, Play, Set, Stop, time_of
from dspgraph.streams import to_fraction


def header_line(
    graph: Graph, latency: Fraction, controls: Mapping[str, float], played: Iterable[str]
) -> dict[str, Any]:
    """Return the first line of a file of events: pipeline, recipe, latency, controls and played inputs.

    graph: the graph at the beginning. latency: of the performance, in seconds. controls: name of a control -> its value
    at the beginning. played: names of the inputs into which sounds are played. The line names the pipeline only if
    `load` has made the graph.
    """
    return {
        "begin": _loaded(graph) if graph.loaded else None,
        "recipe": graph.recipe,
        "latency": str(latency),
        "controls": dict(controls),
        "played": sorted(played),
    }


def event_line(event: Event, first: Graph, file: str = "") -> dict[str, Any]:
    """Return the line of an event for the file of events, without its time.

    first: the graph at the beginning. file: the file of a played sound, relative to the folder of the recording; "" if
    the caller puts it into the line later. Raises RequestError for a swap if `load` has not made the new graph, or not
    the graph at the beginning.
    """
    if isinstance(event, Set):
        return {"set": event.name, "value": event.value, "over": str(event.over), "shape": event.shape}
    if isinstance(event, Stop):
        return {"stop": event.input}
    if isinstance(event, Play):
        return {"play": event.input, "file": file, "loops": event.loops, "skip": event.skip}
    if event.graph.loaded is None or first.loaded is None:
        raise RequestError(
            "a swap to or from a graph that was not loaded from a pipeline file cannot be recorded: load both graphs "
            "from files, or leave out `record`"
        )
    return {**_loaded(event.graph), "settle": str(event.settle), "over": str(event.over)}


def timed(event: Event, line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the file of events: `line`, the result of `event_line`, with the time of its event added.

    Raises ParameterError for an event without a time.
    """
    return {"at": str(to_fraction(time_of(event))), **line}


def _loaded(graph: Graph) -> dict[str, Any]:
    assert graph.loaded is not None
    found = graph.loaded
    return {"swap": dict(found.swap), "overrides": list(found.overrides), "pipeline": str(found.name)}
