"""From one graph to another: the outputs of both, and the fade between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph.engine.plan import Queue
from dspgraph.errors import LawError
from dspgraph.graph import Graph
from dspgraph.streams import Array, Audio, Stream


@dataclass(frozen=True)
class Crossing:
    """A transition between two graphs, in seconds of the signal.

    begin, end: of the fade, in the outputs. over: when the signal has come so far, the last item of the fade is known,
    and the old graph is no longer needed. graph: the new graph.
    """

    begin: Fraction
    end: Fraction
    over: Fraction
    graph: Graph


class Line:
    """The items of one output of one graph that are not mixed yet. first: the number of the first of them."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.items = Queue()

    @property
    def end(self) -> int:
        """The number of the first item that is not there yet."""
        return self.first + self.items.held

    def put(self, block: Array) -> None:
        """Append items."""
        if len(block):
            self.items.put(block)

    def take(self, end: int) -> Array:
        """Remove and return the items before number `end`."""
        n = end - self.first
        self.first = end
        return self.items.take(n)

    def drop(self, end: int) -> None:
        """Remove the items before number `end`, as far as they are there."""
        if (end := min(end, self.end)) > self.first:
            self.take(end)


class Outlet:
    """One output of a performance: the items of one graph, or of two graphs between which it fades."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.at = 0
        """The number of the next item to make ready."""
        self.line = Line(0)
        self.new: Line | None = None
        self.ready = Queue()

    def begin(self, first: int | None) -> None:
        """Begin a transition. first: the number of the first item of the new graph; None: the next item."""
        self.new = Line(self.line.end if first is None else first)

    def finish(self) -> None:
        """End a transition: the new graph is the graph."""
        assert self.new is not None
        self.line, self.new = self.new, None

    def advance(self, crossing: Crossing | None) -> None:
        """Make as many items ready as are known."""
        if crossing is None or self.new is None:
            self._give(self.line, self.line.end)
            return
        rate = self.stream.rate
        begin, end = (math.ceil(time * rate) for time in (crossing.begin, crossing.end))
        if not isinstance(self.stream, Audio):
            end = begin  # only samples of audio have values between them
        self._give(self.line, min(self.line.end, begin))
        self.new.drop(self.at)
        if (n := min(self.line.end, self.new.end, end)) > self.at >= begin:
            since = np.arange(self.at - begin, n - begin) + float(begin - crossing.begin * rate)
            old, new = self.line.take(n), self.new.take(n)
            share = (since / float((crossing.end - crossing.begin) * rate)).astype(old.dtype)
            self.ready.put(old + share.reshape(-1, *[1] * (old.ndim - 1)) * (new - old))
            self.at = n
        if self.at >= end:
            self.line.drop(self.line.end)
            self._give(self.new, self.new.end)

    def take(self, n: int) -> Array:
        """Remove and return the next n items that are ready. Raises LawError if there are fewer."""
        if n > self.ready.held:
            raise LawError(3, f"an output has {self.ready.held} items, and its latency promises {n}")
        return self.ready.take(n) if n else self.stream.empty()

    def _give(self, line: Line, end: int) -> None:
        if end > self.at:
            self.ready.put(line.take(end))
            self.at = end
