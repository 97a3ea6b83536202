"""The diagram of a graph as a Mermaid flowchart."""

from __future__ import annotations

import re

from dspgraph.diagram.build import build_diagram
from dspgraph.diagram.groups import box_lines, grouped, wire_label
from dspgraph.diagram.model import Box
from dspgraph.wiring.wiring import Wiring


def mermaid(graph: Wiring) -> str:
    """Return the diagram of a graph as the text of a Mermaid flowchart."""
    shown = build_diagram(graph)
    lines = ["flowchart LR"]
    shapes = {"input": '(["{}"])', "output": '(["{}"])', "node": '["{}"]', "holds": '[["{}"]]'}

    def declare(number: int, box: Box) -> str:
        label = "<br/>".join(_entities(line) for line in box_lines(box))
        return f"n{number}{shapes['holds' if box.whole else box.role].format(label)}"

    def enclose(number: int, group: str) -> tuple[str, str]:
        return f'subgraph g{number}["{_entities(group)}"]', "end"

    lines += grouped(shown, declare, enclose)
    lines += [f'  n{wire.tail} -->|"{_entities(wire_label(shown, wire))}"| n{wire.head}' for wire in shown.wires]
    return "\n".join(lines)


def _entities(text: str) -> str:
    """Return a text for a quoted Mermaid label: all but ASCII letters, digits, white space and _.,:=/+()- as entities.

    The entity of a character has its decimal code: a quote becomes `#34;`.
    """
    return re.sub(r"[^\w\s.,:=/+()-]", lambda found: f"#{ord(found[0])};", text, flags=re.ASCII)
