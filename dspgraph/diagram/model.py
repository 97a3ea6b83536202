"""The data behind every diagram of a graph (text, Mermaid, Graphviz, SVG): boxes, wires and remarks, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamLabel:
    """A stream in words: class, kind of items, rate, size, centre and dtype; "" for each that need not be said."""

    kind: str
    items: str
    rate: str
    size: str = ""
    centre: str = ""
    dtype: str = ""

    @property
    def brief(self) -> str:
        """Items, rate and size."""
        return ", ".join(filter(None, (self.items, self.rate, self.size)))

    def at(self, *ports: str) -> str:
        """Return `brief`, after the names of ports, unless a name says no more than the kind of the items."""
        names = " to ".join(port for port in dict.fromkeys(ports) if port and port != self.items)
        return f"{names}: {self.brief}" if names else self.brief

    @property
    def columns(self) -> tuple[str, ...]:
        """All parts, for a table."""
        return f"{self.kind} {self.items}".rstrip(), self.rate, self.size, self.centre, self.dtype

    @property
    def full(self) -> str:
        """All parts, for a sentence."""
        return ", ".join(filter(None, self.columns))


@dataclass(frozen=True)
class Box:
    """An input, a node or an output of a graph.

    role: "input", "node" or "output". takes: names of the input ports. gives: names and streams of the output ports.
    lookahead: in words. whole: whether the node holds the whole signal before it gives anything.
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
    """A wire from output port `out` of box `tail` to input port `into` of box `head`, all numbers; and both names."""

    tail: int
    out: int
    head: int
    into: int
    origin: str
    to: str
    stream: StreamLabel


@dataclass(frozen=True)
class Diagram:
    """Boxes in running order (each after those it takes from), wires, and remarks as (label, sentence)."""

    boxes: tuple[Box, ...]
    wires: tuple[Edge, ...]
    remarks: tuple[tuple[str, str], ...]


def shorten(text: str, most: int) -> str:
    """Return a text of at most `most` characters; a longer one loses its middle."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[len(text) - half :]}"
