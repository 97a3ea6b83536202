"""The result of profiling: time and memory of every node, and whether the graph would run live on this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from dspgraph.streams import Array, milliseconds

ENGINE = "(engine)"
"""The name of the row for the time outside all nodes. No node can have a name with brackets."""

HERE = "on this machine, as busy as it was"
"""Words in every verdict that depends on measured time, because other programs on the machine can make it longer."""


@dataclass(frozen=True)
class Row:
    """Time and memory of one node, or of the engine, over all signals. Times are in seconds.

    calls: the number of calls. seconds: the time of all calls. share: this time as a part of the time of all rows, from
    0 to 1. speed: the length of all signals, divided by this time; infinity if it is 0. worst: the time of the slowest
    quantum. at_end: the part of `seconds` in rounds in which a signal ended. held: the most bytes of memory for one
    signal. In the row of the engine `name` is ENGINE, and `type` is "".
    """

    name: str
    type: str
    calls: int
    """The number of calls of step and flush. A call of step_many for several signals counts once. In the row of the
    engine it is the number of rounds."""
    seconds: float
    share: float
    """The node's part of the time of all rows, from 0 to 1."""
    speed: float
    """The real-time factor: the length of all signals together, divided by the time of this node."""
    worst: float
    """The longest time of the node for one quantum (of all signals together, in a batch), in seconds. Rounds in which a
    signal ends are left out."""
    at_end: float
    """The part of `seconds` in rounds in which a signal ended. `worst` leaves these rounds out, because no later
    quantum of the signal has to wait for them."""
    held: int
    """The most bytes, for one signal, that the node's state and the blocks waiting before the node had together. In the
    row of the engine: the blocks in the slots and at the inputs of the graph (see `memory.held`)."""


@dataclass(frozen=True)
class Peak:
    """The quantum of a profile whose computation took the longest time.

    spent: [nodes + 1], the seconds that each node took, in running order; the last number is for the engine. at: the
    time, in seconds of the signal (in a batch, of its first signal), at which the quantum begins.
    """

    spent: Array
    at: float

    @property
    def seconds(self) -> float:
        """The seconds of all nodes and of the engine together."""
        return float(self.spent.sum())


@dataclass
class Profile:
    """Time and memory of the nodes of one graph, over all signals. It can be pickled, and merged with other profiles.

    names, types, calls, seconds, worst, at_end, held: each has one value for each node, in running order, and a last
    one for the engine; `Row` says what the values mean. quantum: the length of a quantum, in seconds. wait: the latency
    of the graph, in seconds. whole: the names of the nodes that need the whole signal. peak: the slowest quantum. All
    numbers of a new profile are 0, except quantum and wait.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    quantum: Fraction
    wait: Fraction | float
    whole: tuple[str, ...]
    calls: Array = field(init=False)
    seconds: Array = field(init=False)
    worst: Array = field(init=False)
    at_end: Array = field(init=False)
    held: Array = field(init=False)
    peak: Peak = field(init=False)
    most_held: int = 0
    """The most bytes that all nodes and the engine together held for one signal."""
    signal: Fraction = Fraction(0)
    """The length of all signals together, in seconds."""
    played: Fraction = Fraction(0)
    """The length of all rounds together, in seconds of signal: a round of a batch counts once, not once per signal."""
    longest: Fraction = Fraction(0)
    """The length of the longest signal, in seconds."""
    batch: int = 0
    """The most signals that were computed in one round."""
    quanta: int = 0
    """The number of quanta, without rounds in which a signal ended."""
    late: int = 0
    """The number of these quanta whose computation took as long as a quantum lasts, or longer."""

    def __post_init__(self) -> None:
        n = len(self.names)
        self.calls, self.held = np.zeros(n, int), np.zeros(n, int)
        self.seconds, self.worst, self.at_end = np.zeros(n), np.zeros(n), np.zeros(n)
        self.peak = Peak(np.zeros(n), 0.0)

    def merge(self, other: Profile) -> None:
        """Add the profile of other signals of the same graph to this one. `other` was measured with the same quantum.

        It may come from another process, and is not changed.
        """
        self.calls = self.calls + other.calls
        self.seconds = self.seconds + other.seconds
        self.at_end = self.at_end + other.at_end
        self.worst = np.maximum(self.worst, other.worst)
        self.held = np.maximum(self.held, other.held)
        self.peak = max(self.peak, other.peak, key=lambda peak: peak.seconds)
        self.most_held = max(self.most_held, other.most_held)
        self.signal += other.signal
        self.played += other.played
        self.longest = max(self.longest, other.longest)
        self.batch = max(self.batch, other.batch)
        self.quanta += other.quanta
        self.late += other.late

    def rows(self) -> list[Row]:
        """Return one row per node, in running order, and a last one for the engine."""
        total = self.seconds.sum()
        columns = zip(self.names, self.types, self.calls, self.seconds, self.worst, self.at_end, self.held, strict=True)
        return [
            Row(
                name, kind, int(calls), float(seconds), float(seconds / total) if total else 0.0,
                self._speed(seconds), float(worst), float(at_end), int(held),
            )
            for name, kind, calls, seconds, worst, at_end, held in columns
        ]  # fmt: skip

    def table(self) -> list[tuple[str, ...]]:
        """Return a table as rows of text cells: titles, one row per node, the engine, the total.

        From the third column on, the cells of a column are padded on the left to the same width.
        """
        at, total = f"worst {milliseconds(self.quantum)}", float(self.seconds.sum())
        cells = [
            ("node", "type", "calls", "time", "share", "real-time factor", at, "at the end", "holds"),
            *(
                (
                    row.name, row.type, str(row.calls), _seconds(row.seconds), f"{row.share:.1%}", _times(row.speed),
                    _seconds(row.worst), _seconds(row.at_end), _bytes(row.held),
                )
                for row in self.rows()
            ),
            (
                "total", "", str(self.calls.sum()), _seconds(total), "", _times(self._speed(total)),
                _seconds(self.peak.seconds), _seconds(float(self.at_end.sum())), _bytes(self.most_held),
            ),
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [
            (*row[:2], *(cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))) for row in cells
        ]

    def verdict(self) -> str:
        """Return in a few sentences whether the graph would run live on this machine, and why."""
        if not self.signal:
            return "Nothing has run: whether it would run live is not known."
        load = float(self.seconds.sum()) / float(self.played)
        signals = "signal" if self.batch == 1 else f"up to {self.batch} signals at once"
        sentences = [
            self._answer(load),
            f"On average {milliseconds(self.quantum)} of {signals} take {_seconds(load * float(self.quantum))}, "
            f"a load of {load:.1%}.",
        ]
        if nodes := self.rows()[:-1]:
            slowest = max(nodes, key=lambda row: row.seconds)
            sentences.append(
                f"The slowest node is {slowest.name}: {slowest.share:.0%} of the time, "
                f"{_times(slowest.speed)} real time."
            )
        return " ".join(sentences)

    def _answer(self, load: float) -> str:
        quantum = milliseconds(self.quantum)
        if self.wait == math.inf:
            named = " and ".join(filter(None, (", ".join(self.whole[:-1]), self.whole[-1])))
            needs = "needs" if len(self.whole) == 1 else "need"
            return f"It would not run live: {named} {needs} the whole signal before anything comes out."
        if self.longest <= self.wait + self.quantum:
            return (
                f"Whether it would run live is not known: what comes out is {milliseconds(self.wait)} late, and the "
                f"longest signal had {milliseconds(self.longest)}: give it a longer one."
            )
        culprit = int(np.argmax(self.peak.spent))
        worst = (
            f"the worst {quantum} took {_seconds(self.peak.seconds)}, {_seconds(self.peak.spent[culprit])} of "
            f"it in {self.names[culprit]}, {self.peak.at:.2f} s into a signal"
        )
        if load >= 1:
            return f"It would not run live: it is slower than real time {HERE}, and {worst}."
        if self.late:
            return (
                f"It would not run live without gaps: {self.late} of {self.quanta} quanta took {quantum} or longer "
                f"{HERE}; {worst}."
            )
        return f"It would run live {HERE}, {milliseconds(self.wait)} late: {worst}."

    def _speed(self, seconds: float) -> float:
        return float(self.signal) / float(seconds) if seconds else math.inf


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3f} ms"


def _times(speed: float) -> str:
    return f"{speed:,.0f} x" if speed >= 10 else f"{speed:.2g} x"


def _bytes(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"
