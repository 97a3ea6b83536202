"""Where the time goes: what every node of a graph costs, and whether the graph would run live on this machine.

    profile = Profile(graph)
    session = profile.session()      # in the place of graph.session(), for any number of signals
    ...
    print(profile.verdict())

Time is wall time, for that is what a listener waits for: on a busy machine every figure is larger. What a node's own
`step` and `flush` do is the node's; all else that a push does is the engine's, with the stopwatches (under a
microsecond per call). `start` is in neither. Before it is timed, the first second of the first signal goes through
the same nodes once, and what comes out is thrown away: kernels are compiled and tables made by then.
"""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from time import perf_counter
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from dspgraph.engine.plan import Plan, Queue, SessionState, Stage
from dspgraph.engine.session import QUANTUM, Session, joined
from dspgraph.errors import RequestError
from dspgraph.streams import Array, Number, milliseconds, to_fraction
from dspgraph.wiring.latency import latency
from dspgraph.wiring.wiring import Wiring

ENGINE = "(engine)"
"""The name of the row for all that is no node's: no node can have it."""

HERE = "on this machine, as busy as it was"
"""Part of every verdict: wall time depends on what else ran."""

WARM_UP = Fraction(1)
"""Seconds of the first signal that go through the graph before they are timed."""

LOOK = 1.0
"""Seconds of a signal after which memory is looked at again; after ten such, when the signal is a tenth longer: what
waits for the end of a long signal grows with it, and so does the time it takes to look."""


@dataclass(frozen=True)
class Row:
    """What one node cost, over all signals."""

    name: str
    type: str
    calls: int
    seconds: float
    share: float
    """Part of the whole time, from 0 to 1: of all rows together 1."""
    speed: float
    """The real-time factor: seconds of signal per second of this node's time."""
    worst: float
    """The most seconds that one quantum of a signal took, before its end."""
    at_end: float
    """Seconds of the whole that came at the end of signals, when nobody waits for the next quantum."""
    held: int
    """The most bytes seen in its state and waiting before it."""


class Profile:
    """What the nodes of one graph cost, adding up over the signals that go through its sessions.

    quantum: seconds, at which the signals are cut, so that the worst quantum is that of a live graph. RequestError if
    it is not above 0.
    """

    def __init__(self, graph: Wiring, quantum: Number = QUANTUM) -> None:
        self.graph = graph
        self.quantum = to_fraction(quantum)
        if self.quantum <= 0:
            raise RequestError(f"a quantum lasts longer than 0 s; found {quantum}")
        self.plan = Plan(graph)  # its own: the units of the graph's plan stay as they are
        self.clocks = [_Clock(unit) for unit in self.plan.units]
        self.names = [*(unit.name for unit in self.plan.units), ENGINE]
        # One number per node, in running order, and the engine's last.
        self.calls = np.zeros(len(self.names), int)
        self.held = np.zeros(len(self.names), int)
        self.seconds, self.worst, self.at_end = (np.zeros(len(self.names)) for _ in range(3))
        self.most_held = 0
        self.signal = self.longest = Fraction(0)  # seconds: of all signals, and of the longest
        self.quanta = self.late = 0
        self.peak = _Quantum(np.zeros(len(self.names)), 0.0)
        self.warm = False

    def session(self) -> Profiled:
        """One signal on its way through the graph, timed."""
        return Profiled(self)

    def rows(self) -> list[Row]:
        """What each node cost, in running order, and last what the engine did."""
        types = [*(unit.node.type_name for unit in self.plan.units), ""]
        total = self.seconds.sum()
        columns = zip(self.names, types, self.calls, self.seconds, self.worst, self.at_end, self.held, strict=True)
        return [
            Row(
                name, kind, int(calls), float(seconds), float(seconds / total) if total else 0.0,
                self._speed(seconds), float(worst), float(at_end), int(held),
            )
            for name, kind, calls, seconds, worst, at_end, held in columns
        ]  # fmt: skip

    def table(self) -> list[tuple[str, ...]]:
        """The rows for people to read, a head above and the sum below them."""
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
        """Whether the graph would run live on this machine, and why, in a few sentences."""
        if not self.signal:
            return "Nothing has run: whether it would run live is not known."
        load = float(self.seconds.sum()) / float(self.signal)
        sentences = [
            self._answer(load),
            f"On average {milliseconds(self.quantum)} of signal take {_seconds(load * float(self.quantum))}, "
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
        wait, quantum = latency(self.graph).seconds, milliseconds(self.quantum)
        if wait == math.inf:
            whole = [unit.name for unit in self.plan.units if unit.binding.waits_for_the_end]
            named = " and ".join(filter(None, (", ".join(whole[:-1]), whole[-1])))
            needs = "needs" if len(whole) == 1 else "need"
            return f"It would not run live: {named} {needs} the whole signal before anything comes out."
        if self.longest <= wait + self.quantum:
            return (
                f"Whether it would run live is not known: what comes out is {milliseconds(wait)} late, and the "
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
        return f"It would run live {HERE}, {milliseconds(wait)} late: {worst}."

    def _speed(self, seconds: float) -> float:
        return float(self.signal) / seconds if seconds else math.inf


class Profiled:
    """A session of a graph that is profiled: push, flush and flow are those of a `Session`, bit for bit.

    A push is cut at every quantum, counted from the start of the signal; of several pushes in one quantum the times
    add up.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.graph = profile.graph
        self._session = Session(profile.graph, profile.plan)
        self._rehearsal = None if profile.warm else Session(profile.graph, profile.plan)
        self._given = dict.fromkeys(profile.graph.inputs, 0)  # items of each input
        self._reached = Fraction(0)
        self._quantum = -1  # the number of the one that is being timed
        self._spent = np.zeros(len(profile.names))  # in it, so far
        self._look = LOOK  # when memory is looked at next

    @property
    def flow(self) -> SessionState:
        """All that changes while the signal goes through, as in a `Session`."""
        return self._session.flow

    def push(self, /, **blocks: Any) -> dict[str, Array]:
        """The next items of one or more inputs; gives the items of every output that are now known."""
        if self._session.spent or not blocks.keys() <= self._given.keys():
            self._session.feed(blocks)  # which says what is wrong
        inputs = self.graph.inputs
        arrays = {name: inputs[name].validate(blocks[name], name, copy=False) for name in inputs if name in blocks}
        parts = []
        for number, piece in self._pieces(arrays):
            self._rehearse(number, piece)
            parts.append(self._timed(number, partial(self._session.push, **piece)))
            self._advance(piece)
        return joined(parts) if parts else self._session.push(**arrays)

    def flush(self) -> dict[str, Array]:
        """End the signal and give the items still held."""
        self._rehearse(-1, {})
        self._look_at_memory()
        found = self._timed(-1, self._session.flush)
        assert self.flow.end is not None
        self._reach(self.flow.end)
        return found

    def _pieces(self, arrays: Mapping[str, Array]) -> Iterator[tuple[int, dict[str, Array]]]:
        """What lies in each quantum, with the quantum's number: an item lies where it begins."""
        quantum, inputs = self.profile.quantum, self.graph.inputs
        begins = {name: self._given[name] for name in arrays}
        left = {name: begins[name] + len(array) for name, array in arrays.items() if len(array)}
        at = dict(begins)
        number = min((math.floor(inputs[name].seconds(at[name]) / quantum) for name in left), default=0)
        while left:
            piece = {}
            for name, end in list(left.items()):
                stop = min(inputs[name].count((number + 1) * quantum), end)
                if stop > at[name]:
                    piece[name] = arrays[name][at[name] - begins[name] : stop - begins[name]]
                    at[name] = stop
                if stop == end:
                    del left[name]
            if piece:
                yield number, piece
            number += 1

    def _rehearse(self, number: int, piece: Mapping[str, Array]) -> None:
        """Let a piece, or the end of a signal (-1), go through the same nodes first, where nobody looks."""
        profile, rehearsal = self.profile, self._rehearsal
        if rehearsal is None:
            return
        quanta = math.ceil(WARM_UP / profile.quantum)
        inputs = self.graph.inputs.items()
        try:
            if 0 <= number < quanta:
                rehearsal.push(**piece)
                return
            if number < 0 or all(
                self._given[name] >= stream.count(quanta * profile.quantum) for name, stream in inputs
            ):
                self._rehearsal = None
                rehearsal.flush()
                profile.warm = True
        except Exception:
            self._rehearsal = None  # what failed will fail again, and be told, when it counts

    def _timed(self, number: int, call: Callable[[], dict[str, Array]]) -> dict[str, Array]:
        """Run and time a piece of the quantum of this number, or the end of the signal (-1)."""
        profile = self.profile
        for clock in profile.clocks:
            clock.reset()
        begin = perf_counter()
        try:
            return call()
        finally:
            elapsed = perf_counter() - begin
            nodes = [clock.seconds for clock in profile.clocks]
            spent = np.array([*nodes, elapsed - sum(nodes)])
            profile.calls += [*(clock.calls for clock in profile.clocks), 1]
            profile.seconds += spent
            if number < 0:
                profile.at_end += spent
            else:
                self._count(number, spent)

    def _count(self, number: int, spent: Array) -> None:
        """Add to what a quantum took; it may come in several pieces."""
        profile = self.profile
        if number != self._quantum:
            self._quantum, self._spent = number, np.zeros_like(spent)
            profile.quanta += 1
        before, self._spent = self._spent, self._spent + spent
        profile.late += int(before.sum() < float(profile.quantum) <= self._spent.sum())
        profile.worst = np.maximum(profile.worst, self._spent)
        if self._spent.sum() > profile.peak.seconds:
            profile.peak = _Quantum(self._spent, float(number * profile.quantum))

    def _advance(self, piece: Mapping[str, Array]) -> None:
        for name, array in piece.items():
            self._given[name] += len(array)
        self._reach(min(stream.seconds(self._given[name]) for name, stream in self.graph.inputs.items()))
        if self._reached >= self._look:
            self._look_at_memory()
            self._look = max(float(self._reached) + LOOK, float(self._reached) * 1.1)

    def _reach(self, seconds: Fraction) -> None:
        self.profile.signal += seconds - self._reached
        self.profile.longest = max(self.profile.longest, seconds)
        self._reached = seconds

    def _look_at_memory(self) -> None:
        profile, found = self.profile, np.array(list(_held(self.profile.plan, self.flow)))
        profile.held = np.maximum(profile.held, found)
        profile.most_held = max(profile.most_held, int(found.sum()))


@dataclass(frozen=True)
class _Quantum:
    """What each node spent in one quantum, and where in its signal that begins, seconds."""

    spent: Array
    at: float

    @property
    def seconds(self) -> float:
        return float(self.spent.sum())


class _Clock:
    """What one unit does: how often it is called, and how long it takes."""

    def __init__(self, unit: Stage) -> None:
        self.reset()
        unit.step, unit.flush = self._timed(unit.step), self._timed(unit.flush)

    def reset(self) -> None:
        self.calls, self.seconds = 0, 0.0

    def _timed(self, call: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        def timed(*arguments: Any) -> tuple[Any, ...]:
            self.calls += 1
            begin = perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds += perf_counter() - begin

        return timed


# ---- memory ---------------------------------------------------------------------------------------------------------

_NOBODYS = (type, ModuleType, FunctionType, BuiltinFunctionType, np.dtype, type(None))
"""What a state may name but does not hold."""


def _held(plan: Plan, flow: SessionState) -> Iterator[int]:
    """Bytes in the state of every node and waiting before it; last, those the engine keeps between nodes.

    What several hold is counted with the first. What a node has made for itself (tables, weights) is part of the node.
    """
    seen: dict[int, Any] = {}
    for unit in plan.units:
        size(unit.node, seen)
    for unit in plan.units:
        waiting = [queue for _, queue, _ in flow.joints[unit.index]]
        yield size(flow.states[unit.index], seen) + sum(_waiting(queue, seen) for queue in waiting)
    between = [block for block in flow.slots if block is not None]
    yield sum(_waiting(queue, seen) for queue in flow.inputs) + sum(size(block, seen) for block in between)


def _waiting(queue: Queue, seen: dict[int, Any]) -> int:
    return sum(size(block, seen) for block in queue.blocks)


def size(value: Any, seen: dict[int, Any]) -> int:
    """Bytes of a value and of all that can be reached from it, but for what was `seen` before (by id).

    Of a view the whole array counts that it keeps alive.
    """
    total, found = 0, [value]
    while found:
        one = found.pop()
        owner, nbytes = _memory(one)
        if id(owner) in seen or isinstance(one, _NOBODYS):
            continue
        seen[id(owner)] = owner  # kept, so that no other takes its id meanwhile
        total += nbytes
        if not isinstance(one, np.ndarray):
            found.extend(gc.get_referents(one))
        elif one.dtype.hasobject:
            found.extend(one.ravel().tolist())
    return total


def _memory(one: Any) -> tuple[Any, int]:
    """Who owns the memory of a value, and its bytes; of a foreign owner (numba has its own) what is seen of it."""
    below = one
    while isinstance(below, np.ndarray | memoryview):
        base = below.base if isinstance(below, np.ndarray) else below.obj
        if base is None:
            break
        if not isinstance(base, np.ndarray | memoryview):
            return base, below.nbytes
        below = base
    nbytes = getattr(below, "nbytes", None)  # of arrays, of numpy's numbers, of torch's tensors
    return below, nbytes if isinstance(nbytes, int) else sys.getsizeof(below)


# ---- words ----------------------------------------------------------------------------------------------------------


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3f} ms"


def _times(speed: float) -> str:
    return f"{speed:,.0f} x" if speed >= 10 else f"{speed:.2g} x"


def _bytes(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"
