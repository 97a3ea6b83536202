"""What is to be seen of a graph, in words and numbers: what every way of showing it starts from."""

from __future__ import annotations

from dataclasses import dataclass


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

    def at(self, *ports: str) -> str:
        """The same, after the names of the ports it goes through where they say more."""
        names = " to ".join(port for port in dict.fromkeys(ports) if port and port != self.items)
        return f"{names}: {self.brief}" if names else self.brief

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
