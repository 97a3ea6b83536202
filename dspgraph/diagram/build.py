"""A graph in words and in pictures: plain text, Mermaid, Graphviz dot, SVG; and a node type in words.

All four are written from one `Picture` of boxes and wires. It shows what runs; nodes no output depends on are named.
"""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

import numpy as np

from dspgraph.diagram.model import Box, Picture, Signal, Wire
from dspgraph.diagram.svg import draw, shorten
from dspgraph.graph import Graph
from dspgraph.node import Node
from dspgraph.streams import Audio, Frames, Stream, Symbols, hertz, milliseconds

__all__ = ["FORMATS", "dot", "mermaid", "picture", "svg", "text"]

WIDTH = 110
"""Columns of the text, unless names are long."""


# ---- what is to be shown --------------------------------------------------------------------------------------------


def picture(graph: Graph) -> Picture:
    """The boxes and wires of what runs in a graph, and what is to be said of it as a whole."""
    precision = _precision(graph)
    boxes: list[Box] = []
    wires: list[Wire] = []
    places: dict[str, tuple[int, int]] = {}  # origin -> its box and port

    def lead(origin: str, into: int, to: str) -> None:
        tail, out = places[origin]
        short = boxes[tail].name if len(boxes[tail].gives) == 1 else origin
        wires.append(Wire(tail, out, len(boxes), into, short, to, boxes[tail].gives[out][1]))

    for name, stream in graph.inputs.items():
        signal = _signal(stream, precision)
        places[name] = len(boxes), 0
        boxes.append(Box("input", name, signal.brief, gives=(("", signal),)))
    for name in graph.order:
        node, binding = graph.nodes[name], graph.bindings[name]
        for port, origin in graph.sources(name):
            lead(origin, node.inputs.index(port), f"{name}.{port.name}")
        takes = tuple(port.name for port in node.inputs)
        ports = [port.name for port in node.outputs]
        places |= {f"{name}.{port}": (len(boxes), number) for number, port in enumerate(ports)}
        gives = tuple(zip(ports, (_signal(stream, precision) for stream in binding.gives), strict=True))
        whole = binding.waits_for_the_end
        ahead = f"lookahead {milliseconds(binding.lookahead)}" if binding.lookahead and not whole else ""
        holds = "holds the whole signal" if whole else ""
        boxes.append(Box("node", name, node.type_name, tuple(_parameters(node)), takes, gives, ahead or holds, whole))
    for name, origin in graph.origins.items():
        lead(origin, 0, name)
        boxes.append(Box("output", name, wires[-1].signal.brief, takes=("",)))
    return Picture(tuple(boxes), tuple(wires), tuple(_remarks(graph, boxes, wires)))


def _parameters(node: Node) -> Iterator[str]:
    """The parameters that differ from their defaults, as a pipeline writes them."""
    for name, value in node.model_dump(exclude_defaults=True).items():
        plain = isinstance(value, str) and value.isprintable()
        yield shorten(f"{name}={value if plain else json.dumps(value, default=str)}", 200)


def _precision(graph: Graph) -> str:
    """The real dtype most streams of a graph have; the others are named where they are."""
    streams = [*graph.inputs.values(), *(stream for name in graph.order for stream in graph.bindings[name].gives)]
    return Counter(map(_real, streams)).most_common(1)[0][0]


def _real(stream: Stream) -> str:
    return np.finfo(stream.precision if isinstance(stream, Symbols) else stream.dtype).dtype.name


def _signal(stream: Stream, precision: str) -> Signal:
    size = centre = ""
    dtype = "" if _real(stream) == precision else stream.dtype.name
    if isinstance(stream, Audio) and stream.channels > 1:
        size = f"{stream.channels} channels"
    elif isinstance(stream, Symbols):
        size, dtype = f"{stream.size} levels", dtype and f"for {_real(stream)}"
    elif isinstance(stream, Frames):
        size, centre = f"{stream.width} wide", f"centre {milliseconds(stream.centre)}"
        dtype = dtype or ("complex" if stream.dtype.kind == "c" else "")
    return Signal(type(stream).__name__, getattr(stream, "kind", ""), hertz(stream.rate), size, centre, dtype)


def _remarks(graph: Graph, boxes: Sequence[Box], wires: Sequence[Wire]) -> Iterator[tuple[str, str]]:
    """What holds for the graph as a whole: (label, sentence)."""
    latency = graph.latency()
    through = f", through {' -> '.join(latency.path)}" if latency.path else ""
    yield "latency", f"{milliseconds(latency.seconds)}{through}"
    holders = [number for number, box in enumerate(boxes) if box.whole]
    late = set(holders)  # what has nothing to give before the end of the signal
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


# ---- words ----------------------------------------------------------------------------------------------------------


def text(graph: Graph) -> str:
    """Every node that runs, in running order: its type, parameters, wires and streams; then the graph as a whole."""
    shown = picture(graph)
    signals = [signal for box in shown.boxes for _, signal in box.gives]
    columns = dict(zip(signals, _aligned([signal.columns for signal in signals]), strict=True))
    ports = _aligned([(port,) for box in shown.boxes for port in (*box.takes, *(name for name, _ in box.gives), "")])
    padded = {port.rstrip(): port for port in ports}
    names = max(len(box.name) for box in shown.boxes)
    wide = max(map(len, columns.values()))
    room = max(20, min(36, WIDTH - names - len(ports[0]) - wide - 8))

    lines = []
    for number, box in enumerate(shown.boxes):
        right = []
        for into, port in enumerate(box.takes):
            origins = [wire.origin for wire in shown.wires if (wire.head, wire.into) == (number, into)]
            first, *more = _wrapped(", ".join(origins), max(wide, 30))
            right += [f"{padded[port]} <- {first}", *(f"{padded['']}    {line}" for line in more)]
        right += [f"{padded[port]} -> {columns[signal]}" for port, signal in box.gives]
        right += [f"{padded['']}    {box.lookahead}"] if box.lookahead else []
        kind = box.kind if box.role == "node" else box.role
        left = _wrapped(" ".join([kind, *(shorten(one, room - 2) for one in box.parameters)]), room, "  ")
        for name, own, wires in zip_longest([box.name], left, right, fillvalue=""):
            lines.append(f"{name:{names}}  {own:{room}}  {wires}".rstrip())
    remarks = [*shown.remarks, ("dtype", _precision(graph)), ("seed", str(graph.seed)), ("digest", graph.digest[:12])]
    labels = _aligned([(label,) for label, _ in remarks])
    lines.append("")
    for label, (_, sentence) in zip(labels, remarks, strict=True):
        lines += _wrapped(f"{label}  {sentence}", WIDTH, " " * (len(label) + 2))
    return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of a table as lines of one length: numbers to the right, and no column that is empty everywhere."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{cell:{'>' if cell[:1].isdigit() else '<'}{width}}" for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cell for cell, width in zip(cells, widths, strict=True) if width))
    return lines


def _wrapped(sentence: str, width: int, hang: str = "") -> list[str]:
    return textwrap.wrap(sentence, width, subsequent_indent=hang, break_on_hyphens=False, break_long_words=False)


# ---- pictures -------------------------------------------------------------------------------------------------------


def svg(graph: Graph) -> str:
    """A picture that stands alone: layers from left to right, for light and dark paper."""
    return draw(picture(graph))


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart."""
    shown = picture(graph)
    lines = ["flowchart LR"]
    shapes = {"input": '(["{}"])', "output": '(["{}"])', "node": '["{}"]', "holds": '[["{}"]]'}

    def declare(number: int, box: Box) -> str:
        label = "<br/>".join(_entities(line) for line in _label(box))
        return f"n{number}{shapes['holds' if box.whole else box.role].format(label)}"

    def enclose(number: int, group: str) -> tuple[str, str]:
        return f'subgraph g{number}["{_entities(group)}"]', "end"

    lines += _grouped(shown, declare, enclose)
    lines += [f'  n{wire.tail} -->|"{_entities(_wire_label(shown, wire))}"| n{wire.head}' for wire in shown.wires]
    return "\n".join(lines)


def dot(graph: Graph) -> str:
    """A Graphviz digraph."""
    shown = picture(graph)
    lines = ["digraph dspgraph {", "  rankdir=LR", '  node [shape=box, style=rounded, fontname="Helvetica"]',
             '  edge [fontname="Helvetica", fontsize=10]']  # fmt: skip
    shapes = {"node": "", "input": ", shape=ellipse", "output": ", shape=ellipse"}

    def declare(number: int, box: Box) -> str:
        style = ", peripheries=2" if box.whole else shapes[box.role]
        return f"n{number} [label={_quoted(chr(10).join(_label(box)))}{style}]"

    def enclose(number: int, group: str) -> tuple[str, str]:
        return f"subgraph cluster_{number} {{ label={_quoted(group)}", "}"

    lines += _grouped(shown, declare, enclose)
    for wire in shown.wires:
        label, tip = _quoted(_wire_label(shown, wire)), _quoted(f"{wire.origin} to {wire.to}, {wire.signal.full}")
        lines.append(f"  n{wire.tail} -> n{wire.head} [label={label}, tooltip={tip}]")
    return "\n".join([*lines, "}"])


def _label(box: Box) -> list[str]:
    """The lines in a box; a node of a pipeline that stands as a node drops the name its group has."""
    name = box.name.rpartition("/")[2] if box.role == "node" else box.name
    return [name, box.kind, *(shorten(one, 60) for one in box.parameters), *filter(None, [box.lookahead])]


def _wire_label(shown: Picture, wire: Wire) -> str:
    """What a wire carries, and from which port to which where a box has several."""
    gives, takes = shown.boxes[wire.tail].gives, shown.boxes[wire.head].takes
    return wire.signal.at(gives[wire.out][0] if len(gives) > 1 else "", takes[wire.into] if len(takes) > 1 else "")


def _grouped(
    shown: Picture, declare: Callable[[int, Box], str], enclose: Callable[[int, str], tuple[str, str]]
) -> Iterator[str]:
    """The boxes; those of a pipeline that stands as a node between two lines of their own, and so on inwards."""
    groups = [tuple(box.name.split("/")[:-1]) if box.role == "node" else () for box in shown.boxes]
    numbers = itertools.count()

    def inside(group: tuple[str, ...]) -> Iterator[str]:
        depth, done = len(group), set()
        for number, (box, path) in enumerate(zip(shown.boxes, groups, strict=True)):
            if path == group:
                yield f"{'  ' * (depth + 1)}{declare(number, box)}"
            elif path[:depth] == group and path[depth] not in done:
                done.add(path[depth])
                begin, end = enclose(next(numbers), path[depth])
                yield f"{'  ' * (depth + 1)}{begin}"
                yield from inside(path[: depth + 1])
                yield f"{'  ' * (depth + 1)}{end}"

    return inside(())


def _entities(text: str) -> str:
    """A text in a quoted Mermaid label: everything but plain letters, digits and a few marks as its number."""
    return re.sub(r"[^\w\s.,:=/+()-]", lambda found: f"#{ord(found[0])};", text, flags=re.ASCII)


def _quoted(text: str) -> str:
    """A text as a Graphviz string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


FORMATS: dict[str, Callable[[Graph], str]] = {"text": text, "mermaid": mermaid, "dot": dot, "svg": svg}
