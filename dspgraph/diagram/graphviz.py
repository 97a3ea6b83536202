"""The diagram of a graph as a Graphviz digraph, for the program `dot`."""

from __future__ import annotations

from dspgraph.diagram.build import build_diagram
from dspgraph.diagram.groups import box_lines, grouped, wire_label
from dspgraph.diagram.model import Box
from dspgraph.wiring.wiring import Wiring


def dot(graph: Wiring) -> str:
    """Return the diagram of a graph as the text of a Graphviz digraph."""
    shown = build_diagram(graph)
    lines = ["digraph dspgraph {", "  rankdir=LR", '  node [shape=box, style=rounded, fontname="Helvetica"]',
             '  edge [fontname="Helvetica", fontsize=10]']  # fmt: skip
    shapes = {"node": "", "input": ", shape=ellipse", "output": ", shape=ellipse"}

    def declare(number: int, box: Box) -> str:
        style = ", peripheries=2" if box.whole else shapes[box.role]
        return f"n{number} [label={_quoted(chr(10).join(box_lines(box)))}{style}]"

    def enclose(number: int, group: str) -> tuple[str, str]:
        return f"subgraph cluster_{number} {{ label={_quoted(group)}", "}"

    lines += grouped(shown, declare, enclose)
    for wire in shown.wires:
        label, tip = _quoted(wire_label(shown, wire)), _quoted(f"{wire.origin} to {wire.to}, {wire.stream.full}")
        lines.append(f"  n{wire.tail} -> n{wire.head} [label={label}, tooltip={tip}]")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    """Return a text as a quoted string of a Graphviz file, in which quotes, backslashes and line ends are escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
