"""The engine: a graph compiled once into a flat plan, and signals pushed through it block by block.

A plan is a list of units, one per node that runs, in an order in which everything is computed before it is used.
Streams are numbered slots. A unit that takes one stream and any block gets its block straight from the slot; every
other unit queues what arrives and is given whole ticks, so that all its blocks cover one time span.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np

from dspgraph.errors import DspgraphError, LawError, NodeError, SessionError, SignalError, UnknownName, nearest
from dspgraph.graph import Graph
from dspgraph.node import Node
from dspgraph.streams import Array, Stream

Blocks: TypeAlias = Mapping[str, Any]
Signal: TypeAlias = Blocks | Iterable[Blocks]
"""Whole arrays by input name, or the same block by block."""

QUANTUM = Fraction(1, 100)
"""Seconds between two events of a live graph, as in AudioGraph. A rate it does not divide is no special case."""

BLOCK = Fraction(1)
"""Seconds per block offline: long enough to hide the cost of calls, short enough to stay in the cache."""


def spans(items: int, rate: Fraction, seconds: Fraction = QUANTUM) -> Iterator[slice]:
    """Cut `items` into spans of `seconds`: 10 ms at 22050 Hz is 221, 220, 221, 220 ... samples."""
    step, k, end = seconds * rate, 1, 0
    while end < items:
        begin, end = end, min(items, math.ceil(k * step))
        k += 1
        if end > begin:
            yield slice(begin, end)


def blocks_of(graph: Graph, signals: Blocks, seconds: Iterable[Fraction] = ()) -> Iterator[dict[str, Array]]:
    """Cut whole arrays, one per input, into blocks of one time span each; the first ones of the lengths given."""
    _known(graph, signals)
    for name, stream in graph.inputs.items():
        if name not in signals:
            raise SignalError(f"the graph takes '{name}', {stream}, and was given none")
    arrays = {name: np.asarray(signals[name]) for name in graph.inputs}
    longest = max((graph.inputs[name].seconds(len(array)) for name, array in arrays.items()), default=Fraction(0))
    end, lengths = Fraction(0), chain(seconds, repeat(BLOCK))
    while end < longest:
        begin, end = end, end + next(lengths)
        yield {
            name: array[graph.inputs[name].count(begin) : graph.inputs[name].count(end)] for name, array in arrays.items()
        }


def _known(graph: Graph, names: Iterable[str]) -> None:
    for name in names:
        if name not in graph.inputs:
            raise UnknownName(f"the graph has no input '{name}'; {nearest(name, graph.inputs)}")


# ---- the plan -------------------------------------------------------------------------------------------------------


class Queue:
    """Blocks of one stream on their way into a node. Whatever the cut, an item is copied at most once."""

    __slots__ = ("blocks", "held")

    def __init__(self) -> None:
        self.blocks: deque[Array] = deque()
        self.held = 0

    def put(self, block: Array) -> None:
        self.blocks.append(block)
        self.held += len(block)

    def take(self, n: int) -> Array:
        self.held -= n
        first = self.blocks.popleft()
        if len(first) == n:
            return first
        pieces = []
        while len(first) < n:
            pieces.append(first)
            n -= len(first)
            if not n:
                break
            first = self.blocks.popleft()
        if n and len(first) > n:
            self.blocks.appendleft(first[n:])
            first = first[:n]
        if n:
            pieces.append(first)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


class Unit:
    """One node in a plan: where its blocks come from, how they are cut, where its outputs go."""

    __slots__ = (
        "counts", "direct", "grain", "index", "link", "name", "node", "outs", "pick", "source", "sources", "step",
    )  # fmt: skip

    def __init__(self, index: int, name: str, graph: Graph, slots: Mapping[str, int]) -> None:
        self.index = index
        self.name = name
        self.link = graph.links[name]
        self.node = keyed(graph.nodes[name], graph.seed, name)
        self.step: Callable[..., tuple[Any, ...]] = self.node.step
        self.sources = tuple(slots[origin] for _, origin in graph.sources(name))
        self.source = self.sources[0]
        self.outs = tuple(slots[f"{name}.{port.name}"] for port in self.node.outputs)
        self.counts = tuple(int(self.link.tick * stream.rate) for stream in self.link.flat)
        self.grain = self.link.grain is not None
        many = any(port.many for port in self.node.inputs)
        self.direct = len(self.sources) == 1 and not (many or self.grain or self.link.waits_for_the_end)
        self.pick = self._groups() if many else None

    def _groups(self) -> tuple[tuple[int, int, bool], ...]:
        groups, at = [], 0
        for taken in self.link.takes:
            n = len(taken) if isinstance(taken, tuple) else 1
            groups.append((at, at + n, isinstance(taken, tuple)))
            at += n
        return tuple(groups)

    def cut(self, session: Session) -> list[Any]:
        """The blocks this node is given now: a list of calls, each one block (or tuple of blocks) per port."""
        if self.direct:
            block = session.slots[self.source]
            return [] if block is None else [(block,)]
        queues = session.queues[self.index]
        for queue, source in zip(queues, self.sources, strict=True):
            block = session.slots[source]
            if block is not None:
                queue.put(block)
        if session.end is None:
            if self.link.waits_for_the_end:
                return []
            ticks = min([queue.held // count for queue, count in zip(queues, self.counts, strict=True)])
            if not ticks:
                return []
            if not self.grain:
                return [self._grouped([queue.take(ticks * c) for queue, c in zip(queues, self.counts, strict=True)])]
            return [
                self._grouped([queue.take(count) for queue, count in zip(queues, self.counts, strict=True)])
                for _ in range(ticks)
            ]
        if not queues[0].held:
            return []
        if not self.grain:
            return [self._grouped([queue.take(queue.held) for queue in queues])]
        calls = []
        while queues[0].held:
            taken = [min(queue.held, count) for queue, count in zip(queues, self.counts, strict=True)]
            calls.append(self._grouped([queue.take(n) for queue, n in zip(queues, taken, strict=True)]))
        return calls

    def _grouped(self, blocks: list[Array]) -> Any:
        if self.pick is None:
            return blocks
        return [tuple(blocks[a:b]) if many else blocks[a] for a, b, many in self.pick]

    def put(self, session: Session, pieces: list[tuple[Any, ...]]) -> None:
        """Hand on what came out: one tuple of blocks per call, joined into one block per output."""
        for piece in pieces:
            if len(piece) != len(self.outs):
                raise LawError(0, f"{self.name} has {len(self.outs)} outputs, but {len(piece)} blocks came out")
        for port, (slot, stream) in enumerate(zip(self.outs, self.link.gives, strict=True)):
            blocks = [piece[port] for piece in pieces if len(piece[port])]
            if not blocks:
                session.slots[slot] = None
                continue
            if not session.emitted[slot]:
                for block in blocks:
                    check_block(f"{self.name}.{self.node.outputs[port].name}", stream, block)
            block = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            session.slots[slot] = block
            session.emitted[slot] += len(block)

    def close(self, session: Session) -> None:
        """At the end of the signal: hold the node to its count and cut what reaches beyond the end."""
        assert session.end is not None
        own_end = min(
            stream.seconds(session.emitted[slot]) for stream, slot in zip(self.link.flat, self.sources, strict=True)
        )
        for port, (slot, stream) in enumerate(zip(self.outs, self.link.gives, strict=True)):
            emitted, due = session.emitted[slot], stream.count(own_end)
            if emitted != due:
                raise LawError(
                    3,
                    f"{self.name}.{self.node.outputs[port].name} gave {emitted} items for {float(own_end):g} s of input;"
                    f" {due} are due",
                )
            excess = due - stream.count(session.end)
            block = session.slots[slot]
            if excess and block is not None:
                kept = max(0, len(block) - excess)
                session.slots[slot] = block[:kept] if kept else None
                session.emitted[slot] -= len(block) - kept


def check_block(where: str, stream: Stream, block: Any) -> None:
    """Law 0, looked at when the first items of a stream come out."""
    if not isinstance(block, np.ndarray):
        raise LawError(0, f"{where} is declared {stream}, but a {type(block).__name__} came out, not an array")
    if block.shape[1:] != stream.item_shape:
        declared = ", ".join(["n", *map(str, stream.item_shape)])
        raise LawError(0, f"{where} is declared {stream}, an array [{declared}]; the shape {list(block.shape)} came out")
    if block.dtype != stream.dtype:
        raise LawError(0, f"{where} is declared {stream} in {stream.dtype}; {block.dtype} came out")


def keyed(node: Node, seed: int, name: str) -> Node:
    """The node with its noise keyed by graph seed, node name and own seed: a 128-bit key for Philox."""
    if "seed" not in type(node).model_fields:
        return node
    text = f"{seed}/{name}/{getattr(node, 'seed')}"  # noqa: B009 (not every node has the field)
    return node.model_copy(update={"seed": int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")})


class Plan:
    """A graph, flat: numbered slots and units in running order. Made once per graph and shared by its sessions."""

    def __init__(self, graph: Graph) -> None:
        origins = [*graph.inputs]
        origins += [f"{name}.{port.name}" for name in graph.order for port in graph.nodes[name].outputs]
        slots = {origin: slot for slot, origin in enumerate(origins)}
        self.size = len(slots)
        self.inputs = tuple((name, slots[name], stream) for name, stream in graph.inputs.items())
        self.outputs = tuple((name, slots[origin], graph.outputs[name]) for name, origin in graph.origins.items())
        self.units = tuple(Unit(index, name, graph, slots) for index, name in enumerate(graph.order))


@lru_cache(maxsize=64)
def plan_of(graph: Graph) -> Plan:
    return Plan(graph)


# ---- one signal -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """A session frozen in the middle of a signal: it can be kept, pickled, sent elsewhere and restored many times."""

    digest: str
    content: dict[str, Any]


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
        self.states = [unit.node.start(*unit.link.takes) for unit in self.plan.units]
        self.queues = [[Queue() for _ in unit.sources] if not unit.direct else [] for unit in self.plan.units]
        self.slots: list[Array | None] = [None] * self.plan.size
        self.emitted = [0] * self.plan.size
        self.end: Fraction | None = None
        self.spent = ""

    def push(self, **blocks: Any) -> dict[str, Array]:
        """The next items of one or more inputs; gives the items of every output that are now known."""
        self.feed(blocks)
        self._run()
        return self.collect()

    def flush(self) -> dict[str, Array]:
        """End the signal and give the items still held. Every output then has ceil(seconds * rate) items in all."""
        self.finish()
        self._run()
        self.spent = "the signal has been flushed"
        return self.collect()

    def snapshot(self) -> Snapshot:
        """Everything this session has in hand, as a value of its own."""
        self._check_alive()
        content = {key: value for key, value in vars(self).items() if key not in ("graph", "plan")}
        return Snapshot(self.graph.digest, copy.deepcopy(content))

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this graph, taken here or elsewhere."""
        if snapshot.digest != self.graph.digest:
            raise SessionError(
                f"the snapshot is of graph {snapshot.digest[:12]}, this session runs {self.graph.digest[:12]}: "
                "restore it in a session of the graph it was taken from"
            )
        vars(self).update(copy.deepcopy(snapshot.content))

    # What Company shares with push and flush, step by step.

    def feed(self, blocks: Blocks) -> None:
        self._check_alive()
        if blocks.keys() - self.graph.inputs.keys():
            _known(self.graph, blocks)
        for name, slot, stream in self.plan.inputs:
            array = stream.conform(blocks[name], name) if name in blocks else None
            self.slots[slot] = array if array is not None and len(array) else None
            self.emitted[slot] += 0 if array is None else len(array)

    def finish(self) -> None:
        self._check_alive()
        self.end = min(stream.seconds(self.emitted[slot]) for _, slot, stream in self.plan.inputs)
        for name, slot, stream in self.plan.inputs:
            self.slots[slot] = None
            if self.emitted[slot] != stream.count(self.end):
                self.spent = "its inputs ended at different times"
                lengths = ", ".join(f"{n} {self.emitted[k]} items of {s}" for n, k, s in self.plan.inputs)
                raise SignalError(
                    f"the inputs end at different times: {lengths}; in {float(self.end):g} s '{name}' has "
                    f"{stream.count(self.end)}: cut or extend it"
                )

    def collect(self) -> dict[str, Array]:
        """The outputs of this call, each a private copy: neither side can spoil the other's samples."""
        slots = self.slots
        return {
            name: stream.empty() if (block := slots[slot]) is None else block.copy()
            for name, slot, stream in self.plan.outputs
        }

    def rest(self, unit: Unit) -> list[tuple[Any, ...]]:
        """What a node still holds at the end of the signal; nothing when there was no signal."""
        return [flushed] if self.end and (flushed := unit.node.flush(self.states[unit.index])) else []

    def failed(self, unit: Unit, error: Exception) -> NodeError:
        self.spent = f"'{unit.name}' failed in it"
        stream = unit.link.flat[0]
        at = float(stream.seconds(self.emitted[unit.source]))
        return NodeError(
            f"{unit.name} ({unit.node.type_name}) failed in the block that ends at {at:.3f} s: "
            f"{type(error).__name__}: {error}"
        )

    def _check_alive(self) -> None:
        if self.spent:
            raise SessionError(f"this session cannot go on: {self.spent}; reset() it, or open another")

    def _run(self) -> None:
        states, slots, emitted, ending = self.states, self.slots, self.emitted, self.end is not None
        for unit in self.plan.units:
            try:
                if unit.direct and not ending and len(unit.outs) == 1 and emitted[unit.outs[0]]:
                    # The way nearly every block goes; the other branch does the same with all its checks.
                    block = slots[unit.source]
                    out = unit.outs[0]
                    slots[out] = None
                    if block is not None:
                        states[unit.index], block = unit.step(states[unit.index], block)
                        if n := len(block):
                            slots[out] = block
                            emitted[out] += n
                    continue
                pieces = []
                for blocks in unit.cut(self):
                    states[unit.index], *piece = unit.step(states[unit.index], *blocks)
                    pieces.append(piece)
                if ending:
                    pieces += self.rest(unit)
                unit.put(self, pieces)
                if ending:
                    unit.close(self)
            except DspgraphError:
                self.spent = f"'{unit.name}' failed in it"
                raise
            except Exception as error:
                raise self.failed(unit, error) from error


def render_arrays(graph: Graph, signals: Blocks) -> dict[str, Array]:
    """Whole arrays in, whole arrays out."""
    session = Session(graph)
    parts = [session.push(**blocks) for blocks in blocks_of(graph, signals)]
    return joined([*parts, session.flush()])


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# ---- many signals ---------------------------------------------------------------------------------------------------


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
                ended = session.end is not None
                if ended:
                    del places[number]
                yield number, session.collect(), ended

    def _round(self, sessions: list[Session]) -> None:
        for unit in plan_of(self.graph).units:
            calls = [unit.cut(session) for session in sessions]
            pieces: list[list[tuple[Any, ...]]] = [[] for _ in sessions]
            try:
                for turn in range(max(map(len, calls))):
                    ready = [place for place, cut in enumerate(calls) if len(cut) > turn]
                    states = [sessions[place].states[unit.index] for place in ready]
                    lists = zip(*(calls[place][turn] for place in ready), strict=True)
                    states, *outs = unit.node.step_many(states, *map(list, lists))
                    for place, state, *piece in zip(ready, states, *outs, strict=True):
                        sessions[place].states[unit.index] = state
                        pieces[place].append(tuple(piece))
                for place, session in enumerate(sessions):
                    if session.end is not None:
                        pieces[place] += session.rest(unit)
            except DspgraphError:
                raise
            except Exception as error:
                raise sessions[0].failed(unit, error) from error
            for session, own in zip(sessions, pieces, strict=True):
                unit.put(session, own)
                if session.end is not None:
                    unit.close(session)
