"""A graph compiled into a flat plan, made once and shared by all its sessions.

A plan is a list of units, one per node that runs, in an order in which everything is computed before it is used.
Streams are numbered slots. A unit that takes one stream and any block gets its block straight from the slot; every
other unit queues what arrives and is given whole periods, so that all its blocks cover one time span.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from fractions import Fraction
from hashlib import blake2b
from typing import Any

import numpy as np

from dspgraph.errors import DspgraphError, LawError, NodeError
from dspgraph.node import Node, State
from dspgraph.streams import Array, Stream
from dspgraph.wiring.wiring import Wiring


class Queue:
    """Blocks of one stream on their way into a node. Whatever the cut, an item is copied at most once."""

    __slots__ = ("blocks", "held")

    def __init__(self) -> None:
        self.blocks: deque[Array] = deque()
        self.held = 0

    def put(self, block: Array) -> None:
        """Append a block."""
        self.blocks.append(block)
        self.held += len(block)

    def take(self, n: int) -> Array:
        """The next n items in one array; a view where one block holds them all."""
        blocks = self.blocks
        self.held -= n
        first = blocks.popleft()
        missing = n - len(first)
        if not missing:
            return first
        if missing < 0:
            blocks.appendleft(first[n:])
            return first[:n]
        pieces = [first]
        while missing:
            block = blocks.popleft()
            size = len(block)
            if size > missing:
                blocks.appendleft(block[missing:])
                block, size = block[:missing], missing
            pieces.append(block)
            missing -= size
        return np.concatenate(pieces)


class SessionState:
    """One signal in the middle of a plan: all that changes. Everything else in this module is fixed."""

    __slots__ = ("emitted", "end", "inputs", "joints", "slots", "states")

    def __init__(self, plan: Plan) -> None:
        self.states = [unit.start() for unit in plan.units]
        self.joints = [
            [] if unit.direct else [(k, Queue(), n) for k, n in zip(unit.sources, unit.counts, strict=True)]
            for unit in plan.units
        ]
        """For every unit that takes whole periods, by input: the source slot, the blocks waiting, items per period."""
        self.inputs = [Queue() for _ in plan.inputs]
        """What has been pushed into one input beyond what the others have reached."""
        self.slots: list[Array | None] = [None] * plan.size
        """What every stream gives in this round."""
        self.emitted = [0] * plan.size
        """How many items every stream has given so far."""
        self.end: Fraction | None = None
        """The length of the signal, seconds, once it is known."""


class Stage:
    """One node in a plan: where its blocks come from, how they are cut, where its outputs go."""

    def __init__(self, index: int, name: str, graph: Wiring, slots: Mapping[str, int]) -> None:
        self.index = index
        self.name = name
        self.binding = graph.bindings[name]
        self.node = keyed(graph.nodes[name], graph.seed, graph.noise_keys.get(name, name))
        self.step: Callable[..., tuple[Any, ...]] = self.node.step
        self.step_many: Callable[..., tuple[list[Any], ...]] = self.node.step_many
        self.flush: Callable[..., tuple[Array, ...]] = self.node.flush
        # Slots: where its blocks come from (one per wire), where they go, and which nobody looks at after it. Those are
        # emptied early: their memory serves the next block while it is warm.
        self.sources = tuple(slots[origin] for _, origin in graph.sources(name))
        self.outs = tuple(slots[f"{name}.{port.name}"] for port in self.node.outputs)
        self.source, self.out = self.sources[0], self.outs[0]
        self.frees: tuple[int, ...] = ()
        # How blocks are cut: how many items of each wire make a period, and which wires make one port.
        many = any(port.many for port in self.node.inputs)
        self.counts = tuple(int(self.binding.period * stream.rate) for stream in self.binding.flat)
        self.pick = self._groups() if many else ()
        # What lets the engine do less: all periods at once will do; any block will do; one call gives one output.
        self.block_size = self.binding.block_size is not None
        self.aligned = not (self.block_size or self.binding.waits_for_the_end)
        self.direct = self.aligned and len(self.sources) == 1 and not many
        self.plain = self.aligned and len(self.outs) == 1
        self.together = type(self.node).step_many is not Node.step_many

    def _groups(self) -> tuple[tuple[int, int, bool], ...]:
        groups, at = [], 0
        for taken in self.binding.takes:
            n = len(taken) if isinstance(taken, tuple) else 1
            groups.append((at, at + n, isinstance(taken, tuple)))
            at += n
        return tuple(groups)

    def cut(self, flow: SessionState) -> list[Any]:
        """The blocks this node is given now: a list of calls, each one block (or tuple of blocks) per port."""
        if self.direct or (self.aligned and flow.end is None):
            blocks = self.take(flow)
            return [] if blocks is None else [blocks]
        taken = self._cut_apart(flow, self._receive(flow))
        return [self._grouped(blocks) for blocks in taken] if self.pick else taken

    def take(self, flow: SessionState) -> Any:
        """Take all whole periods there are, in one call; None when there is none. For nodes that take any number."""
        if self.direct:
            block = flow.slots[self.source]
            return None if block is None else (block,)
        periods = self._receive(flow)
        if not periods:
            return None
        blocks = [queue.take(periods * count) for _, queue, count in flow.joints[self.index]]
        return self._grouped(blocks) if self.pick else blocks

    def _receive(self, flow: SessionState) -> int:
        """Queue what has come; gives how many periods all inputs have."""
        slots, periods = flow.slots, -1
        for source, queue, count in flow.joints[self.index]:
            block = slots[source]
            if block is not None:
                queue.blocks.append(block)
                queue.held += len(block)
            whole = queue.held // count
            if whole < periods or periods < 0:
                periods = whole
        return periods

    def _cut_apart(self, flow: SessionState, periods: int) -> list[list[Array]]:
        """One block_size at a time; nothing before the end if the node waits for it; at the end, all that is held."""
        joints, taken = flow.joints[self.index], []
        if self.block_size:
            for _ in range(periods):
                taken.append([queue.take(count) for _, queue, count in joints])
        if flow.end is not None and joints[0][1].held:
            taken.append([queue.take(queue.held) for _, queue, _ in joints])
        return taken

    def _grouped(self, blocks: list[Any]) -> list[Any]:
        return [tuple(blocks[a:b]) if many else blocks[a] for a, b, many in self.pick]

    def start(self) -> State:
        """The node's state before the first item."""
        try:
            return self.node.start(*self.binding.takes)
        except DspgraphError:
            raise
        except Exception as error:
            raise self.failure(error, "start failed") from error

    def run(self, flow: SessionState) -> None:
        """Give the node its blocks, and hand on what comes out."""
        pieces = []
        for blocks in self.cut(flow):
            flow.states[self.index], *piece = self.step(flow.states[self.index], *blocks)
            pieces.append(piece)
        self.put(flow, pieces)

    def run_many(self, flows: list[SessionState]) -> list[Exception | None]:
        """The same for several signals at once, through the node's own `step_many`.

        What fails in there fails for all; what each signal fails in after that is its own, and given back.
        """
        calls = [self.cut(flow) for flow in flows]
        pieces: list[list[Any]] = [[] for _ in flows]
        for turn in range(max(map(len, calls))):
            ready = [place for place, cut in enumerate(calls) if len(cut) > turn]
            states = [flows[place].states[self.index] for place in ready]
            lists = zip(*(calls[place][turn] for place in ready), strict=True)
            states, *outs = self.step_many(states, *map(list, lists))
            for place, state, *piece in zip(ready, states, *outs, strict=True):
                flows[place].states[self.index] = state
                pieces[place].append(piece)
        return [self._failing(self.put, flow, own) for flow, own in zip(flows, pieces, strict=True)]

    @staticmethod
    def _failing(call: Callable[..., None], *arguments: Any) -> Exception | None:
        try:
            call(*arguments)
        except Exception as error:
            return error
        return None

    def failure(self, error: Exception, what: str) -> NodeError:
        """What to raise when the node's own code did."""
        return NodeError(f"{self.name} ({self.node.type_name}) {what}: {type(error).__name__}: {error}")

    def failed_at(self, flow: SessionState, error: Exception) -> NodeError:
        """The same, with the time in the signal."""
        at = float(self.binding.flat[0].seconds(flow.emitted[self.source]))
        return self.failure(error, f"failed in the block that ends at {at:.3f} s")

    def put(self, flow: SessionState, pieces: list[Any]) -> None:
        """Hand on what came out: one list of blocks per call, joined into one block per output.

        At the end of the signal the node's last items are among it, and it is held to its count.
        """
        if len(pieces) == 1 and flow.end is None and len(pieces[0]) == len(self.outs):
            blocks = pieces[0]
        else:
            blocks = self._joined(flow, pieces)
        slots, emitted = flow.slots, flow.emitted
        for slot, block in zip(self.outs, blocks):  # noqa: B905
            if not emitted[slot]:
                port = self.outs.index(slot)
                check_block(self._where(port), self.binding.gives[port], block)
            n = len(block)
            slots[slot] = block if n else None
            emitted[slot] += n
        if flow.end is not None:
            for port, slot in enumerate(self.outs):
                self._end(flow, port, slot)
        for slot in self.frees:
            slots[slot] = None

    def _joined(self, flow: SessionState, pieces: list[Any]) -> list[Array]:
        if flow.end and (rest := tuple(self.flush(flow.states[self.index]))):
            pieces = [*pieces, rest]
        for piece in pieces:
            if len(piece) != len(self.outs):
                raise LawError(0, f"{self.name} has {len(self.outs)} outputs, but {len(piece)} blocks came out")
        if not pieces:
            return [stream.empty() for stream in self.binding.gives]
        for port, slot in enumerate(self.outs):
            for piece in pieces if not flow.emitted[slot] or flow.end is not None else ():
                check_block(self._where(port), self.binding.gives[port], piece[port])
        return [column[0] if len(column) == 1 else np.concatenate(column) for column in zip(*pieces, strict=True)]

    def _where(self, port: int) -> str:
        return f"{self.name}.{self.node.outputs[port].name}"

    def _end(self, flow: SessionState, port: int, slot: int) -> None:
        """Hold an output to its count, and cut what reaches beyond the end of the signal.

        A node that was given 7 frames of 10 ms owes 70 ms, though the signal may have ended after 65.
        """
        assert flow.end is not None
        stream, emitted = self.binding.gives[port], flow.emitted[slot]
        given = min(s.seconds(flow.emitted[source]) for s, source in zip(self.binding.flat, self.sources, strict=True))
        due = stream.count(given)
        if emitted != due:
            raise LawError(
                3, f"{self._where(port)} gave {emitted} items for {float(given):g} s of input; {due} are due"
            )
        block = flow.slots[slot]
        if block is not None:
            kept = max(0, len(block) - due + stream.count(flow.end))
            flow.slots[slot] = block[:kept] if kept else None
            flow.emitted[slot] -= len(block) - kept


def check_block(where: str, stream: Stream, block: Any) -> None:
    """Law 0, looked at when the first items of a stream come out."""
    if not isinstance(block, np.ndarray):
        raise LawError(0, f"{where} is declared {stream}, but a {type(block).__name__} came out, not an array")
    if block.shape[1:] != stream.item_shape:
        declared = ", ".join(["n", *map(str, stream.item_shape)])
        raise LawError(
            0, f"{where} is declared {stream}, an array [{declared}]; the shape {list(block.shape)} came out"
        )
    if block.dtype != stream.dtype:
        raise LawError(0, f"{where} is declared {stream} in {stream.dtype}; {block.dtype} came out")


def keyed(node: Node, seed: int, name: str) -> Node:
    """The node with its noise keyed by graph seed, node name and own seed: a 128-bit key for Philox."""
    if "seed" not in type(node).model_fields:
        return node
    values = {field: getattr(node, field) for field in type(node).model_fields}
    text = f"{seed}/{name}/{values['seed']}"
    values["seed"] = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")
    return type(node).model_construct(**values)  # a new node: nothing it has cached under another seed comes along


class Plan:
    """A graph, flat: numbered slots and units in running order. Made once per graph and shared by its sessions."""

    def __init__(self, graph: Wiring) -> None:
        inputs, order = sorted(graph.inputs.items()), graph.canonical_order
        origins = [name for name, _ in inputs]
        origins += [f"{name}.{port.name}" for name in order for port in graph.nodes[name].outputs]
        slots = {origin: slot for slot, origin in enumerate(origins)}
        self.size = len(slots)
        self.inputs = tuple((name, slots[name], stream) for name, stream in inputs)
        self.outputs = tuple((name, slots[origin], graph.outputs[name]) for name, origin in graph.origins.items())
        self.units = tuple(Stage(index, name, graph, slots) for index, name in enumerate(order))
        kept = {slot for _, slot, _ in self.outputs}
        for unit in reversed(self.units):
            unit.frees = tuple({*unit.sources, *unit.outs} - kept)
            kept.update(unit.frees)
