"""Labels of boxes and wires, and groups of boxes, for Mermaid and Graphviz files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from dspgraph.diagram.model import Box, Diagram, Edge
from dspgraph.shown import shortened


def box_lines(box: Box) -> list[str]:
    """Return the lines of text in a box: name; `Box.kind`; parameters, one a line; `Box.lookahead` if it is not "".

    The name of a node inside a pipeline is the part after the last slash: `lpc` for the node `codec/lpc`. A parameter
    gets at most 60 characters.
    """
    name = box.name.rpartition("/")[2] if box.role == "node" else box.name
    return [name, box.kind, *(shortened(one, 60) for one in box.parameters), *filter(None, [box.lookahead])]


def wire_label(shown: Diagram, wire: Edge) -> str:
    """Return the label of a wire of the diagram `shown`: ports and stream, as in: "y to x: lpc, 100 Hz, 16 wide".

    The name of the output port is there if the box at the start of the wire has several outputs, the name of the input
    port if the box at the end has several inputs. A name that is equal to the kind of the items, or to the name before
    it, is left out.
    """
    gives, takes = shown.boxes[wire.tail].gives, shown.boxes[wire.head].takes
    return wire.stream.at(gives[wire.out][0] if len(gives) > 1 else "", takes[wire.into] if len(takes) > 1 else "")


def grouped(
    shown: Diagram, declare: Callable[[int, Box], str], enclose: Callable[[int, str], tuple[str, str]]
) -> Iterator[str]:
    """Yield the lines of a file that declare all boxes of the diagram `shown`, in groups, indented by their depth.

    The nodes of a pipeline that is used as a node are a group, and a group can contain groups. A group stands at the
    place of its first box. declare: number and content of a box -> its line in the file. enclose: number of a group,
    from 0 in the whole file, and its name without the groups around it -> the lines before and after its boxes.
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
