"""Make the diagram of a graph: the nodes that run, with their ports, parameters, streams and lookahead."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from dspgraph.diagram.model import Box, Diagram, Edge, StreamLabel
from dspgraph.node import Node
from dspgraph.shown import escaped, shortened
from dspgraph.streams import Audio, Frames, Stream, Symbols, hertz, milliseconds
from dspgraph.wiring.duration import Duration
from dspgraph.wiring.latency import latency
from dspgraph.wiring.wiring import Wiring


def build_diagram(graph: Wiring) -> Diagram:
    """Return the diagram of a graph: boxes for its inputs, the nodes that run and its outputs; wires; remarks.

    The boxes are in this order, and the nodes in the order in which they run.
    """
    precision = common_precision(graph)
    boxes: list[Box] = []
    wires: list[Edge] = []
    places: dict[str, tuple[int, int]] = {}  # origin of a wire -> number of its box, number of its output port

    def lead(origin: str, into: int, to: str) -> None:
        tail, out = places[origin]
        short = boxes[tail].name if len(boxes[tail].gives) == 1 else origin
        wires.append(Edge(tail, out, len(boxes), into, short, to, boxes[tail].gives[out][1]))

    for name, stream in graph.inputs.items():
        label = _label(stream, precision)
        places[name] = len(boxes), 0
        boxes.append(Box("input", name, label.brief, gives=(("", label),)))
    for name in graph.order:
        node, binding = graph.nodes[name], graph.bindings[name]
        for port, origin in graph.sources(name):
            lead(origin, node.inputs.index(port), f"{name}.{port.name}")
        takes = tuple(port.name for port in node.inputs)
        ports = [port.name for port in node.outputs]
        places |= {f"{name}.{port}": (len(boxes), number) for number, port in enumerate(ports)}
        gives = tuple(zip(ports, (_label(stream, precision) for stream in binding.gives), strict=True))
        whole = binding.waits_for_the_end
        ahead = f"lookahead {milliseconds(binding.lookahead)}" if binding.lookahead and not whole else ""
        holds = "holds the whole signal" if whole else ""
        boxes.append(Box("node", name, node.type_name, tuple(_parameters(node)), takes, gives, ahead or holds, whole))
    for name, origin in graph.origins.items():
        lead(origin, 0, name)
        boxes.append(Box("output", name, wires[-1].stream.brief, takes=("",)))
    return Diagram(tuple(boxes), tuple(wires), tuple(_remarks(graph, boxes, wires)))


def _parameters(node: Node) -> Iterator[str]:
    """Yield the parameters that differ from their defaults, as texts such as "order=24" of at most 200 characters.

    A printable text is written as it is, any other value as JSON.
    """
    for name, value in node.model_dump(exclude_defaults=True).items():
        plain = isinstance(value, str) and value.isprintable()
        yield shortened(f"{name}={value if plain else json.dumps(value, default=str)}", 200)


def common_precision(graph: Wiring) -> str:
    """Return the most frequent precision of the streams of a graph: "float64" or "float32".

    The streams are the inputs of the graph and the outputs of the nodes that run. The precision of complex numbers is
    that of their real parts; the precision of symbols is that of the samples that they stand for. Labels mention the
    precision only of streams that do not have the most frequent precision.
    """
    streams = [*graph.inputs.values(), *(stream for name in graph.order for stream in graph.bindings[name].gives)]
    return Counter(map(_real, streams)).most_common(1)[0][0]


def _real(stream: Stream) -> str:
    return np.finfo(stream.precision if isinstance(stream, Symbols) else stream.dtype).dtype.name


def _label(stream: Stream, precision: str) -> StreamLabel:
    size = centre = ""
    dtype = "" if _real(stream) == precision else stream.dtype.name
    if isinstance(stream, Audio) and stream.channels > 1:
        size = f"{stream.channels} channels"
    elif isinstance(stream, Symbols):
        size, dtype = f"{stream.size} levels", dtype and f"for {_real(stream)}"
    elif isinstance(stream, Frames):
        size, centre = f"{stream.width} wide", f"centre {milliseconds(stream.centre)}"
        dtype = dtype or ("complex" if stream.dtype.kind == "c" else "")
    items = shortened(escaped(getattr(stream, "kind", "")), 80)
    return StreamLabel(type(stream).__name__, items, hertz(stream.rate), size, centre, dtype)


def _remarks(graph: Wiring, boxes: Sequence[Box], wires: Sequence[Edge]) -> Iterator[tuple[str, str]]:
    """Yield remarks on the graph as a whole, as (label, text): first the latency, then those that apply to the graph.

    The others are about the outputs that do not last as long as the input, the nodes that hold the whole signal and the
    nodes that must wait for them, the wires on which items wait until then, and the nodes that do not run. boxes,
    wires: those of the diagram, boxes in running order.
    """
    slowest = latency(graph)
    through = f", through {' -> '.join(slowest.path)}" if slowest.path else ""
    yield "latency", f"{milliseconds(slowest.seconds)}{through}"
    lasting = {name: graph.durations[origin] for name, origin in graph.origins.items()}
    if changed := [f"'{name}' lasts {duration}" for name, duration in lasting.items() if duration != Duration()]:
        yield "duration", "; ".join(changed)
    holders = [number for number, box in enumerate(boxes) if box.whole]
    late = set(holders)  # numbers of the boxes that give nothing before the signal ends
    for wire in wires:
        late |= {wire.head} if wire.tail in late else set()
    waiting = [boxes[number].name for number in sorted(late.difference(holders)) if boxes[number].role == "node"]
    if holders:
        named = ", ".join(boxes[number].name for number in holders)
        yield "whole signal", f"held by {named}" + (f"; {', '.join(waiting)} must wait for it" if waiting else "")
    meeting = {wire.head for wire in wires if wire.tail in late}
    queued = [f"{wire.origin} for {wire.to}" for wire in wires if wire.head in meeting and wire.tail not in late]
    if queued:
        yield "queued", f"{', '.join(queued)}, until then"
    if graph.unused:
        yield "idle", ", ".join(graph.unused)
