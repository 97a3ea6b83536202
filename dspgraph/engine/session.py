"""The engine: signals pushed through the plan of a graph, one at a time or in a batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np

from dspgraph.engine.plan import Plan, Queue, SessionState
from dspgraph.errors import DspgraphError, SessionError, SignalError, UnknownName, suggest
from dspgraph.streams import Array
from dspgraph.wiring.wiring import Wiring

Blocks: TypeAlias = Mapping[str, Any]
Signal: TypeAlias = Blocks | Iterable[Blocks]
"""Whole arrays by input name, or the same block by block."""

QUANTUM = Fraction(1, 100)
"""Seconds between two events of a live graph, as in AudioGraph. A rate it does not divide is no special case."""

BLOCK = Fraction(1)
"""Seconds per block offline: long enough to hide the cost of calls, short enough to stay in the cache."""


def blocks_of(graph: Wiring, signals: Blocks, seconds: Iterable[Fraction] = ()) -> Iterator[dict[str, Array]]:
    """Cut whole arrays, one per input, into blocks of one time span each; the first ones of the lengths given.

    10 ms at 22050 Hz are 221, 220, 221, 220 ... samples: a block holds the items that begin in its span.
    """
    _check_names(graph, signals)
    for name, stream in graph.inputs.items():
        if name not in signals:
            raise SignalError(f"the graph takes '{name}', {stream}, and was given none")
    arrays = {name: np.asarray(signals[name]) for name in graph.inputs}
    longest = max(graph.inputs[name].seconds(len(np.atleast_1d(array))) for name, array in arrays.items())
    end, lengths = Fraction(0), chain(seconds, repeat(BLOCK))
    while end < longest:
        begin, end = end, end + next(lengths)
        yield {
            name: array[stream.count(begin) : stream.count(end)] if array.ndim else array
            for (name, stream), array in zip(graph.inputs.items(), arrays.values(), strict=True)
        }


def _check_names(graph: Wiring, names: Iterable[str]) -> None:
    for name in names:
        if name not in graph.inputs:
            raise UnknownName(f"the graph has no input '{name}'; {suggest(name, graph.inputs)}")


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """The parts of every output, in one array each."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def render_arrays(session: Session, signals: Blocks) -> dict[str, Array]:
    """Render whole arrays with a new session. Nobody else touches them meanwhile: the blocks need no copies."""
    parts = []
    for blocks in blocks_of(session.graph, signals):
        session.feed(blocks, copy=False)
        session.run()
        parts.append(session.collect(copy=False))
    return joined([*parts, session.flush()])


@dataclass(frozen=True)
class Snapshot:
    """A session frozen in the middle of a signal: it can be kept, pickled, sent elsewhere and restored many times."""

    digest: str
    flow: SessionState


class Session:
    """One signal on its way through a graph.

    push(**blocks) takes a block per input, of any length, and gives what could be computed of every output. flush()
    gives the rest: it ends the signal, and only reset() or restore() begin another.
    """

    def __init__(self, graph: Wiring, plan: Plan | None = None) -> None:
        self.graph = graph
        self.plan = plan or Plan(graph)
        self.reset()

    def reset(self) -> None:
        """Forget everything: what follows is bit for bit what a new session gives."""
        self.flow = SessionState(self.plan)
        self.spent = ""

    def push(self, /, **blocks: Any) -> dict[str, Array]:
        """The next items of one or more inputs; gives the items of every output that are now known."""
        self.feed(blocks)
        self.run()
        return self.collect()

    def flush(self) -> dict[str, Array]:
        """End the signal and give the items still held. Every output then has ceil(seconds * rate) items in all."""
        self.finish()
        self.run()
        self.spent = "the signal has been flushed"
        return self.collect()

    def snapshot(self) -> Snapshot:
        """Everything this session has in hand, as a value of its own."""
        self._check_alive()
        return Snapshot(self.graph.digest, copy.deepcopy(self.flow))

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this graph, taken here or elsewhere."""
        if snapshot.digest != self.graph.digest:
            raise SessionError(
                f"the snapshot is of graph {snapshot.digest[:12]}, this session runs {self.graph.digest[:12]}: "
                "restore it in a session of the graph it was taken from"
            )
        self.flow = copy.deepcopy(snapshot.flow)
        self.spent = ""

    # push and flush in their three parts, which Batch does for many sessions in step.

    def feed(self, blocks: Blocks, copy: bool = True) -> None:
        """Lay the blocks into the slots of their inputs. Of several inputs none runs ahead: what is too much waits.

        Without a copy the arrays are the session's to keep: nobody may write to them again.
        """
        self._check_alive()
        if not isinstance(blocks, Mapping):
            raise SignalError(f"a block is a mapping of inputs to arrays; found {blocks!r}")
        plan, flow = self.plan, self.flow
        arrays = {name: stream.validate(blocks[name], name, copy) for name, _, stream in plan.inputs if name in blocks}
        if len(arrays) < len(blocks):
            _check_names(self.graph, blocks)
        if len(plan.inputs) == 1:
            ((name, slot, _),) = plan.inputs
            n = len(arrays[name]) if arrays else 0
            flow.slots[slot] = arrays[name] if n else None
            flow.emitted[slot] += n
            return
        for (name, _, _), queue in zip(plan.inputs, flow.inputs, strict=True):
            array = arrays.get(name)
            if array is not None and len(array):
                queue.put(array)
        reached = self._pushed()
        for (_, slot, stream), queue in zip(plan.inputs, flow.inputs, strict=True):
            self._release(slot, queue, math.floor(reached * stream.rate) - flow.emitted[slot])

    def finish(self) -> None:
        """Say that the inputs have ended, and how long the signal was: all of them must have had that length."""
        self._check_alive()
        plan, flow = self.plan, self.flow
        end = self._pushed()
        for (name, slot, stream), queue in zip(plan.inputs, flow.inputs, strict=True):
            if flow.emitted[slot] + queue.held != stream.count(end):
                self.spent = "its inputs ended at different times"
                each = zip(plan.inputs, flow.inputs, strict=True)
                lengths = ", ".join(f"'{n}' has {flow.emitted[k] + q.held} items of {s}" for (n, k, s), q in each)
                raise SignalError(
                    f"the inputs end at different times: {lengths}; in {float(end):g} s there are "
                    f"{stream.count(end)} of '{name}': cut or extend one"
                )
        flow.end = end
        for (_, slot, _), queue in zip(plan.inputs, flow.inputs, strict=True):
            self._release(slot, queue, queue.held)

    def run(self) -> None:
        """Run every node once, as far as its blocks go."""
        flow = self.flow
        states, slots, emitted, ending = flow.states, flow.slots, flow.emitted, flow.end is not None
        unit = None
        try:
            for unit in self.plan.units:
                if not unit.plain or ending or not emitted[unit.out]:
                    unit.run(flow)
                    continue
                # The way nearly every block goes: what unit.run does, less looking at what comes out.
                blocks = unit.take(flow)
                slots[unit.out] = None
                for slot in unit.frees:
                    slots[slot] = None
                if blocks is not None:
                    states[unit.index], block = unit.step(states[unit.index], *blocks)
                    if n := len(block):
                        slots[unit.out] = block
                        emitted[unit.out] += n
        except BaseException as error:
            assert unit is not None
            self.spent = f"it was interrupted, or failed, in '{unit.name}'"
            if isinstance(error, Exception) and not isinstance(error, DspgraphError):
                raise unit.failed_at(flow, error) from error
            raise

    def collect(self, copy: bool = True) -> dict[str, Array]:
        """What the outputs give in this round, copied so that neither side can spoil the other's samples."""
        slots = self.flow.slots
        return {
            name: stream.empty() if (block := slots[slot]) is None else block.copy() if copy else block
            for name, slot, stream in self.plan.outputs
        }

    def _pushed(self) -> Fraction:
        """Seconds that every input has reached."""
        flow = self.flow
        each = zip(self.plan.inputs, flow.inputs, strict=True)
        return min(stream.seconds(flow.emitted[slot] + queue.held) for (_, slot, stream), queue in each)

    def _release(self, slot: int, queue: Queue, n: int) -> None:
        self.flow.slots[slot] = queue.take(n) if n > 0 else None
        self.flow.emitted[slot] += max(n, 0)

    def _check_alive(self) -> None:
        if self.spent:
            raise SessionError(f"this session cannot go on: {self.spent}; reset() it, or open another")
