"""The transition of a performance from one graph to another, while both compute outputs.

Audio is faded from the outputs of the old graph to those of the new one. Frames and symbols change over at once, where
the fade begins.
"""

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
    """The times of a transition from the running graph to a new one, in seconds of the signal.

    begin, end: the first and the last moment of the fade, in the outputs. over: when the inputs have reached this
    time, all items of the fade are known, and the old graph is no longer needed. graph: the new graph.
    """

    begin: Fraction
    end: Fraction
    over: Fraction
    graph: Graph


class Line:
    """A queue of the items that one graph has computed for one output.

    first: the number of its first item; the item at time 0 has the number 0. As an attribute, `first` grows as items
    are removed.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.items = Queue()

    @property
    def end(self) -> int:
        """The number of the item after the last one in the queue."""
        return self.first + self.items.held

    def put(self, block: Array) -> None:
        """Append a block of items."""
        if len(block):
            self.items.put(block)

    def take(self, end: int) -> Array:
        """Remove all items whose number is below `end`, and return them.

        There must be at least one such item, and all of them must be in the queue.
        """
        n = end - self.first
        self.first = end
        return self.items.take(n)

    def drop(self, end: int) -> None:
        """Remove all items in the queue whose number is below `end`."""
        if (end := min(end, self.end)) > self.first:
            self.take(end)


class Outlet:
    """One output of a performance: the items of the running graph or, in a transition, a fade to those of a new graph.

    stream: the stream of the output. The attributes: `line`, the items of the running graph; `new`, those of the new
    graph during a transition, otherwise None. The caller puts items into both, then calls `advance`. `ready`: the items
    after the fade, which `take` returns.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.at = 0
        """The number of the next item to make ready."""
        self.line = Line(0)
        self.new: Line | None = None
        self.ready = Queue()

    def begin(self, first: int | None) -> None:
        """Begin a transition.

        first: the number of the first item that the new graph computes, counted from time 0; None: the first item after
        those that the running graph has computed.
        """
        self.new = Line(self.line.end if first is None else first)

    def finish(self) -> None:
        """End a transition: from now on the items of the new graph are the items of the output.

        `advance` must have moved all items of the fade. What is left of the old graph is dropped.
        """
        assert self.new is not None
        self.line, self.new = self.new, None

    def advance(self, crossing: Crossing | None) -> None:
        """Move all items that can be computed already to `ready`, faded if `crossing` is a transition.

        Audio fades linearly. Frames and symbols change from the old to the new graph at the beginning of the fade.
        crossing: the transition for which `begin` was called; None: there is none.
        """
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
        """Remove and return the next n items of `ready`. Raises LawError if there are fewer."""
        if n > self.ready.held:
            raise LawError(3, f"an output has {self.ready.held} items, and its latency promises {n}")
        return self.ready.take(n) if n else self.stream.empty()

    def _give(self, line: Line, end: int) -> None:
        if end > self.at:
            self.ready.put(line.take(end))
            self.at = end
