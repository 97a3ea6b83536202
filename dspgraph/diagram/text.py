"""The diagram of a graph as plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from dspgraph.diagram.build import build_diagram, common_precision
from dspgraph.shown import shortened
from dspgraph.wiring.wiring import Wiring

_WIDTH = 110
"""The width of the text in characters. Long names make it wider."""


def text(graph: Wiring) -> str:
    """Return the diagram of a graph as plain text.

    First come the inputs, the nodes that run, in running order, and the outputs, each with its type, parameters, wires
    and streams; then the remarks, the most frequent precision, the seed, and the first 12 characters of the digest.
    """
    shown = build_diagram(graph)
    labels = [label for box in shown.boxes for _, label in box.gives]
    columns = dict(zip(labels, _aligned([label.columns for label in labels]), strict=True))
    ports = _aligned([(port,) for box in shown.boxes for port in (*box.takes, *(name for name, _ in box.gives), "")])
    padded = {port.rstrip(): port for port in ports}
    names = max(len(box.name) for box in shown.boxes)
    wide = max(map(len, columns.values()))
    room = max(20, min(36, _WIDTH - names - len(ports[0]) - wide - 8))

    lines = []
    for number, box in enumerate(shown.boxes):
        right = []
        for into, port in enumerate(box.takes):
            origins = [wire.origin for wire in shown.wires if (wire.head, wire.into) == (number, into)]
            first, *more = _wrapped(", ".join(origins), max(wide, 30))
            right += [f"{padded[port]} <- {first}", *(f"{padded['']}    {line}" for line in more)]
        right += [f"{padded[port]} -> {columns[label]}" for port, label in box.gives]
        right += [f"{padded['']}    {box.lookahead}"] if box.lookahead else []
        kind = box.kind if box.role == "node" else box.role
        left = _wrapped(" ".join([kind, *(shortened(one, room - 2) for one in box.parameters)]), room, "  ")
        for name, own, wires in zip_longest([box.name], left, right, fillvalue=""):
            lines.append(f"{name:{names}}  {own:{room}}  {wires}".rstrip())
    settings = [("dtype", common_precision(graph)), ("seed", str(graph.seed)), ("digest", graph.digest[:12])]
    remarks = [*shown.remarks, *settings]
    heads = _aligned([(head,) for head, _ in remarks])
    lines.append("")
    for head, (_, sentence) in zip(heads, remarks, strict=True):
        lines += _wrapped(f"{head}  {sentence}", _WIDTH, " " * (len(head) + 2))
    return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows of a table as lines of equal length, with two spaces between the columns.

    rows: all with the same number of cells. Cells that begin with a digit are aligned to the right, others to the left.
    Columns without any text are left out.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{cell:{'>' if cell[:1].isdigit() else '<'}{width}}" for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cell for cell, width in zip(cells, widths, strict=True) if width))
    return lines


def _wrapped(sentence: str, width: int, hang: str = "") -> list[str]:
    return textwrap.wrap(sentence, width, subsequent_indent=hang, break_on_hyphens=False, break_long_words=False)
