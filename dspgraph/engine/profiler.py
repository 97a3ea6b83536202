"""The profiler: an instrument that measures what every node of a graph costs.

    profiler = Profiler(graph)
    session = Session(graph, profiler.plan)         # or Batch(graph, n, profiler.plan)
    for block in profiler.blocks(blocks):           # cut at every quantum
        session.push(**block)
    session.flush()
    print(profiler.profile.verdict())

Time is wall time, as a listener waits for it: on a busy machine every figure is larger. The time of a node is that of
its `step`, `step_many` and `flush`. All other time of a round is the engine's, with the stopwatches themselves (under a
microsecond per call). `start`, reading the blocks and copying the outputs are in neither.

A round is one quantum of one signal, or of every signal of a batch. In a batch the time of a round is that of all its
signals together, and a round in which a signal ends counts as the end for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from dspgraph.engine.batch import Batch
from dspgraph.engine.instrument import Flush, Step, StepMany, Watched
from dspgraph.engine.memory import held
from dspgraph.engine.plan import Plan, SessionState
from dspgraph.engine.profile import ENGINE, Peak, Profile
from dspgraph.engine.session import QUANTUM, Arrays, Session
from dspgraph.errors import RequestError
from dspgraph.streams import Array, Number, first_bad_item, to_fraction
from dspgraph.wiring.latency import latency
from dspgraph.wiring.wiring import Wiring

WARM_UP = Fraction(1)
"""Seconds of the first signal that go through the graph before they are timed."""

MEMORY_INTERVAL = 1.0
"""Seconds of a signal between two measurements of memory. After 10 s memory is measured when the signal has grown by
10 %, because a measurement takes time in proportion to what waits for the end of the signal."""


class Profiler:
    """Measures what the nodes of one graph cost, over all signals that go through sessions and batches of `plan`.

    quantum: seconds between two cuts of the signals, as in a live graph. Raises RequestError if it is not above 0.
    """

    def __init__(self, graph: Wiring, quantum: Number = QUANTUM) -> None:
        self.graph = graph
        self.quantum = to_fraction(quantum)
        if self.quantum <= 0:
            raise RequestError(f"a quantum lasts longer than 0 s; found {quantum}")
        self.clocks: dict[int, _Clock] = {}
        self.plan = Plan(graph, self)  # not the plan of the graph: other sessions run without stopwatches
        self._wait = latency(graph).seconds
        self._progress: WeakKeyDictionary[SessionState, _Progress] = WeakKeyDictionary()
        self._rehearsed = self._rehearsing = False
        self.warm = False
        """Whether the first second has gone through the nodes without an error."""
        self.profile = self._empty()

    def __reduce__(self) -> tuple[type[Profiler], tuple[Wiring, Fraction]]:
        return Profiler, (self.graph, self.quantum)  # in another process it measures from nothing

    def _empty(self) -> Profile:
        stages = self.plan.stages
        return Profile(
            (*(stage.name for stage in stages), ENGINE),
            (*(stage.node.type_name for stage in stages), ""),
            self.quantum,
            self._wait,
            tuple(stage.name for stage in stages if stage.binding.waits_for_the_end),
        )

    def take(self) -> Profile:
        """Return the profile since the last call, and begin a new one."""
        taken, self.profile = self.profile, self._empty()
        return taken

    def blocks(self, blocks: Iterable[Arrays]) -> Iterator[Arrays]:
        """Cut the blocks of a signal at every quantum.

        The first second of the first signal goes through the nodes before it is measured, and the outputs are thrown
        away. By then kernels are compiled and tables are made.
        """
        pieces = _at_quanta(self.graph, blocks, self.quantum)
        ahead = []
        if not self._rehearsed:
            self._rehearsed = True
            ahead = list(self._first_second(pieces))
            quanta = math.ceil(WARM_UP / self.quantum)
            self._rehearse([piece for number, piece in ahead if number is not None and number < quanta])
        yield from (piece for _, piece in ahead)
        yield from (piece for _, piece in pieces)

    def _first_second(self, pieces: Iterator[tuple[int | None, Arrays]]) -> Iterator[tuple[int | None, Arrays]]:
        missing = {name: stream.count(WARM_UP) for name, stream in self.graph.inputs.items()}
        for number, piece in pieces:
            yield number, piece
            if number is not None:
                for name, array in piece.items():
                    missing[name] -= len(array)
            if max(missing.values()) <= 0:
                return

    def _rehearse(self, pieces: list[Arrays]) -> None:
        """Run the nodes without measuring them. Errors are ignored: they come again when they count."""
        self._rehearsing = True
        try:
            session = Session(self.graph, self.plan)
            for piece in pieces:
                session.push(**piece)
            session.flush()
            if any(stage.has_step_many for stage in self.plan.stages):
                list(Batch(self.graph, 2, self.plan).render([pieces, pieces]))
            self.warm = True
        except Exception:
            return
        finally:
            self._rehearsing = False

    # ---- the instrument ---------------------------------------------------------------------------------------------

    def around_step(self, stage: Watched, step: Step) -> Step:
        """Return a step that is timed."""
        clock = self.clocks.setdefault(stage.index, _Clock())

        def timed(state: Any, *blocks: Any) -> tuple[Any, ...]:
            clock.calls += 1
            begin = perf_counter()
            try:
                return step(state, *blocks)
            finally:
                clock.seconds += perf_counter() - begin

        return timed

    def around_step_many(self, stage: Watched, step_many: StepMany) -> StepMany:
        """Return a step_many that is timed, without the steps that it may call itself."""
        return self.around_step(stage, step_many)

    def around_flush(self, stage: Watched, flush: Flush) -> Flush:
        """Return a flush that is timed."""
        return self.around_step(stage, flush)

    @contextmanager
    def around_round(self, states: Sequence[SessionState]) -> Iterator[None]:
        """Measure a round."""
        if self._rehearsing:
            yield
            return
        for state in states:
            if state.end is not None:
                self._measure_memory(state)
        for clock in self.clocks.values():
            clock.calls, clock.seconds = 0, 0.0
        done, begin = False, perf_counter()
        try:
            yield
            done = True
        finally:
            self._record(states, perf_counter() - begin, done)

    def _record(self, states: Sequence[SessionState], elapsed: float, done: bool) -> None:
        """Add a round to the profile. If it was not done, no signal has moved on."""
        profile, clocks = self.profile, [self.clocks[stage.index] for stage in self.plan.stages]
        nodes = [clock.seconds for clock in clocks]
        spent = np.array([*nodes, elapsed - sum(nodes)])
        profile.calls += [*(clock.calls for clock in clocks), 1]
        profile.seconds += spent
        profile.batch = max(profile.batch, len(states))
        each = [self._progress.setdefault(state, _Progress(spent)) for state in states]
        reached = [self._reached(state) for state in states]
        if any(state.end is not None for state in states):
            profile.at_end += spent
        elif not done or any(now > progress.reached for now, progress in zip(reached, each, strict=True)):
            self._count(each[0], spent, alone=len(states) == 1)
        if done:
            profile.played += max(now - progress.reached for now, progress in zip(reached, each, strict=True))
            for state, now, progress in zip(states, reached, each, strict=True):
                self._advance(state, now, progress)

    def _count(self, progress: _Progress, spent: Array, alone: bool) -> None:
        """Add the time of a round to its quantum. The quantum of a single signal may come in several rounds."""
        profile, number = self.profile, math.floor(progress.reached / self.quantum)
        if not alone or number != progress.quantum:
            progress.quantum, progress.spent = number, np.zeros_like(spent)
            profile.quanta += 1
        before, progress.spent = progress.spent, progress.spent + spent
        profile.late += int(before.sum() < float(self.quantum) <= progress.spent.sum())
        profile.worst = np.maximum(profile.worst, progress.spent)
        if progress.spent.sum() > profile.peak.seconds:
            profile.peak = Peak(progress.spent, float(number * self.quantum))

    def _advance(self, state: SessionState, reached: Fraction, progress: _Progress) -> None:
        self.profile.signal += reached - progress.reached
        self.profile.longest = max(self.profile.longest, reached)
        progress.reached = reached
        if state.end is None and reached >= progress.measure_at:
            self._measure_memory(state)
            progress.measure_at = max(float(reached) + MEMORY_INTERVAL, float(reached) * 1.1)

    def _reached(self, state: SessionState) -> Fraction:
        if state.end is not None:
            return state.end
        return min(stream.seconds(state.emitted[slot]) for _, slot, stream in self.plan.inputs)

    def _measure_memory(self, state: SessionState) -> None:
        profile, found = self.profile, np.array(list(held(self.plan, state)))
        profile.held = np.maximum(profile.held, found)
        profile.most_held = max(profile.most_held, int(found.sum()))


class _Clock:
    """The calls and the time of one node in a round."""

    def __init__(self) -> None:
        self.calls, self.seconds = 0, 0.0


class _Progress:
    """The time that a signal has reached, and the time that its present quantum has taken so far."""

    def __init__(self, like: Array) -> None:
        self.reached = Fraction(0)
        self.quantum = -1  # the number of the quantum that is measured
        self.spent = np.zeros_like(like)
        self.measure_at = MEMORY_INTERVAL


def _at_quanta(graph: Wiring, blocks: Iterable[Arrays], quantum: Fraction) -> Iterator[tuple[int | None, Arrays]]:
    """Yield the part of every block that begins in each quantum, with the number of the quantum.

    A block that no session takes is passed on with the number None: the session says what is wrong.
    """
    given = dict.fromkeys(graph.inputs, 0)
    for block in blocks:
        known = isinstance(block, Mapping) and block.keys() <= given.keys()
        if not known or not all(map(_is_sound, block.values())):
            yield None, block
            continue
        arrays = {name: np.asarray(array) for name, array in block.items()}
        begins = {name: given[name] for name in arrays}
        ends = {name: given[name] + len(array) for name, array in arrays.items() if len(array)}
        number = min((math.floor(graph.inputs[name].seconds(given[name]) / quantum) for name in ends), default=0)
        while ends:
            piece = {}
            for name, end in list(ends.items()):
                stop = min(graph.inputs[name].count((number + 1) * quantum), end)
                if stop > given[name]:
                    piece[name] = arrays[name][given[name] - begins[name] : stop - begins[name]]
                    given[name] = stop
                if stop == end:
                    del ends[name]
            if piece:
                yield number, piece
            number += 1


def _is_sound(array: Any) -> bool:
    found = np.asarray(array)
    return found.ndim > 0 and (found.dtype.kind not in "fc" or first_bad_item(found) is None)
