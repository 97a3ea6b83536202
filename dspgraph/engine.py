"""The engine: signals pushed through the plan of a graph, one at a time or in company."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np

from dspgraph.errors import DspgraphError, NodeError, SessionError, SignalError, UnknownName, nearest
from dspgraph.graph import Graph
from dspgraph.plan import Flow, Unit, plan_of
from dspgraph.streams import Array

Blocks: TypeAlias = Mapping[str, Any]
Signal: TypeAlias = Blocks | Iterable[Blocks]
"""Whole arrays by input name, or the same block by block."""

QUANTUM = Fraction(1, 100)
"""Seconds between two events of a live graph, as in AudioGraph. A rate it does not divide is no special case."""

BLOCK = Fraction(1)
"""Seconds per block offline: long enough to hide the cost of calls, short enough to stay in the cache."""


def blocks_of(graph: Graph, signals: Blocks, seconds: Iterable[Fraction] = ()) -> Iterator[dict[str, Array]]:
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


def _check_names(graph: Graph, names: Iterable[str]) -> None:
    for name in names:
        if name not in graph.inputs:
            raise UnknownName(f"the graph has no input '{name}'; {nearest(name, graph.inputs)}")


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """The parts of every output, in one array each."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def render_arrays(graph: Graph, signals: Blocks) -> dict[str, Array]:
    """Whole arrays in, whole arrays out."""
    session = Session(graph)
    parts = [session.push(**blocks) for blocks in blocks_of(graph, signals)]
    return joined([*parts, session.flush()])


@dataclass(frozen=True)
class Snapshot:
    """A session frozen in the middle of a signal: it can be kept, pickled, sent elsewhere and restored many times."""

    digest: str
    flow: Flow


class Session:
    """One signal on its way through a graph.

    push(**blocks) takes a block per input, of any length, and gives what could be computed of every output. flush()
    gives the rest: it ends the signal, and only reset() or restore() begin another.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.plan = plan_of(graph)
        self.reset()

    def reset(self) -> None:
        """Forget everything: what follows is bit for bit what a new session gives."""
        self.flow = Flow(self.plan)
        self.spent = ""

    def push(self, **blocks: Any) -> dict[str, Array]:
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

    # What Company does for many sessions between feed or finish and collect, run does for one.

    def feed(self, blocks: Blocks) -> None:
        """Lay a block per input into its slot."""
        self._check_alive()
        if blocks.keys() - self.graph.inputs.keys():
            _check_names(self.graph, blocks)
        slots, emitted = self.flow.slots, self.flow.emitted
        given = [(name, slot, stream) for name, slot, stream in self.plan.inputs if name in blocks]
        arrays = [(slot, stream.conform(blocks[name], name)) for name, slot, stream in given]
        for _, slot, _ in self.plan.inputs:
            slots[slot] = None
        for slot, array in arrays:
            if n := len(array):
                slots[slot] = array
                emitted[slot] += n

    def finish(self) -> None:
        """Say that the inputs have ended, and how long the signal was: all of them must have had that length."""
        self._check_alive()
        flow = self.flow
        flow.end = min(stream.seconds(flow.emitted[slot]) for _, slot, stream in self.plan.inputs)
        for name, slot, stream in self.plan.inputs:
            flow.slots[slot] = None
            if flow.emitted[slot] != stream.count(flow.end):
                self.spent = "its inputs ended at different times"
                lengths = ", ".join(f"'{n}' has {flow.emitted[k]} items of {s}" for n, k, s in self.plan.inputs)
                raise SignalError(
                    f"the inputs end at different times: {lengths}; in {float(flow.end):g} s there are "
                    f"{stream.count(flow.end)} of '{name}': cut or extend one"
                )

    def collect(self) -> dict[str, Array]:
        """What the outputs give in this round, each a private copy: neither side can spoil the other's samples."""
        slots = self.flow.slots
        return {
            name: stream.empty() if (block := slots[slot]) is None else block.copy()
            for name, slot, stream in self.plan.outputs
        }

    def failed(self, unit: Unit, error: Exception) -> NodeError:
        """What to raise when a node's own code did. The session is spent."""
        self.spent = f"'{unit.name}' failed in it"
        at = float(unit.link.flat[0].seconds(self.flow.emitted[unit.source]))
        return NodeError(
            f"{unit.name} ({unit.node.type_name}) failed in the block that ends at {at:.3f} s: "
            f"{type(error).__name__}: {error}"
        )

    def _check_alive(self) -> None:
        if self.spent:
            raise SessionError(f"this session cannot go on: {self.spent}; reset() it, or open another")

    def run(self) -> None:
        """Run every node once, as far as its blocks go."""
        flow = self.flow
        states, slots, emitted, ending = flow.states, flow.slots, flow.emitted, flow.end is not None
        for unit in self.plan.units:
            try:
                if unit.plain and not ending and emitted[unit.out]:
                    # The way nearly every block goes; the other one does the same and looks at what comes out.
                    block = slots[unit.source]
                    slots[unit.out] = None
                    for slot in unit.frees:
                        slots[slot] = None
                    if block is not None:
                        states[unit.index], block = unit.step(states[unit.index], block)
                        if n := len(block):
                            slots[unit.out] = block
                            emitted[unit.out] += n
                else:
                    self._run_unit(unit)
            except DspgraphError:
                self.spent = f"'{unit.name}' failed in it"
                raise
            except Exception as error:
                raise self.failed(unit, error) from error

    def _run_unit(self, unit: Unit) -> None:
        flow, pieces = self.flow, []
        for blocks in unit.cut(flow):
            flow.states[unit.index], *piece = unit.step(flow.states[unit.index], *blocks)
            pieces.append(piece)
        unit.put(flow, pieces)
        for slot in unit.frees:
            flow.slots[slot] = None


class Company:
    """n signals on their way through one graph, stepped together through `step_many`.

    When a signal ends, the next one takes its place at once. Each gets, bit for bit, what it would get alone.
    """

    def __init__(self, graph: Graph, n: int) -> None:
        if n < 1:
            raise SessionError(f"a company has at least 1 place; found {n}")
        self.graph = graph
        self.n = n

    def render(self, signals: Iterable[Signal]) -> Iterator[tuple[int, dict[str, Array]]]:
        """(number of the signal, its whole outputs), each as soon as it has ended."""
        parts: dict[int, list[dict[str, Array]]] = {}
        for number, part, ended in self.stream(signals):
            parts.setdefault(number, []).append(part)
            if ended:
                yield number, joined(parts.pop(number))

    def stream(self, signals: Iterable[Signal]) -> Iterator[tuple[int, dict[str, Array], bool]]:
        """(number of the signal, the next part of its outputs, whether it has ended), in rounds of one block each."""
        waiting = enumerate(signals)
        places: dict[int, tuple[Session, Iterator[Blocks]]] = {}
        while True:
            while len(places) < self.n and (entry := next(waiting, None)) is not None:
                number, signal = entry
                blocks = blocks_of(self.graph, signal) if isinstance(signal, Mapping) else iter(signal)
                places[number] = Session(self.graph), blocks
            if not places:
                return
            for session, source in places.values():
                block = next(source, None)
                if block is None:
                    session.finish()
                else:
                    session.feed(block)
            self._round([session for session, _ in places.values()])
            for number, (session, _) in list(places.items()):
                ended = session.flow.end is not None
                if ended:
                    del places[number]
                yield number, session.collect(), ended

    def _round(self, sessions: list[Session]) -> None:
        """Run every node once, for all signals that have blocks for it."""
        flows = [session.flow for session in sessions]
        for unit in plan_of(self.graph).units:
            try:
                calls = [unit.cut(flow) for flow in flows]
                pieces: list[list[Any]] = [[] for _ in flows]
                for turn in range(max(map(len, calls))):
                    ready = [place for place, cut in enumerate(calls) if len(cut) > turn]
                    states = [flows[place].states[unit.index] for place in ready]
                    lists = zip(*(calls[place][turn] for place in ready), strict=True)
                    states, *outs = unit.node.step_many(states, *map(list, lists))
                    for place, state, *piece in zip(ready, states, *outs, strict=True):
                        flows[place].states[unit.index] = state
                        pieces[place].append(piece)
                for flow, own in zip(flows, pieces, strict=True):
                    unit.put(flow, own)
                    for slot in unit.frees:
                        flow.slots[slot] = None
            except DspgraphError:
                raise
            except Exception as error:
                raise sessions[0].failed(unit, error) from error
