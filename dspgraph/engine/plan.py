"""Plans: a graph compiled into a flat list of stages, made once and shared by all sessions.

A plan has one stage per node that runs, in an order in which every block is computed before it is used. Signals are
computed in rounds: in a round the inputs get new blocks, and every stage runs once. Every stream has a slot, a numbered
place for its block of the present round. A stage that has one input stream and takes blocks of any length gets the
block in the slot. Every other stage puts incoming blocks into queues, and takes whole periods from them, so that all
blocks of one call cover the same time span. At the end of the signal it also takes the items that are left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import numpy as np

from dspgraph.engine.instrument import Flush, Instrument, Step, StepMany
from dspgraph.errors import DspgraphError, LawError, NodeError
from dspgraph.node import Node, State, failure_sentence
from dspgraph.streams import Array, Stream
from dspgraph.wiring.binding import Binding
from dspgraph.wiring.cones import Cone, cones
from dspgraph.wiring.wiring import Wiring


class Queue:
    """The blocks of one stream that wait before a node or at an input. held: the number of items in these blocks.

    Whatever the lengths of the blocks, an item is copied at most once.
    """

    __slots__ = ("blocks", "held")

    def __init__(self) -> None:
        self.blocks: deque[Array] = deque()
        self.held = 0

    def put(self, block: Array) -> None:
        """Append a block at the end. The block itself is kept, not a copy."""
        self.blocks.append(block)
        self.held += len(block)

    def take(self, n: int) -> Array:
        """Remove the next n items and return them in one array: a view if one block holds them all.

        n: at most `held`; 0 only if the queue is not empty.
        """
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
    """Everything that changes while a session runs. Plans and stages never change."""

    __slots__ = ("__weakref__", "begins", "emitted", "end", "inputs", "late", "node_states", "queues", "slots")

    def __init__(self, plan: Plan, begun: bool = True) -> None:
        """Make the state before the first item.

        begun: whether to start the nodes; with False, all `node_states` are None, and the caller sets them.
        """
        self.node_states: list[State] = [stage.start() if begun else None for stage in plan.stages]
        self.queues = [stage.queues() for stage in plan.stages]
        """For each stage, a list of (slot, queue, items per period), one for each wire; see `Stage.queues`."""
        self.inputs = [Queue() for _ in plan.inputs]
        """Items of each input that wait until the other inputs have reached the same time."""
        self.slots: list[Array | None] = [None] * plan.size
        """The block of each stream in the present round; None for a stream without items in this round.

        The slot of a stream that is no output of the graph is set to None again when the last stage that uses it has
        run.
        """
        self.emitted = [0] * plan.size
        """The number of items of each stream so far, this round included.

        For a node that begins in the middle of the signal, the items before its beginning are counted too.
        """
        self.end: Fraction | None = None
        """The length of the signal in seconds; None until the signal has ended."""
        self.begins: dict[int, Fraction] = {}
        """Number of a stage -> the time in seconds at which its node begins; without an entry, it begins at 0."""
        self.late: dict[int, dict[int, int]] = {}
        """Number of a stage -> slot -> how many of the next items in this slot the node does not get.

        These items lie before the time at which the node begins. A stage without such items has no entry.
        """


class Stage:
    """One node in a plan, with the slots of its inputs and outputs, and the rules by which blocks are cut for it.

    index: the number of the stage, from 0. name: the name of the node in `graph`. slots: origin of a stream (the name
    of an input of the graph, or "node.port") -> number of its slot. instrument: an observer of the calls of the node,
    or None. binding: the streams at the ports of the node, and the length of its blocks.
    """

    def __init__(
        self,
        index: int,
        name: str,
        graph: Wiring,
        slots: Mapping[str, int],
        instrument: Instrument | None,
        binding: Binding,
    ) -> None:
        self.index = index
        self.name = name
        self.binding = binding
        self.node = keyed(graph.nodes[name], graph.seed, graph.noise_keys.get(name, name))
        # Slots: sources for the inputs (one per wire), outs for the outputs, frees for blocks that no later stage uses.
        # After the stage has run, the slots in frees are emptied at once: the next block can then use memory that is
        # still in the processor's cache.
        self.sources = tuple(slots[origin] for _, origin in graph.sources(name))
        self.outs = tuple(slots[f"{name}.{port.name}"] for port in self.node.outputs)
        self.source, self.out = self.sources[0], self.outs[0]
        self.duration = graph.durations[f"{name}.{self.node.outputs[0].name}"]
        self.frees: tuple[int, ...] = ()
        # How blocks are cut: the number of items of each wire in a period, and the range of wires at each port.
        many = any(port.many for port in self.node.inputs)
        self.counts = tuple(int(self.binding.period * stream.rate) for stream in self.binding.flat)
        self.port_groups = self._groups() if many else ()
        # Properties that allow shortcuts: the table in Session.run has all cases.
        self.takes_fixed_blocks = self.binding.block_size is not None
        self.takes_any_periods = not (self.takes_fixed_blocks or self.binding.waits_for_the_end)
        self.takes_any_block = self.takes_any_periods and len(self.sources) == 1 and not many
        self.has_short_path = self.takes_any_periods and len(self.outs) == 1
        self.has_step_many = type(self.node).step_many is not Node.step_many
        self.step: Step = self.node.step
        self.step_many: StepMany = self.node.step_many
        self.flush: Flush = self.node.flush
        if instrument is not None:
            self.step = instrument.around_step(self, self.step)
            self.step_many = instrument.around_step_many(self, self.step_many)
            self.flush = instrument.around_flush(self, self.flush)

    def _groups(self) -> tuple[tuple[int, int, bool], ...]:
        groups, at = [], 0
        for taken in self.binding.takes:
            n = len(taken) if isinstance(taken, tuple) else 1
            groups.append((at, at + n, isinstance(taken, tuple)))
            at += n
        return tuple(groups)

    def queues(self) -> list[tuple[int, Queue, int]]:
        """Return (slot, new queue, items per period) for each wire into the node.

        The list is empty for a stage that needs no queue, because it takes the block in its only slot, of any length.
        """
        if self.takes_any_block:
            return []
        return [(slot, Queue(), count) for slot, count in zip(self.sources, self.counts, strict=True)]

    def cut(self, state: SessionState) -> list[Any]:
        """Return the blocks for the calls of `step` in this round: for each call, one entry per input port, in order.

        An entry is a block, or a tuple of blocks for a port that takes several wires. Call this method once per round:
        it puts the blocks in the slots into the queues, and takes the returned blocks out of the queues.
        """
        if self.takes_any_block or (self.takes_any_periods and state.end is None):
            blocks = self.take(state)
            return [] if blocks is None else [blocks]
        taken = self._cut_apart(state, self._receive(state))
        return [self._grouped(blocks) for blocks in taken] if self.port_groups else taken

    def take(self, state: SessionState) -> Any:
        """Return the blocks for one call of `step`, one entry per input port; None if there is nothing to compute yet.

        The blocks have all whole periods that are in the queues. If the node takes blocks of any length, the only block
        is the block in its slot. Use this method once per round, in place of `cut`, and only for nodes that take any
        number of periods: before the end of the signal, or at any time if they take blocks of any length.
        """
        if self.takes_any_block:
            block = state.slots[self.source]
            return None if block is None else (block,)
        periods = self._receive(state)
        if not periods:
            return None
        blocks = [queue.take(periods * count) for _, queue, count in state.queues[self.index]]
        return self._grouped(blocks) if self.port_groups else blocks

    def _receive(self, state: SessionState) -> int:
        """Put the blocks of this round into the queues; return the number of whole periods that every queue now has.

        Only for a stage that has queues (see `queues`).
        """
        slots, periods = state.slots, -1
        for source, queue, count in state.queues[self.index]:
            block = slots[source]
            if block is not None:
                queue.blocks.append(block)
                queue.held += len(block)
            whole = queue.held // count
            if whole < periods or periods < 0:
                periods = whole
        return periods

    def _cut_apart(self, state: SessionState, periods: int) -> list[list[Array]]:
        """Return the blocks for the calls of `step` in this round: for each call, a list with one block per wire.

        The blocks are taken out of the queues. periods: the number of whole periods in the queues. A node with a block
        size gets one call per period; another node gets no call before the end of the signal. When the signal has
        ended, one last call gets all items that are left, if there are any. (`take` returns the blocks for nodes that
        take any number of periods, before the end.)
        """
        queues, taken = state.queues[self.index], []
        if self.takes_fixed_blocks:
            for _ in range(periods):
                taken.append([queue.take(count) for _, queue, count in queues])
        if state.end is not None and queues[0][1].held:
            taken.append([queue.take(queue.held) for _, queue, _ in queues])
        return taken

    def _grouped(self, blocks: list[Any]) -> list[Any]:
        return [tuple(blocks[a:b]) if many else blocks[a] for a, b, many in self.port_groups]

    def start(self) -> State:
        """Return the node's state before the first item.

        If the node fails, raises NodeError, or the error of the node as it is if that is a DspgraphError.
        """
        try:
            return self.node.start(*self.binding.takes)
        except DspgraphError:
            raise
        except Exception as error:
            raise self.failure(error, "start failed") from error

    def run(self, state: SessionState) -> None:
        """Run the node for one round of one signal: call `step` with its blocks, put its outputs into their slots.

        `flush` is called too when the signal has ended. Errors of the node are raised as they are.
        """
        pieces = []
        for blocks in self.cut(state):
            state.node_states[self.index], *piece = self.step(state.node_states[self.index], *blocks)
            pieces.append(piece)
        self.put(state, pieces)

    def run_late(self, state: SessionState) -> None:
        """Run the node for one round, but without the input items before the time at which the node begins.

        Only for a stage that has an entry in `state.late`. The entry is removed when all these items have passed. If
        the signal ends at or before that time, the node is not run. The slots of the input have their whole blocks
        again afterwards, if later stages use them.
        """
        late = state.late[self.index]
        blocks = {slot: state.slots[slot] for slot in late}
        for slot, n in late.items():
            if (block := blocks[slot]) is not None:
                late[slot] = max(0, n - len(block))
                state.slots[slot] = block[n:] if n < len(block) else None
        if not any(late.values()):
            del state.late[self.index]
        if state.end is None or state.begins[self.index] < state.end:
            self.run(state)
        for slot in blocks.keys() - {*self.frees}:
            state.slots[slot] = blocks[slot]

    def run_many(self, states: list[SessionState]) -> list[Exception | None]:
        """Run the node for one round of several signals with its `step_many`; return one error, or None, per signal.

        states: one for each signal, at least one. An error that is returned was raised by `flush`, or by the check of
        the outputs of this signal. An error in `step_many` concerns all signals, and is raised.
        """
        calls = [self.cut(state) for state in states]
        pieces: list[list[Any]] = [[] for _ in states]
        for turn in range(max(map(len, calls))):
            ready = [place for place, cut in enumerate(calls) if len(cut) > turn]
            node_states = [states[place].node_states[self.index] for place in ready]
            lists = zip(*(calls[place][turn] for place in ready), strict=True)
            node_states, *outs = self.step_many(node_states, *map(list, lists))
            for place, node_state, *piece in zip(ready, node_states, *outs, strict=True):
                states[place].node_states[self.index] = node_state
                pieces[place].append(piece)
        return [self._error_of(self.put, state, own) for state, own in zip(states, pieces, strict=True)]

    @staticmethod
    def _error_of(call: Callable[..., None], *arguments: Any) -> Exception | None:
        try:
            call(*arguments)
        except Exception as error:
            return error
        return None

    def failure(self, error: Exception, what: str) -> NodeError:
        """Return a NodeError for an error in the node's own code. what: what failed, such as "start failed"."""
        return NodeError(f"{self.name} ({self.node.type_name}) {what}: {failure_sentence(self.node, error)}")

    def failed_at(self, state: SessionState, error: Exception) -> NodeError:
        """Return a NodeError for an error in `step` or `flush`, with the time in the signal at which the block ends."""
        at = float(self.binding.flat[0].seconds(state.emitted[self.source]))
        return self.failure(error, f"failed in the block that ends at {at:.3f} s")

    def put(self, state: SessionState, pieces: list[Any]) -> None:
        """Put the outputs of this round into their slots, joined into one block per output.

        pieces: for each call of `step`, a list with one block per output. When the signal has ended, the items that
        `flush` returns are added, and the number of items of every output is checked. Also counts the items, checks
        the first blocks of every output (LawError), and empties the slots that no later stage uses.
        """
        if len(pieces) == 1 and state.end is None and len(pieces[0]) == len(self.outs):
            blocks = pieces[0]
        else:
            blocks = self._joined(state, pieces)
        slots, emitted = state.slots, state.emitted
        for slot, block in zip(self.outs, blocks):  # noqa: B905
            if not emitted[slot]:
                port = self.outs.index(slot)
                check_block(self._where(port), self.binding.gives[port], block)
            n = len(block)
            slots[slot] = block if n else None
            emitted[slot] += n
        if state.end is not None:
            for port, slot in enumerate(self.outs):
                self._end(state, port, slot)
        for slot in self.frees:
            slots[slot] = None

    def _joined(self, state: SessionState, pieces: list[Any]) -> list[Array]:
        if state.end is not None and (rest := tuple(self.flush(state.node_states[self.index]))):
            pieces = [*pieces, rest]
        for piece in pieces:
            if len(piece) != len(self.outs):
                raise LawError(0, f"{self.name} has {len(self.outs)} outputs, but {len(piece)} blocks came out")
        if not pieces:
            return [stream.empty() for stream in self.binding.gives]
        for port, slot in enumerate(self.outs):
            for piece in pieces if not state.emitted[slot] or state.end is not None else ():
                check_block(self._where(port), self.binding.gives[port], piece[port])
        return [column[0] if len(column) == 1 else np.concatenate(column) for column in zip(*pieces, strict=True)]

    def _where(self, port: int) -> str:
        return f"{self.name}.{self.node.outputs[port].name}"

    def _end(self, state: SessionState, port: int, slot: int) -> None:
        """Check the number of items of an output at the end of the signal; drop items that begin at or after the end.

        port, slot: the number of the output port, from 0, and of its slot. Raises LawError (law 3) if the node has
        output more or fewer items than it must for the input that it was given.

        Example: a signal of 65 ms gives 7 frames of 10 ms. A node that turns these frames into samples must give 70 ms
        of samples, and the last 5 ms are dropped.
        """
        assert state.end is not None
        stream, emitted = self.binding.gives[port], state.emitted[slot]
        given = min(s.seconds(state.emitted[source]) for s, source in zip(self.binding.flat, self.sources, strict=True))
        due = stream.count(given * self.binding.stretch + self.binding.extra)
        if emitted != due:
            raise LawError(
                3, f"{self._where(port)} gave {emitted} items for {float(given):g} s of input; {due} are due"
            )
        block = state.slots[slot]
        if block is not None:
            kept = max(0, len(block) - due + stream.count(self.duration.of(state.end)))
            state.slots[slot] = block[:kept] if kept else None
            state.emitted[slot] -= len(block) - kept


def check_block(where: str, stream: Stream, block: Any) -> None:
    """Raise LawError (law 0) unless `block` is an array with the item shape and dtype of `stream`, of any length.

    where: the output port, as "node.port", for the message.
    """
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
    """Return a copy of the node in which the parameter `seed` is a key of 128 bits for `dspgraph.generator`.

    The key is a hash of `seed` (the seed of the graph), `name` (the name of the node, or its noise key), and the node's
    own seed. A node without a parameter `seed` is returned as it is.
    """
    if "seed" not in type(node).model_fields:
        return node
    values = {field: getattr(node, field) for field in type(node).model_fields}
    text = f"{seed}/{name}/{values['seed']}"
    values["seed"] = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")
    copied = type(node).model_construct(**values)  # a new node, without values that were cached for another seed
    copied.__dict__.update({one: node.__dict__[one] for one in node.seedless if one in node.__dict__})
    return copied


class Plan:
    """A graph compiled into numbered slots and a list of stages, in the order in which they run. It never changes.

    instrument: an observer of all sessions and batches of the plan; by default there is none. bindings: name of a node
    -> binding that replaces the binding in the graph, for checks that cut blocks in other ways than the node asks for.
    """

    def __init__(
        self,
        graph: Wiring,
        instrument: Instrument | None = None,
        bindings: Mapping[str, Binding] = MappingProxyType({}),
    ) -> None:
        self.instrument = instrument
        self.graph = graph
        used = {**graph.bindings, **bindings}
        inputs, order = sorted(graph.inputs.items()), graph.canonical_order
        origins = [name for name, _ in inputs]
        origins += [f"{name}.{port.name}" for name in order for port in graph.nodes[name].outputs]
        slots = {origin: slot for slot, origin in enumerate(origins)}
        self.slots: Mapping[str, int] = slots
        self.size = len(slots)
        self.inputs = tuple((name, slots[name], stream) for name, stream in inputs)
        self.outputs = tuple((name, slots[origin], graph.outputs[name]) for name, origin in graph.origins.items())
        self.stages = tuple(
            Stage(index, name, graph, slots, instrument, used[name]) for index, name in enumerate(order)
        )
        kept = {slot for _, slot, _ in self.outputs}
        for stage in reversed(self.stages):
            stage.frees = tuple({*stage.sources, *stage.outs} - kept)
            kept.update(stage.frees)

    @cached_property
    def cones(self) -> Mapping[str, Cone]:
        """Name of an input or node -> hash of its cone; see `dspgraph.wiring.cones`."""
        return cones(self.graph)
