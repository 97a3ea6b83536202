"""A picture of boxes and wires as one SVG file, laid out in layers from left to right.

Every box gets the layer of its longest way from an input (Sugiyama, Tagawa and Toda, IEEE Trans. SMC 11(2), 1981).
A wire that spans layers is led through a point in each, shared by all wires of one origin; boxes and points are put
in order by barycentres, and moved up and down until the wires are as straight as that order allows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import Template
from xml.sax.saxutils import escape, quoteattr

_MARGIN, _ROW, _LINE, _PAD = 20, 17, 14, 11
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]/ "), frozenset("mwMWGOQ@%")


@dataclass(frozen=True)
class Signal:
    """A stream in words: its class, what its items are, rate, size, centre and dtype; "" where nothing is to say."""

    kind: str
    items: str
    rate: str
    size: str = ""
    centre: str = ""
    dtype: str = ""

    @property
    def brief(self) -> str:
        """What it carries, how often and how wide."""
        return ", ".join(filter(None, (self.items, self.rate, self.size)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything, for a table."""
        return f"{self.kind} {self.items}".rstrip(), self.rate, self.size, self.centre, self.dtype

    @property
    def full(self) -> str:
        """Everything, for a sentence."""
        return ", ".join(filter(None, self.columns))


@dataclass(frozen=True)
class Box:
    """An input, a node or an output: `role` says which. takes and gives are its ports."""

    role: str
    name: str
    kind: str
    parameters: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    gives: tuple[tuple[str, Signal], ...] = ()
    lookahead: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Wire:
    """From output `out` of box `tail` to input `into` of box `head`, all by number; origin and to are their names."""

    tail: int
    out: int
    head: int
    into: int
    origin: str
    to: str
    signal: Signal


@dataclass(frozen=True)
class Picture:
    """What is to be seen of a graph: boxes, each after those it takes from, wires, and remarks."""

    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    remarks: tuple[tuple[str, str], ...]


def draw(picture: Picture) -> str:
    """The SVG file."""
    title = " to ".join(
        ", ".join(box.name for box in picture.boxes if box.role == role) for role in ("input", "output")
    )
    plan = _Layout(picture)
    legend, height = _legend(picture, plan.width, plan.height)
    size = f'width="{plan.width}" height="{height}" viewBox="0 0 {plan.width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dspgraph" role="img" aria-label={quoteattr(title)} {size}>',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape('; '.join(f'{label}: {text}' for label, text in picture.remarks))}</desc>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{plan.width - 1}" height="{height - 1}" rx="10"/>',
        *(plan.wire(number) for number in range(len(picture.wires))),
        *(plan.box(number) for number in range(len(picture.boxes))),
        *legend,
        "</svg>",
    ]
    return "\n".join(lines)


# ---- how large a box is ---------------------------------------------------------------------------------------------


def _breadth(text: str, size: float) -> float:
    """About how wide a text is; a little too wide for most fonts rather than too narrow for some."""
    ems = sum(0.4 if c in _NARROW else 0.96 if c in _WIDE else 0.76 if c.isupper() else 0.64 for c in text)
    return ems * size


def _mono(text: str) -> float:
    return 6.5 * len(text)


def shorten(text: str, most: int) -> str:
    """A text of at most `most` letters, the middle left out."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[len(text) - half :]}"


def _ports(box: Box) -> list[tuple[str, str]]:
    """The rows of labels of a box: the input on the left, the output on the right. A single input needs no name."""
    left = list(box.takes) if len(box.takes) > 1 else []
    right = [signal.brief if len(box.gives) == 1 else f"{port}: {signal.brief}" for port, signal in box.gives]
    rows = max(len(left), len(right), 1)
    return list(zip(left + [""] * (rows - len(left)), right + [""] * (rows - len(right)), strict=True))


def _notes(box: Box) -> list[tuple[str, str]]:
    """What stands under the ports of a box: (class, line)."""
    short = " ".join(shorten(one, 30) for one in box.parameters)
    lines = [("parameters", line) for line in textwrap.wrap(short, 30, break_on_hyphens=False)]
    if box.lookahead:
        lines.append(("whole" if box.whole else "ahead", box.lookahead))
    return lines


def _size(box: Box) -> tuple[int, int]:
    if box.role != "node":
        return round(max(_breadth(shorten(box.name, 30), 13), _breadth(box.kind, 11)) + 36), 44
    widths = [_breadth(shorten(box.name, 30), 13), _breadth(box.kind, 11), 96.0]
    widths += [_breadth(left, 11) + _breadth(right, 11) + (16 if left and right else 0) for left, right in _ports(box)]
    widths += [_mono(line) for _, line in _notes(box)]
    notes = len(_notes(box))
    return round(max(widths) + 2 * _PAD + 2), 44 + _ROW * len(_ports(box)) + (notes and 8 + _LINE * notes) + 4


# ---- where it stands ------------------------------------------------------------------------------------------------


class _Layout:
    """Boxes and points in layers. A number below len(boxes) is a box; the others are the points of long wires."""

    def __init__(self, picture: Picture) -> None:
        self.boxes, self.wires = picture.boxes, picture.wires
        self.sizes = [_size(box) for box in self.boxes]
        self.rank = self._ranks()
        self.paths = self._paths()
        self.links = self._links()
        self.layers = self._order()
        self.top = self._tops()
        self.left, self.width = self._columns()
        self.height = round(max(self.top[k] + height for k, (_, height) in enumerate(self.sizes))) + _MARGIN

    def _ranks(self) -> list[int]:
        rank = [0] * len(self.boxes)
        for wire in sorted(self.wires, key=lambda wire: wire.head):  # boxes are in running order
            rank[wire.head] = max(rank[wire.head], rank[wire.tail] + 1)
        last = max(rank)
        return [last if box.role == "output" else own for box, own in zip(self.boxes, rank, strict=True)]

    def _paths(self) -> list[list[int]]:
        """Every wire as the boxes and points it goes through, one in each layer."""
        points: dict[tuple[int, int, int], int] = {}
        paths = []
        for wire in self.wires:
            path = [wire.tail]
            for layer in range(self.rank[wire.tail] + 1, self.rank[wire.head]):
                point = points.setdefault((wire.tail, wire.out, layer), len(self.rank))
                if point == len(self.rank):
                    self.rank.append(layer)
                    self.sizes.append((0, 2))
                path.append(point)
            paths.append([*path, wire.head])
        return paths

    def _links(self) -> list[tuple[int, int, int, int, int]]:
        """The pieces of wire from layer to layer: (from, to, y in from, y in to, weight). Long wires stay straight."""
        found = {}
        for wire, path in zip(self.wires, self.paths, strict=True):
            for a, b in zip(path, path[1:], strict=False):
                ends = self._port(a, wire.out), self._port(b, wire.into)
                found[a, b, *ends] = (1, 2, 8)[(a >= len(self.boxes)) + (b >= len(self.boxes))]
        return [(*link, weight) for link, weight in found.items()]

    def _port(self, k: int, port: int) -> int:
        """How far below the top of a box its wire number `port` is, on either side."""
        if k >= len(self.boxes):
            return 1
        return 44 + _ROW * port + _ROW // 2 if self.boxes[k].role == "node" else self.sizes[k][1] // 2

    # The order in a layer.

    def _order(self) -> list[list[int]]:
        layers: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]
        for k, rank in enumerate(self.rank):
            layers[rank].append(k)
        best, fewest = layers, self._crossings(layers)
        for turn in range(12):
            layers = self._sweep(layers, backwards=bool(turn % 2))
            crossings = self._crossings(layers)
            if crossings < fewest:
                best, fewest = layers, crossings
        return best

    def _places(self, layers: list[list[int]]) -> dict[int, float]:
        return {k: float(place) for layer in layers for place, k in enumerate(layer)}

    def _sweep(self, layers: list[list[int]], backwards: bool) -> list[list[int]]:
        layers = [list(layer) for layer in layers]
        for layer in reversed(layers) if backwards else layers:
            place = self._places(layers)
            wanted: dict[int, list[float]] = {k: [] for k in layer}
            for a, b, y_a, y_b, _ in self.links:
                here, there, y = (a, b, y_b) if backwards else (b, a, y_a)
                if here in wanted:
                    wanted[here].append(place[there] + y / (self.sizes[there][1] + 1))
            centre = {k: sum(at) / len(at) if at else place[k] for k, at in wanted.items()}
            layer.sort(key=lambda k: (centre[k], place[k]))
        return layers

    def _crossings(self, layers: list[list[int]]) -> int:
        place = self._places(layers)
        ends = [
            (self.rank[a], place[a] + y_a / (self.sizes[a][1] + 1), place[b] + y_b / (self.sizes[b][1] + 1))
            for a, b, y_a, y_b, _ in self.links
        ]
        return sum(r == s and (a - c) * (b - d) < 0 for n, (r, a, b) in enumerate(ends) for s, c, d in ends[n + 1 :])

    # Up and down.

    def _tops(self) -> list[float]:
        """The tops that minimise the sum of weight * (height difference)**2 over all links, for this order: layer by
        layer, to and fro, each solved exactly."""
        top = [0.0] * len(self.rank)
        near: list[list[tuple[int, float, int]]] = [[] for _ in self.rank]
        for a, b, y_a, y_b, weight in self.links:
            near[a].append((b, y_b - y_a, weight))
            near[b].append((a, y_a - y_b, weight))
        forth = [*self.layers, *reversed(self.layers)]
        for layer in forth * 30:
            weights = [sum(w for *_, w in near[k]) or 1 for k in layer]
            wanted = [sum(w * (top[j] + dy) for j, dy, w in near[k]) / n if near[k] else top[k]
                      for k, n in zip(layer, weights, strict=True)]  # fmt: skip
            for k, y in zip(layer, self._apart(layer, wanted, weights), strict=True):
                top[k] = y
        first = min(top[k] for k in range(len(self.boxes)))
        return [round(y - min(first, min(top))) + _MARGIN for y in top]

    def _apart(self, layer: Sequence[int], wanted: Iterable[float], weights: Iterable[int]) -> list[float]:
        """The tops nearest to those wanted that keep the order and the distances: pooled, as in isotonic regression."""
        below, room = 0.0, []  # how far each is kept below the first of its layer
        for k, following in zip(layer, [*layer[1:], layer[-1]], strict=True):
            room.append(below)
            below += self.sizes[k][1] + (26 if max(k, following) < len(self.boxes) else 18)
        pools: list[tuple[float, int, int]] = []  # mean, weight, members
        for y, free, weight in zip(wanted, room, weights, strict=True):
            pool = (y - free, weight, 1)
            while pools and pools[-1][0] > pool[0]:
                mean, heavy, members = pools.pop()
                both = heavy + pool[1]
                pool = ((mean * heavy + pool[0] * pool[1]) / both, both, members + pool[2])
            pools.append(pool)
        means = [mean for mean, _, members in pools for _ in range(members)]
        return [mean + free for mean, free in zip(means, room, strict=True)]

    # Left and right.

    def _columns(self) -> tuple[list[int], int]:
        left, x = [], _MARGIN
        for rank, layer in enumerate(self.layers):
            for k in layer:
                if self.rank[k] == rank and k < len(self.boxes) and self.boxes[k].role == "node":
                    self.sizes[k] = max(self.sizes[j][0] for j in layer), self.sizes[k][1]
            left.append(x)
            steep = [abs(self.top[b] + y_b - self.top[a] - y_a) for a, b, y_a, y_b, _ in self.links
                     if self.rank[a] == rank]  # fmt: skip
            x += max(self.sizes[k][0] for k in layer) + 44 + round(min(70, 0.2 * max(steep, default=0)))
        right = max(left[-1] + self.sizes[k][0] for k in self.layers[-1])
        return left, right + _MARGIN

    def _column(self, rank: int) -> tuple[int, int]:
        return self.left[rank], self.left[rank] + max(self.sizes[k][0] for k in self.layers[rank])

    def corner(self, k: int) -> tuple[int, int]:
        """The upper left corner of a box. Inputs stand at the right of their column, so that their wires begin together."""
        left, right = self._column(self.rank[k])
        return right - self.sizes[k][0] if self.boxes[k].role == "input" else left, round(self.top[k])

    # ---- what is drawn ----------------------------------------------------------------------------------------------

    def wire(self, number: int) -> str:
        """A wire: straight where it passes a layer, curved between two."""
        wire, path = self.wires[number], self.paths[number]
        x, y = self.corner(wire.tail)
        x, y = x + self.sizes[wire.tail][0], y + self._port(wire.tail, wire.out)
        line = f"M{x} {y}"
        for k in path[1:]:
            left, right = self._column(self.rank[k])
            y_k = round(self.top[k]) + self._port(k, wire.into)
            line += f"C{(x + left) // 2} {y} {(x + left) // 2} {y_k} {left} {y_k}"
            if k >= len(self.boxes):
                line += f"H{right}"
            x, y = right, y_k
        x = self.corner(wire.head)[0]
        head = f"M{x - 8} {y - 4}L{x} {y}L{x - 8} {y + 4}Z"
        what = f"{wire.origin} to {wire.to}, {wire.signal.full}"
        ends = f"data-from={quoteattr(wire.origin)} data-to={quoteattr(wire.to)}"
        return (
            f'<g class="wire {escape(wire.signal.kind.lower())}" {ends}><title>{escape(what)}</title>'
            f'<path class="reach" d="{line}"/><path class="line" d="{line}"/><path class="head" d="{head}"/></g>'
        )

    def box(self, number: int) -> str:
        """A box: name and type, ports, parameters and lookahead. An input or output is a pill."""
        box, (x, y), (width, height) = self.boxes[number], self.corner(number), self.sizes[number]
        words = " ".join(filter(None, [box.kind, *box.parameters, box.lookahead]))
        classes = f"box {box.role}{' holds' if box.whole else ''}"
        parts = [
            f'<g class="{classes}" data-name={quoteattr(box.name)}><title>{escape(f"{box.name}: {words}")}</title>',
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{8 if box.role == "node" else height // 2}"/>',
        ]
        if box.role != "node":
            parts += [_text("name middle", x + width // 2, y + 19, shorten(box.name, 30))]
            parts += [_text("kind middle", x + width // 2, y + 34, box.kind)]
            return "\n".join([*parts, "</g>"])
        parts += [_text("name", x + _PAD, y + 19, shorten(box.name, 30)), _text("kind", x + _PAD, y + 34, box.kind)]
        for row, (left, right) in enumerate(_ports(box)):
            base = y + 44 + _ROW * row + 12
            parts += [_text("port", x + _PAD, base, left)] if left else []
            parts += (
                [_text(f"port end {box.gives[row][1].kind.lower()}", x + width - _PAD, base, right)] if right else []
            )
        for row, (_, signal) in enumerate(box.gives):
            at = y + self._port(number, row)
            parts.append(f'<circle class="{escape(signal.kind.lower())}" cx="{x + width}" cy="{at}" r="3"/>')
        base = y + 44 + _ROW * len(_ports(box)) + 8
        if _notes(box):
            parts.append(f'<path class="rule" d="M{x} {base - 4}h{width}"/>')
        for row, (kind, line) in enumerate(_notes(box)):
            parts.append(_text(kind, x + _PAD, base + 10 + _LINE * row, line))
        return "\n".join([*parts, "</g>"])


def _text(kind: str, x: int, y: int, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _legend(picture: Picture, width: int, top: int) -> tuple[list[str], int]:
    """What the colours mean, and the remarks, below the boxes; and the height of the whole."""
    parts, x, y = [], _MARGIN, top + 14
    for kind in dict.fromkeys(wire.signal.kind for wire in picture.wires):
        parts.append(f'<g class="wire {escape(kind.lower())}"><path class="line" d="M{x} {y - 4}h22"/></g>')
        parts.append(_text("kind", x + 28, y, kind))
        x += 44 + round(_breadth(kind, 11))
    for label, text in picture.remarks:
        for line in textwrap.wrap(f"{label}: {text}", max(30, (width - 2 * _MARGIN) // 7)):
            y += 16
            parts.append(_text("kind", _MARGIN, y, line))
    return parts, y + _MARGIN - 4


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

# Viewers that know no media rules stay light; the paper is drawn, so that the page behind it does not matter.
_STYLE = (
    _SHAPES + _COLOURS.substitute(_LIGHT) + f"@media (prefers-color-scheme: dark) {{{_COLOURS.substitute(_DARK)}}}\n"
)
