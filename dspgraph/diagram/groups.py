"""Labels of boxes and wires, and groups of boxes, for Mermaid and Graphviz files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from dspgraph.diagram.model import Box, Diagram, Edge
from dspgraph.shown import shortened


def box_lines(box: Box) -> list[str]:
    """Return the lines of text in a box: name, type, parameters, lookahead.

    The name of a node inside a pipeline is the part after the last slash: `lpc` for the node `codec/lpc`.
    """
    name = box.name.rpartition("/")[2] if box.role == "node" else box.name
    return [name, box.kind, *(shortened(one, 60) for one in box.parameters), *filter(None, [box.lookahead])]


def wire_label(shown: Diagram, wire: Edge) -> str:
    """Return the label of a wire: its stream in words.

    Names of ports come before the stream: the name of the output port if the box at the start of the wire has several
    outputs, then the name of the input port if the box at the end has several inputs. A name that is equal to the kind
    of the items is left out.
    """
    gives, takes = shown.boxes[wire.tail].gives, shown.boxes[wire.head].takes
    return wire.stream.at(gives[wire.out][0] if len(gives) > 1 else "", takes[wire.into] if len(takes) > 1 else "")


def grouped(
    shown: Diagram, declare: Callable[[int, Box], str], enclose: Callable[[int, str], tuple[str, str]]
) -> Iterator[str]:
    """Yield the lines of a file that declare all boxes, in groups.

    The nodes of a pipeline that is used as a node are a group, and a group can contain groups. declare: number and
    content of a box -> its line in the file. enclose: number and name of a group -> the lines before and after its
    boxes.
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
