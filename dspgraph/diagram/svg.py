"""A picture of boxes and wires as one SVG file, laid out in layers from left to right.

Every box stands in the layer of its longest way from an input. A wire that spans layers is led through a point in
each, shared by all wires of one origin; boxes and points are put in order by barycentres, and moved up and down until
the wires are as straight as that order allows.

Source: K. Sugiyama, S. Tagawa, M. Toda, Methods for Visual Understanding of Hierarchical System Structures, IEEE
Transactions on Systems, Man, and Cybernetics 11(2), 1981.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, combinations, pairwise, product
from statistics import fmean
from string import Template
from xml.sax.saxutils import escape, quoteattr

from dspgraph.diagram.model import Box, Picture, Signal

_MARGIN = 20  # around the whole
_PAD = 11  # beside the text in a box
_HEAD, _ROW, _LINE = 44, 17, 14  # how high: name and type, a row of ports, a line of parameters
_LONGEST = 30  # letters in a line
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]/ "), frozenset("mwMWGOQ@%")


def draw(picture: Picture) -> str:
    """The SVG file."""
    ends = [", ".join(box.name for box in picture.boxes if box.role == role) for role in ("input", "output")]
    plan = _Layout(picture)
    legend, height = _legend(picture, plan.width, plan.height)
    size = f'width="{plan.width}" height="{height}" viewBox="0 0 {plan.width} {height}"'
    fit = 'style="max-width:100%;height:auto"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dspgraph" role="img" {size} {fit}>',
        f"<title>{escape(f'Signal graph from {ends[0]} to {ends[1]}')}</title>",
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
    return size * sum(map(_em, text))


def _em(letter: str) -> float:
    if letter in _NARROW:
        return 0.4
    if letter in _WIDE or not letter.isascii():
        return 0.96
    return 0.76 if letter.isupper() else 0.64


def _mono(text: str) -> float:
    return sum(6.5 if c.isascii() else 11.0 for c in text)


def shorten(text: str, most: int) -> str:
    """A text of at most `most` letters, the middle left out."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[len(text) - half :]}"


def _ports(box: Box) -> list[tuple[str, str]]:
    """The rows of labels of a box: the input on the left, the output on the right. A single input needs no name."""
    left = list(box.takes) if len(box.takes) > 1 else []
    right = [signal.at(port if len(box.gives) > 1 else "") for port, signal in box.gives]
    rows = max(len(left), len(right), 1)
    return list(zip(left + [""] * (rows - len(left)), right + [""] * (rows - len(right)), strict=True))


def _notes(box: Box) -> list[tuple[str, str]]:
    """What stands under the ports of a box: (class, line)."""
    short = " ".join(shorten(one, _LONGEST) for one in box.parameters)
    lines = [("parameters", line) for line in textwrap.wrap(short, _LONGEST, break_on_hyphens=False)]
    if box.lookahead:
        lines.append(("whole" if box.whole else "ahead", box.lookahead))
    return lines


def _size(box: Box) -> tuple[int, int]:
    if box.role != "node":
        return round(max(_breadth(shorten(box.name, _LONGEST), 14), _breadth(box.kind, 11)) + 36), 44
    widths = [_breadth(shorten(box.name, _LONGEST), 14), _breadth(box.kind, 11), 96.0]
    widths += [_breadth(left, 11) + _breadth(right, 11) + (16 if left and right else 0) for left, right in _ports(box)]
    widths += [_mono(line) for _, line in _notes(box)]
    notes = len(_notes(box))
    return round(max(widths) + 2 * _PAD + 2), _HEAD + _ROW * len(_ports(box)) + (notes and 8 + _LINE * notes) + 4


# ---- where it stands ------------------------------------------------------------------------------------------------


class _Layout:
    """Boxes and points in layers. A number below len(boxes) is a box; the others are the points of long wires."""

    def __init__(self, picture: Picture) -> None:
        self.boxes, self.wires = picture.boxes, picture.wires
        self.sizes = [_size(box) for box in self.boxes]
        self.rank = self._ranks()
        self.paths = self._paths()
        self.near = self._near()
        self.layers = self._order()
        self.top = self._tops()
        self.columns, self.width = self._columns()
        self.height = max(top + height for top, (_, height) in zip(self.top, self.sizes, strict=True)) + _MARGIN

    def _ranks(self) -> list[int]:
        rank = [0] * len(self.boxes)
        for wire in sorted(self.wires, key=lambda wire: wire.head):  # boxes are in running order
            rank[wire.head] = max(rank[wire.head], rank[wire.tail] + 1)
        return [max(rank) if box.role == "output" else own for box, own in zip(self.boxes, rank, strict=True)]

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

    def _near(self) -> list[list[tuple[int, int, int, int]]]:
        """What each box or point is wired to in the layers beside it: (which, y there, y here, weight), where y is
        counted from the top and wires between points weigh most, so that long wires are straight."""
        near: list[dict[tuple[int, int, int, int], None]] = [{} for _ in self.rank]
        for wire, path in zip(self.wires, self.paths, strict=True):
            for a, b in pairwise(path):
                y_a, y_b = self._port(a, wire.out), self._port(b, wire.into)
                weight = (1, 2, 8)[(a >= len(self.boxes)) + (b >= len(self.boxes))]
                near[a][b, y_b, y_a, weight] = near[b][a, y_a, y_b, weight] = None
        return [list(one) for one in near]

    def _port(self, k: int, port: int) -> int:
        """How far below the top of a box its wire number `port` is, on either side."""
        if k >= len(self.boxes):
            return 1
        return _HEAD + _ROW * port + _ROW // 2 if self.boxes[k].role == "node" else self.sizes[k][1] // 2

    # The order in a layer.

    def _order(self) -> list[list[int]]:
        layers = [[k for k, rank in enumerate(self.rank) if rank == layer] for layer in range(max(self.rank) + 1)]
        tried = [layers]
        for turn in range(12):
            tried.append(self._by_barycentre(tried[-1], -1 if turn % 2 else 1))
        return self._exchanged(min(tried, key=self._crossings))

    def _at(self, layers: list[list[int]]) -> list[float]:
        at = [0.0] * len(self.rank)
        for layer in layers:
            for place, k in enumerate(layer):
                at[k] = place
        return at

    def _beside(self, k: int, side: int, at: list[float]) -> list[float]:
        """Where the wires of k end in the layer on one side: a place in the order, and a fraction for the port."""
        layer = self.rank[k] - side
        return [at[j] + y / (self.sizes[j][1] + 1) for j, y, *_ in self.near[k] if self.rank[j] == layer]

    def _by_barycentre(self, layers: list[list[int]], side: int) -> list[list[int]]:
        layers, at = [list(layer) for layer in layers], self._at(layers)
        for layer in layers[::side]:
            centres = {k: (fmean(self._beside(k, side, at) or [at[k]]), at[k]) for k in layer}
            layer.sort(key=centres.__getitem__)
            for place, k in enumerate(layer):
                at[k] = place
        return layers

    def _crossings(self, layers: list[list[int]]) -> int:
        at, crossings = self._at(layers), 0
        for layer in layers:
            ends = [
                (at[k] + here / (self.sizes[k][1] + 1), at[j] + there / (self.sizes[j][1] + 1))
                for k in layer
                for j, there, here, _ in self.near[k]
                if self.rank[j] < self.rank[k]
            ]
            crossings += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(ends, 2))
        return crossings

    def _exchanged(self, layers: list[list[int]]) -> list[list[int]]:
        """Neighbours exchanged for as long as that leaves fewer crossings."""
        at, better = self._at(layers), True
        while better:
            better = False
            for layer in layers:
                for place in range(1, len(layer)):
                    k, j = layer[place - 1 : place + 1]
                    ends = [product(self._beside(k, side, at), self._beside(j, side, at)) for side in (1, -1)]
                    if sum((a > b) - (a < b) for a, b in chain(*ends)) > 0:
                        layer[place - 1 : place + 1] = j, k
                        at[j], at[k], better = place - 1, place, True
        return layers

    # Up and down.

    def _tops(self) -> list[int]:
        """Tops that leave the wires as straight as the order allows: the least sum of weight * (difference in height)
        squared, layer by layer, to and fro; then the nearly straight made straight."""
        top = [0.0] * len(self.rank)
        for turn in range(40):
            for layer in self.layers[:: -1 if turn % 2 else 1]:
                wanted = []
                for k in layer:
                    weight = sum(weight for *_, weight in self.near[k])
                    pull = sum(weight * (top[j] + there - here) for j, there, here, weight in self.near[k])
                    wanted.append((pull / weight, weight) if weight else (top[k], 1))
                for k, y in zip(layer, self._apart(layer, wanted), strict=True):
                    top[k] = y
        tops = [round(y) for y in top]
        for layer in self.layers:
            for k, j in pairwise(layer):
                tops[j] = max(tops[j], tops[k] + self._step(k, j))
        tops = self._straightened(tops)
        return [y - min(tops) + _MARGIN for y in tops]

    def _apart(self, layer: Sequence[int], wanted: Iterable[tuple[float, int]]) -> list[float]:
        """The tops nearest to the (top, weight) wanted that keep the order and the distances: isotonic regression by
        pooling adjacent violators."""
        room = [0, *accumulate(self._step(k, j) for k, j in pairwise(layer))]
        pools: list[tuple[float, int, int]] = []  # mean, weight, members
        for (y, weight), free in zip(wanted, room, strict=True):
            mean, members = y - free, 1
            while pools and pools[-1][0] > mean:
                other, heavy, others = pools.pop()
                mean = (other * heavy + mean * weight) / (heavy + weight)
                weight, members = heavy + weight, others + members
            pools.append((mean, weight, members))
        means = [mean for mean, _, members in pools for _ in range(members)]
        return [mean + free for mean, free in zip(means, room, strict=True)]

    def _step(self, k: int, below: int) -> int:
        """From the top of one to the top of the one below it, at least."""
        return self.sizes[k][1] + (26 if max(k, below) < len(self.boxes) else 18)

    def _straightened(self, top: list[int]) -> list[int]:
        """Wires that climb a little made straight, long ones first, by moving all that hangs straight on one end."""
        group = list(range(len(top)))
        wires = [
            (-weight, abs(top[j] + there - top[k] - here), k, here, j, there)
            for k, near in enumerate(self.near)
            for j, there, here, weight in near
            if self.rank[j] > self.rank[k]
        ]
        for *_, k, here, j, there in sorted(wires):
            climb = top[j] + there - top[k] - here
            for moved, shift in ((group[j], -climb), (group[k], climb)):
                trial = [y + shift if one == moved else y for y, one in zip(top, group, strict=True)]
                if abs(climb) <= 40 and group[j] != group[k] and self._fits(trial):
                    top, group = trial, [group[k] if one == group[j] else one for one in group]
        return top

    def _fits(self, top: list[int]) -> bool:
        return all(top[j] - top[k] >= self._step(k, j) for layer in self.layers for k, j in pairwise(layer))

    # Left and right.

    def _columns(self) -> tuple[list[tuple[int, int]], int]:
        """Where each layer begins and ends: as wide as its widest box, and further apart where wires are steep."""
        columns, x = [], _MARGIN
        for rank, layer in enumerate(self.layers):
            width = max(self.sizes[k][0] for k in layer)
            columns.append((x, x + width))
            climbs = [
                abs(self.top[j] + there - self.top[k] - here)
                for k in layer
                for j, there, here, _ in self.near[k]
                if self.rank[j] > rank
            ]
            x += width + 44 + min(70, max(climbs, default=0) // 5)
        return columns, columns[-1][1] + _MARGIN

    def _frame(self, k: int) -> tuple[int, int, int, int]:
        """x, y, width and height of a box, which is as wide as its column."""
        left, right = self.columns[self.rank[k]]
        return left, self.top[k], right - left, self.sizes[k][1]

    # ---- what is drawn ----------------------------------------------------------------------------------------------

    def wire(self, number: int) -> str:
        """A wire: straight where it passes a layer, curved between two."""
        wire, path = self.wires[number], self.paths[number]
        x, y, width, _ = self._frame(wire.tail)
        x, y = x + width, y + self._port(wire.tail, wire.out)
        line = f"M{x} {y}"
        for k in path[1:]:
            left, right = self.columns[self.rank[k]]
            middle, below = (x + left) // 2, self.top[k] + self._port(k, wire.into)
            line += f"C{middle} {y} {middle} {below} {left} {below}" + (f"H{right}" if k != wire.head else "")
            x, y = right, below
        head = f"M{left - 8} {y - 4}L{left} {y}L{left - 8} {y + 4}Z"
        what = escape(f"{wire.origin} to {wire.to}, {wire.signal.full}")
        ends = f"data-from={quoteattr(wire.origin)} data-to={quoteattr(wire.to)}"
        return (
            f'<g class="wire {_class(wire.signal)}" {ends}><title>{what}</title>'
            f'<path class="reach" d="{line}"/><path class="line" d="{line}"/><path class="head" d="{head}"/></g>'
        )

    def box(self, number: int) -> str:
        """A node: name and type, then its ports, then parameters and lookahead. An input or output is a pill."""
        box, (x, y, width, height) = self.boxes[number], self._frame(number)
        node = box.role == "node"
        what = " ".join(filter(None, [f"{box.name}:", box.kind, *box.parameters, box.lookahead]))
        at, middle = (x + _PAD, "") if node else (x + width // 2, " middle")
        parts = [
            f'<g class="box {box.role}{" holds" if box.whole else ""}" data-name={quoteattr(box.name)}>',
            f"<title>{escape(what)}</title>",
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{8 if node else height // 2}"/>',
            _text(f"name{middle}", at, y + 19, shorten(box.name, _LONGEST)),
            _text(f"kind{middle}", at, y + 34, box.kind),
        ]
        base = y + _HEAD
        for left, right in _ports(box) if node else ():
            parts += [_text("port", at, base + 12, left)] if left else []
            if right:
                signal = box.gives[(base - y - _HEAD) // _ROW][1]
                parts.append(_text(f"end {_class(signal)}", x + width - _PAD, base + 12, right))
                parts.append(f'<circle class="{_class(signal)}" cx="{x + width}" cy="{base + _ROW // 2}" r="3"/>')
            base += _ROW
        for row, (kind, line) in enumerate(_notes(box)):
            parts += [f'<path class="rule" d="M{x} {base + 4}h{width}"/>'] if not row else []
            parts.append(_text(kind, at, base + 18 + _LINE * row, line))
        return "\n".join([*parts, "</g>"])


def _class(signal: Signal) -> str:
    return signal.kind.lower()


def _text(kind: str, x: int, y: int, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _legend(picture: Picture, width: int, top: int) -> tuple[list[str], int]:
    """What the colours mean, and the remarks, below the boxes; and the height of the whole."""
    parts, x, y = [], _MARGIN, top + 14
    for kind in dict.fromkeys(wire.signal.kind for wire in picture.wires):
        parts.append(f'<g class="wire {kind.lower()}"><path class="line" d="M{x} {y - 4}h22"/></g>')
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
