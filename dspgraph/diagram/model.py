"""The data from which diagrams in all formats are drawn: boxes, wires and remarks, in words.

The formats are text, Mermaid, Graphviz and SVG. Mermaid and Graphviz leave out the remarks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamLabel:
    """A stream in words. A part that is not shown is "".

    kind: the class, "Audio", "Frames" or "Symbols"; items: the kind of the rows or symbols, such as "lpc"; rate: "16000
    Hz"; size: "2 channels", "24 wide" or "256 levels"; centre: "centre 10 ms". dtype: if the precision is that of
    most streams of the graph, "complex" for complex rows and "" for all others; otherwise the dtype, such as "float32"
    or "complex64", or "for float32" for symbols that stand for such samples.
    """

    kind: str
    items: str
    rate: str
    size: str = ""
    centre: str = ""
    dtype: str = ""

    @property
    def brief(self) -> str:
        """The kind of the items, the rate and the size: "lpc, 100 Hz, 16 wide"."""
        return ", ".join(filter(None, (self.items, self.rate, self.size)))

    def at(self, *ports: str) -> str:
        """Return the names of ports, followed by `brief`: "y to x: wave, 100 Hz, 320 wide".

        A name is left out if it is "", equal to the kind of the items, or equal to the name before it.
        """
        names = " to ".join(port for port in dict.fromkeys(ports) if port and port != self.items)
        return f"{names}: {self.brief}" if names else self.brief

    @property
    def columns(self) -> tuple[str, ...]:
        """All parts, as the cells of a row of a table. The first cell has the class and the kind of the items."""
        return f"{self.kind} {self.items}".rstrip(), self.rate, self.size, self.centre, self.dtype

    @property
    def full(self) -> str:
        """All parts, with commas between them: "Frames lpc, 100 Hz, 16 wide, centre 10 ms"."""
        return ", ".join(filter(None, self.columns))


@dataclass(frozen=True)
class Box:
    """An input, a node or an output of a graph.

    role: "input", "node" or "output". kind: the type of a node, or `StreamLabel.brief` of an input or output.
    parameters: only those that differ from their defaults, such as "order=24". takes: the names of the input ports.
    gives: the names and streams of the output ports. An input of the graph has one output port, an output one input
    port, both with the name "". lookahead: "lookahead 5 ms", "holds the whole signal", or "". whole: whether the node
    needs the whole signal before its first output.
    """

    role: str
    name: str
    kind: str
    parameters: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    gives: tuple[tuple[str, StreamLabel], ...] = ()
    lookahead: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Edge:
    """A wire from the output port `out` of the box `tail` to the input port `into` of the box `head`.

    tail, out, head, into: numbers of boxes and ports, from 0. origin: "frame.y", or "frame" if this node has no other
    output, or the name of an input of the graph. to: "lpc.x", or the name of an output of the graph. stream: what flows
    over the wire.
    """

    tail: int
    out: int
    head: int
    into: int
    origin: str
    to: str
    stream: StreamLabel


@dataclass(frozen=True)
class Diagram:
    """The boxes, wires and remarks of a graph.

    boxes: in running order: a box comes after the boxes from which its wires come. remarks: pairs (label, text), such
    as ("latency", "10 ms, through frame").
    """

    boxes: tuple[Box, ...]
    wires: tuple[Edge, ...]
    remarks: tuple[tuple[str, str], ...]
