"""The profiler: an instrument that measures the time and memory of every node of a graph.

    profiler = Profiler(graph)
    session = Session(graph, profiler.plan)         # or Batch(graph, n, profiler.plan)
    for block in profiler.blocks(blocks):           # cut at every quantum
        session.push(**block)
    session.flush()
    print(profiler.profile.verdict())

All times are wall times: on a busy machine they are longer. The time of a node is the time in its `step`, `step_many`
and `flush`. The rest of the time of a round is counted for the engine; it includes the measurement itself, which takes
less than a microsecond per call. The calls of `start`, the reading of blocks and the copying of outputs are not
measured.

In a round every node runs once, for a block of one signal or of every signal of a batch. A block that `profiler.blocks`
yields lasts one quantum at most. For one signal, the time of a quantum is the sum over its rounds. In a batch, every
round counts as one quantum, and its time is that of all signals together. A round in which a signal ends counts as no
quantum.
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
from dspgraph.engine.blocks import QUANTUM, Arrays
from dspgraph.engine.instrument import Flush, Step, StepMany, Watched
from dspgraph.engine.memory import held
from dspgraph.engine.plan import Plan, SessionState
from dspgraph.engine.profile import ENGINE, Peak, Profile
from dspgraph.engine.session import Session
from dspgraph.errors import RequestError
from dspgraph.streams import Array, Number, first_bad_item, to_fraction
from dspgraph.wiring.latency import latency
from dspgraph.wiring.wiring import Wiring

WARM_UP = Fraction(1)
"""Seconds at the start of the first signal that are run before anything is measured."""

MEMORY_INTERVAL = 1.0
"""Seconds of a signal between two measurements of memory. After 10 s of signal the interval is 10 % of what has
been pushed, because a measurement takes longer if more blocks wait for the end of the signal."""


class Profiler:
    """An instrument that measures the nodes of one graph, for all signals in sessions and batches of its `plan`.

    quantum: seconds of signal in one block, as in a live graph. Raises RequestError if it is not above 0.
    """

    def __init__(self, graph: Wiring, quantum: Number = QUANTUM) -> None:
        self.graph = graph
        self.quantum = to_fraction(quantum)
        if self.quantum <= 0:
            raise RequestError(f"a quantum lasts longer than 0 s; found {quantum}")
        self.clocks: dict[int, _Clock] = {}
        self.plan = Plan(graph, self)  # not graph.plan: other sessions of the graph are not measured
        self._wait = latency(graph).seconds
        self._progress: WeakKeyDictionary[SessionState, _Progress] = WeakKeyDictionary()
        self._rehearsed = self._rehearsing = False
        self.warm = False
        """True if the run before the measurement (`WARM_UP`) ended without an error."""
        self.profile = self._empty()

    def __reduce__(self) -> tuple[type[Profiler], tuple[Wiring, Fraction]]:
        return Profiler, (self.graph, self.quantum)  # after unpickling, the profile is empty

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
        """Return the profile of everything since the last call of `take`, and begin an empty one."""
        taken, self.profile = self.profile, self._empty()
        return taken

    def blocks(self, blocks: Iterable[Arrays]) -> Iterator[Arrays]:
        """Yield the blocks of a signal (input name -> array, as for `Session.push`), cut at every quantum.

        Before the first block of the first signal is yielded, the blocks of its first second are taken from `blocks`
        and run without being measured, and the outputs are discarded. Kernels are thus compiled, and tables are made,
        before the measurement begins. Then these blocks are yielded like all others. Blocks without items are left out.
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
        """Run all nodes for a signal of the blocks `pieces` without measuring them; set `warm` if there is no error.

        If a node has its own `step_many`, a batch of two such signals is run too. Errors are ignored: the measured run
        raises them again.
        """
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
        """Return a function that calls `step`, and adds the call and its time to the clock of the stage."""
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
        """Return a function that calls `step_many`, and adds one call and its time to the clock of the stage."""
        return self.around_step(stage, step_many)

    def around_flush(self, stage: Watched, flush: Flush) -> Flush:
        """Return a function that calls `flush`, and adds the call and its time to the clock of the stage."""
        return self.around_step(stage, flush)

    @contextmanager
    def around_round(self, states: Sequence[SessionState]) -> Iterator[None]:
        """Return a context manager that measures the time of one round, which runs inside it, for the profile.

        The memory of the sessions is measured too, at intervals of the signal (MEMORY_INTERVAL) and before the round in
        which a signal ends. Nothing is measured while `_rehearse` runs. states: the `SessionState` of each signal.
        """
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
        """Add a round to the profile: the calls and seconds in the clocks of the nodes, the rest for the engine.

        states: the session states of the round. elapsed: seconds that it took. done: False if an error ended it: the
        lengths of signal are then not added. A round in which a signal ends belongs to no quantum. A round without new
        items belongs to no quantum either, unless an error ended it.
        """
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
        """Add the time of a round to the time of the quantum to which the round belongs.

        Updates `quanta`, `late`, `worst` and `peak` of the profile, and the quantum in `progress`.

        progress: the progress of the first signal of the round. spent: the seconds of each node, and last of the
        engine, in the round. alone: True if the round has one signal: several rounds may then belong to one quantum. In
        a batch every round counts as one quantum.
        """
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
    """The number of calls and the seconds of one node in the present round."""

    def __init__(self) -> None:
        self.calls, self.seconds = 0, 0.0


class _Progress:
    """The time that a signal has reached, and the seconds that its present quantum has taken so far, for each node.

    like: an array with one number for each node and one for the engine; only its shape is used.
    """

    def __init__(self, like: Array) -> None:
        self.reached = Fraction(0)
        self.quantum = -1  # the number of the present quantum; none yet
        self.spent = np.zeros_like(like)
        self.measure_at = MEMORY_INTERVAL


def _at_quanta(graph: Wiring, blocks: Iterable[Arrays], quantum: Fraction) -> Iterator[tuple[int | None, Arrays]]:
    """Cut the blocks of a signal wherever a quantum begins; yield (number of the quantum, block) for each part.

    blocks: mappings, input name of `graph` -> array. quantum: the length of a quantum in seconds. The quanta are
    numbered from 0. A block without items is left out.

    A block with an unknown name, with NaN or infinity, or with a single number in place of an array is yielded uncut,
    with None as its number: a session then raises the error. Other faults are left to the session too.
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
