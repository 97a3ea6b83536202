"""Labels and groups of boxes, as Mermaid and Graphviz files have them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from dspgraph.diagram.model import Box, Diagram, Edge, shorten


def box_lines(box: Box) -> list[str]:
    """Return the lines in a box. A node inside a group loses the group's part of its name."""
    name = box.name.rpartition("/")[2] if box.role == "node" else box.name
    return [name, box.kind, *(shorten(one, 60) for one in box.parameters), *filter(None, [box.lookahead])]


def wire_label(shown: Diagram, wire: Edge) -> str:
    """Return the stream of a wire in words, after the names of its ports if a box has several."""
    gives, takes = shown.boxes[wire.tail].gives, shown.boxes[wire.head].takes
    return wire.stream.at(gives[wire.out][0] if len(gives) > 1 else "", takes[wire.into] if len(takes) > 1 else "")


def grouped(
    shown: Diagram, declare: Callable[[int, Box], str], enclose: Callable[[int, str], tuple[str, str]]
) -> Iterator[str]:
    """Yield the lines of all boxes. A pipeline used as a node is a group, which can have groups inside it.

    declare: number and box -> the line of the box. enclose: number and name of a group -> its first and last line.
    """
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
