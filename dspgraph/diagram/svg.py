"""The diagram of a graph as an SVG file, which needs no other file and suits light and dark pages."""

from __future__ import annotations

import textwrap
from string import Template
from xml.sax.saxutils import escape, quoteattr

from dspgraph.diagram.build import build_diagram
from dspgraph.diagram.layout import MARGIN, Layout
from dspgraph.diagram.model import Box, Diagram, StreamLabel
from dspgraph.shown import shortened
from dspgraph.wiring.wiring import Wiring

_PAD = 11  # pixels between the text in a box and its edge
_HEAD, _ROW, _LINE = 44, 17, 14  # heights in pixels: of name and type together, a row of ports, a line of parameters
_LONGEST = 30  # the most characters in the name of a box, in a parameter, and in a line of parameters
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]/ "), frozenset("mwMWGOQ@%")


def svg(graph: Wiring) -> str:
    """Return the diagram of a graph as the text of an SVG file: boxes, wires, a legend of the colours, and remarks."""
    diagram = build_diagram(graph)
    ends = [", ".join(box.name for box in diagram.boxes if box.role == role) for role in ("input", "output")]
    sizes = [_size(box) for box in diagram.boxes]

    def port_height(k: int, port: int) -> int:
        return _HEAD + _ROW * port + _ROW // 2 if diagram.boxes[k].role == "node" else sizes[k][1] // 2

    layout = Layout(diagram, sizes, port_height)
    legend, height = _legend(diagram, layout.width, layout.height)
    size = f'width="{layout.width}" height="{height}" viewBox="0 0 {layout.width} {height}"'
    fit = 'style="max-width:100%;height:auto"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dspgraph" role="img" {size} {fit}>',
        f"<title>{escape(f'Signal graph from {ends[0]} to {ends[1]}')}</title>",
        f"<desc>{escape('; '.join(f'{label}: {text}' for label, text in diagram.remarks))}</desc>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{layout.width - 1}" height="{height - 1}" rx="10"/>',
        *(_wire(diagram, layout, number) for number in range(len(diagram.wires))),
        *(_box(diagram, layout, number) for number in range(len(diagram.boxes))),
        *legend,
        "</svg>",
    ]
    return "\n".join(lines)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def _breadth(text: str, size: float) -> float:
    """Return a generous estimate of the width of a text, in pixels. size: the size of the font in pixels."""
    return size * sum(map(_em, text))


def _em(letter: str) -> float:
    if letter in _NARROW:
        return 0.4
    if letter in _WIDE or not letter.isascii():
        return 0.96
    return 0.76 if letter.isupper() else 0.64


def _mono(text: str) -> float:
    return sum(6.5 if c.isascii() else 11.0 for c in text)


def _ports(box: Box) -> list[tuple[str, str]]:
    """Return the rows of text in a box that show its ports: pairs (input port, output port and its stream).

    If a row has a port on one side only, the other side is "". A port that is the only one on its side is not named.
    The stream is in words: see `StreamLabel.at`. There is at least one row.
    """
    left = list(box.takes) if len(box.takes) > 1 else []
    right = [label.at(port if len(box.gives) > 1 else "") for port, label in box.gives]
    rows = max(len(left), len(right), 1)
    return list(zip(left + [""] * (rows - len(left)), right + [""] * (rows - len(right)), strict=True))


def _notes(box: Box) -> list[tuple[str, str]]:
    """Return the lines below the ports of a box, its parameters and its lookahead: (CSS class, line).

    Parameters are shortened to 30 characters each and joined; the lines of parameters have at most 30 characters.
    """
    short = " ".join(shortened(one, _LONGEST) for one in box.parameters)
    lines = [("parameters", line) for line in textwrap.wrap(short, _LONGEST, break_on_hyphens=False)]
    if box.lookahead:
        lines.append(("whole" if box.whole else "ahead", box.lookahead))
    return lines


def _size(box: Box) -> tuple[int, int]:
    if box.role != "node":
        return round(max(_breadth(shortened(box.name, _LONGEST), 14), _breadth(box.kind, 11)) + 36), 44
    widths = [_breadth(shortened(box.name, _LONGEST), 14), _breadth(box.kind, 11), 96.0]
    widths += [_breadth(left, 11) + _breadth(right, 11) + (16 if left and right else 0) for left, right in _ports(box)]
    widths += [_mono(line) for _, line in _notes(box)]
    notes = len(_notes(box))
    return round(max(widths) + 2 * _PAD + 2), _HEAD + _ROW * len(_ports(box)) + (notes and 8 + _LINE * notes) + 4


# ---- drawing ---------------------------------------------------------------------------------------------------------


def _wire(diagram: Diagram, layout: Layout, number: int) -> str:
    """Return the SVG element of wire `number`: curves between layers, straight lines across layers, an arrow head."""
    wire, ((_, x, y), *stops) = diagram.wires[number], layout.route(number)
    line = f"M{x} {y}"
    for left, right, below in stops:
        middle = (x + left) // 2
        line += f"C{middle} {y} {middle} {below} {left} {below}H{right}"
        x, y = right, below
    line = line.removesuffix(f"H{right}")  # the wire ends at the left edge of the last layer
    head = f"M{left - 8} {y - 4}L{left} {y}L{left - 8} {y + 4}Z"
    what = escape(f"{wire.origin} to {wire.to}, {wire.stream.full}")
    ends = f"data-from={quoteattr(wire.origin)} data-to={quoteattr(wire.to)}"
    return (
        f'<g class="wire {_class(wire.stream)}" {ends}><title>{what}</title>'
        f'<path class="reach" d="{line}"/><path class="line" d="{line}"/><path class="head" d="{head}"/></g>'
    )


def _box(diagram: Diagram, layout: Layout, number: int) -> str:
    """Return the SVG element of box `number`: name and `Box.kind`, then ports, then parameters and lookahead.

    An input or an output has round ends, and no ports.
    """
    box, (x, y, width, height) = diagram.boxes[number], layout.rectangle(number)
    node = box.role == "node"
    what = " ".join(filter(None, [f"{box.name}:", box.kind, *box.parameters, box.lookahead]))
    at, middle = (x + _PAD, "") if node else (x + width // 2, " middle")
    parts = [
        f'<g class="box {box.role}{" holds" if box.whole else ""}" data-name={quoteattr(box.name)}>',
        f"<title>{escape(what)}</title>",
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{8 if node else height // 2}"/>',
        _text(f"name{middle}", at, y + 19, shortened(box.name, _LONGEST)),
        _text(f"kind{middle}", at, y + 34, box.kind),
    ]
    base = y + _HEAD
    for left, right in _ports(box) if node else ():
        parts += [_text("port", at, base + 12, left)] if left else []
        if right:
            label = box.gives[(base - y - _HEAD) // _ROW][1]
            parts.append(_text(f"end {_class(label)}", x + width - _PAD, base + 12, right))
            parts.append(f'<circle class="{_class(label)}" cx="{x + width}" cy="{base + _ROW // 2}" r="3"/>')
        base += _ROW
    for row, (kind, line) in enumerate(_notes(box)):
        parts += [f'<path class="rule" d="M{x} {base + 4}h{width}"/>'] if not row else []
        parts.append(_text(kind, at, base + 18 + _LINE * row, line))
    return "\n".join([*parts, "</g>"])


def _class(label: StreamLabel) -> str:
    return label.kind.lower()


def _text(kind: str, x: int, y: int, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _legend(diagram: Diagram, width: int, top: int) -> tuple[list[str], int]:
    """Return the SVG elements below the boxes (colours of the streams, remarks), and the height of the whole drawing.

    width: the width of the drawing; top: the height of the drawing without these elements.
    """
    parts, x, y = [], MARGIN, top + 14
    for kind in dict.fromkeys(wire.stream.kind for wire in diagram.wires):
        parts.append(f'<g class="wire {kind.lower()}"><path class="line" d="M{x} {y - 4}h22"/></g>')
        parts.append(_text("kind", x + 28, y, kind))
        x += 44 + round(_breadth(kind, 11))
    for label, text in diagram.remarks:
        for line in textwrap.wrap(f"{label}: {text}", max(30, (width - 2 * MARGIN) // 7)):
            y += 16
            parts.append(_text("kind", MARGIN, y, line))
    return parts, y + MARGIN - 4


_SHAPES = """
.dspgraph text { font: 11px system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif }
.dspgraph .name { font-size: 13px; font-weight: 600 }
.dspgraph .parameters { font: 10.5px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace }
.dspgraph .ahead { font-style: italic }
.dspgraph .whole { font-weight: 600 }
.dspgraph .middle { text-anchor: middle }
.dspgraph .end { text-anchor: end }
.dspgraph path { fill: none; stroke-width: 1.6 }
.dspgraph .reach { stroke: transparent; stroke-width: 11 }
.dspgraph .rule { stroke-width: 1 }
.dspgraph circle { stroke-width: 1.5 }
.dspgraph .symbols .line { stroke-dasharray: 6 3 }
.dspgraph .wire:hover .line { stroke-width: 3 }
.dspgraph .holds rect { stroke-width: 2 }
"""

_COLOURS = Template("""
.dspgraph .paper { fill: $paper; stroke: $border }
.dspgraph .rule { stroke: $border }
.dspgraph .box rect { fill: $fill; stroke: $edge }
.dspgraph .input rect, .dspgraph .output rect { fill: $pill; stroke: $audio }
.dspgraph .holds rect { stroke: $whole }
.dspgraph circle { fill: $fill }
.dspgraph text { fill: $grey }
.dspgraph .name { fill: $ink }
.dspgraph .whole { fill: $whole }
.dspgraph .audio .line, .dspgraph circle.audio { stroke: $audio }
.dspgraph .audio .head, .dspgraph text.audio { fill: $audio }
.dspgraph .frames .line, .dspgraph circle.frames { stroke: $frames }
.dspgraph .frames .head, .dspgraph text.frames { fill: $frames }
.dspgraph .symbols .line, .dspgraph circle.symbols { stroke: $symbols }
.dspgraph .symbols .head, .dspgraph text.symbols { fill: $symbols }
""")

_LIGHT = {"paper": "#ffffff", "border": "#d1d9e0", "fill": "#f6f8fa", "edge": "#afb8c1", "ink": "#1f2328",
          "grey": "#59636e", "pill": "#ddf4ff", "audio": "#0969da", "frames": "#1a7f37", "symbols": "#8250df",
          "whole": "#bc4c00"}  # fmt: skip
_DARK = {"paper": "#0d1117", "border": "#30363d", "fill": "#161b22", "edge": "#4d5662", "ink": "#f0f6fc",
         "grey": "#9da7b3", "pill": "#12283d", "audio": "#58a6ff", "frames": "#3fb950", "symbols": "#bc8cff",
         "whole": "#f0883e"}  # fmt: skip

# A viewer that ignores @media shows the light colours. The drawing has its own background, so it suits every page.
_STYLE = (
    _SHAPES + _COLOURS.substitute(_LIGHT) + f"@media (prefers-color-scheme: dark) {{{_COLOURS.substitute(_DARK)}}}\n"
)
