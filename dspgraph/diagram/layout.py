"""The layout of a diagram in layers, from left to right.

The layer of a box is the largest number of wires on a path from an input to the box; all outputs are in the last
layer. A wire that passes over layers goes through one point in each of these layers; all wires from the same output
port share their points. The boxes and points of a layer are ordered by barycentres, the mean places of their
neighbours. Finally, boxes and points move up or down, in the same order, to make the wires as straight as possible.

Source: K. Sugiyama, S. Tagawa, M. Toda, Methods for Visual Understanding of Hierarchical System Structures, IEEE
Transactions on Systems, Man, and Cybernetics 11(2), 1981.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, combinations, pairwise, product
from statistics import fmean

from dspgraph.diagram.model import Diagram

MARGIN = 20
"""The free space around the whole drawing, in pixels."""


class Layout:
    """Places of the boxes of a diagram, and routes of its wires, in pixels.

    sizes: width and height of each box of the diagram. port: a function of the number of a box and the number of a port
    that returns the distance from the top of the box down to the wires at this port. Input port k and output port k of
    a box have the same distance. The attributes `width` and `height` are those of the whole drawing, with its margins.
    Boxes and points have numbers in one series: first the boxes, then the points at which wires pass a layer. x grows
    to the right, y downwards.
    """

    def __init__(self, diagram: Diagram, sizes: Sequence[tuple[int, int]], port: Callable[[int, int], int]) -> None:
        self.boxes, self.wires = diagram.boxes, diagram.wires
        self.sizes, self._box_port = list(sizes), port
        self.rank = self._ranks()
        self.paths = self._paths()
        self.near = self._near()
        self.layers = self._order()
        self.top = self._tops()
        self.columns, self.width = self._columns()
        self.height = max(top + height for top, (_, height) in zip(self.top, self.sizes, strict=True)) + MARGIN

    # Layers.

    def _ranks(self) -> list[int]:
        """Return the layer of each box, from 0. The docstring of this module defines the layer of a box."""
        rank = [0] * len(self.boxes)
        for wire in sorted(self.wires, key=lambda wire: wire.head):  # boxes have numbers in running order
            rank[wire.head] = max(rank[wire.head], rank[wire.tail] + 1)
        return [max(rank) if box.role == "output" else own for box, own in zip(self.boxes, rank, strict=True)]

    def _paths(self) -> list[list[int]]:
        """Return for each wire the numbers of its first box, its points in the layers that it passes, and its last box.

        Adds the layers of the points to `rank`, and their sizes (0 wide, 2 high) to `sizes`.
        """
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
        """Return for each box or point its neighbours in the layers on both sides: (number, y there, y here, weight).

        A neighbour is a box or point at the other end of a piece of wire. number: the number of the neighbour. y there:
        the distance from the top of the neighbour down to the wire. y here: the distance from the top of this box or
        point down to the wire. weight: how important it is that the piece of wire is straight: 8 between two points, 2
        between a box and a point, 1 between two boxes. A piece that several wires share is there once.
        """
        near: list[dict[tuple[int, int, int, int], None]] = [{} for _ in self.rank]
        for wire, path in zip(self.wires, self.paths, strict=True):
            for a, b in pairwise(path):
                y_a, y_b = self._port(a, wire.out), self._port(b, wire.into)
                weight = (1, 2, 8)[(a >= len(self.boxes)) + (b >= len(self.boxes))]
                near[a][b, y_b, y_a, weight] = near[b][a, y_a, y_b, weight] = None
        return [list(one) for one in near]

    def _port(self, k: int, port: int) -> int:
        """Return the distance from the top of a box `k` down to the wires at port number `port`; 1 for a point `k`."""
        return self._box_port(k, port) if k < len(self.boxes) else 1

    # The order of the boxes and points in each layer.

    def _order(self) -> list[list[int]]:
        """Return the boxes and points of each layer, in order from top to bottom.

        Twelve sweeps by barycentres, to the right and to the left in turn, each give an order. Of these orders and the
        order before the sweeps, the order with the fewest crossings is kept, and improved by exchanges.
        """
        layers = [[k for k, rank in enumerate(self.rank) if rank == layer] for layer in range(max(self.rank) + 1)]
        tried = [layers]
        for turn in range(12):
            tried.append(self._by_barycentre(tried[-1], -1 if turn % 2 else 1))
        return self._exchanged(min(tried, key=self._crossings))

    def _at(self, layers: list[list[int]]) -> list[float]:
        """Return the place of each box or point in its layer, by its number: 0 for the uppermost, 1 for the next ...

        layers: the boxes and points of each layer, from top to bottom.
        """
        at = [0.0] * len(self.rank)
        for layer in layers:
            for place, k in enumerate(layer):
                at[k] = place
        return at

    def _beside(self, k: int, side: int, at: list[float]) -> list[float]:
        """Return the places at which the wires of the box or point `k` end in the next layer on one side.

        side: 1 for the layer to the left, -1 for the layer to the right. at: the place of each box or point in its
        layer. An end is the place of the neighbour, plus a fraction below 1 that grows from port to port.
        """
        layer = self.rank[k] - side
        return [at[j] + y / (self.sizes[j][1] + 1) for j, y, *_ in self.near[k] if self.rank[j] == layer]

    def _by_barycentre(self, layers: list[list[int]], side: int) -> list[list[int]]:
        """Return new layers, each sorted by the mean of the places at which wires end on one side (see `_beside`).

        side=1: the layers are sorted from left to right, by the ends in the layer to the left, which is sorted already;
        side=-1: from right to left, by the ends in the layer to the right. A box without such wires has its own place.
        """
        layers, at = [list(layer) for layer in layers], self._at(layers)
        for layer in layers[::side]:
            centres = {k: (fmean(self._beside(k, side, at) or [at[k]]), at[k]) for k in layer}
            layer.sort(key=centres.__getitem__)
            for place, k in enumerate(layer):
                at[k] = place
        return layers

    def _crossings(self, layers: list[list[int]]) -> int:
        """Return the number of crossings: pairs of pieces of wire between the same two layers that cross.

        layers: the boxes and points of each layer, from top to bottom.
        """
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
        """Exchange boxes or points that are next to each other in a layer while that lowers the number of crossings.

        Changes and returns `layers`: the boxes and points of each layer, from top to bottom.
        """
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

    # The vertical positions.

    def _tops(self) -> list[int]:
        """Return the y of the top of each box and point; the order in each layer stays, the smallest y is `MARGIN`.

        In 40 sweeps over the layers, to the right and to the left in turn, the boxes and points of each layer are moved
        so that the sum over their pieces of wire of weight * (difference in y between the ends)**2 is least (see
        `_apart`). Then pieces that are nearly straight are made straight (see `_straightened`).
        """
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
        return [y - min(tops) + MARGIN for y in tops]

    def _apart(self, layer: Sequence[int], wanted: Iterable[tuple[float, int]]) -> list[float]:
        """Return the tops of the boxes and points of a layer: as near to the wanted tops as order and distances allow.

        layer: the boxes and points, from top to bottom. wanted: (top, weight) of each. The result minimises the sum of
        weight * (top - wanted top)**2 under the condition that each top is at least `_step` below the top before it.
        Method: isotonic regression by the pool-adjacent-violators algorithm.
        """
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
        """Return the least distance from the top of the box or point `k` to the top of `below`, the next one below it.

        It is the height of `k`, plus 26 pixels between two boxes or 18 pixels beside a point.
        """
        return self.sizes[k][1] + (26 if max(k, below) < len(self.boxes) else 18)

    def _straightened(self, top: list[int]) -> list[int]:
        """Return the tops after moving boxes and points so that pieces of wire that rise or fall a little are straight.

        top: the tops before; they are not changed. A piece leads from a box or point to a neighbour in the next layer.
        It is made straight if it rises or falls by at most 40 pixels: first the pieces between points, last those
        between boxes. After that the two ends of a straight piece move together. A piece stays as it is if boxes or
        points would come too close together.
        """
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
        """Return whether in every layer each top is at least `_step` below the top before it."""
        return all(top[j] - top[k] >= self._step(k, j) for layer in self.layers for k, j in pairwise(layer))

    # The horizontal positions.

    def _columns(self) -> tuple[list[tuple[int, int]], int]:
        """Return (x of the left and the right edge of each layer, width of the whole drawing with its margins).

        The space after a layer is 44 pixels, and up to 70 more if a wire there is steep.
        """
        columns, x = [], MARGIN
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
        return columns, columns[-1][1] + MARGIN

    def rectangle(self, k: int) -> tuple[int, int, int, int]:
        """Return x and y of the upper left corner, width and height of the box `k`.

        All boxes of a layer have the width of its widest box.
        """
        left, right = self.columns[self.rank[k]]
        return left, self.top[k], right - left, self.sizes[k][1]

    def route(self, number: int) -> Iterator[tuple[int, int, int]]:
        """Yield (left, right, y) for each layer of a wire: the x of its two edges, and the y of the wire in the layer.

        number: the number of the wire in the diagram. The wire starts at the right edge of its first layer, and ends at
        the left edge of its last layer. Between two layers it is a curve; in the layers that it passes it is
        horizontal.
        """
        wire, (first, *others) = self.wires[number], self.paths[number]
        left, right = self.columns[self.rank[first]]
        yield left, right, self.top[first] + self._port(first, wire.out)
        for k in others:
            left, right = self.columns[self.rank[k]]
            yield left, right, self.top[k] + self._port(k, wire.into)
