"""Sessions: a session runs one signal through the plan of a graph, block by block."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dspgraph.engine.blocks import Arrays, blocks_of, check_input_names, joined
from dspgraph.engine.carry import carry
from dspgraph.engine.plan import Plan, Queue, SessionState
from dspgraph.errors import DspgraphError, SessionError, SignalError
from dspgraph.shown import shown
from dspgraph.streams import Array
from dspgraph.wiring.wiring import Wiring


def render_arrays(session: Session, signals: Arrays) -> dict[str, Array]:
    """Run a whole signal; return output name -> whole array. session: a new session. signals: input name -> array.

    The arrays of the input are not copied, because the caller cannot change the arrays before this function returns.
    The session is flushed. An instrument of its plan watches all calls of `step` and `flush`, but its `around_round` is
    used only for the last round.
    """
    parts = []
    for blocks in blocks_of(session.graph, signals):
        session.feed(blocks, copy=False)
        session.run()
        parts.append(session.collect(copy=False))
    return joined([*parts, session.flush()])


@dataclass(frozen=True)
class Snapshot:
    """The state of a session at one moment. It can be kept, pickled, and restored any number of times.

    digest: the digest of the graph.
    """

    digest: str
    state: SessionState


class Session:
    """One signal on its way through a graph.

    push(**blocks) takes a block of any length for one or more inputs, and returns for every output the next items, as
    far as they are known. flush() ends the signal and returns the remaining items. After flush() call reset() for
    another signal, or restore() to continue from a snapshot. plan: a plan of the graph; by default a new one.
    """

    def __init__(self, graph: Wiring, plan: Plan | None = None) -> None:
        self.graph = graph
        self.plan = plan or Plan(graph)
        self.reset()

    def reset(self) -> None:
        """Begin a new signal. Its outputs are, bit for bit, the outputs that a new session would give."""
        self.state = SessionState(self.plan)
        self.spent = ""

    def push(self, /, **blocks: Any) -> dict[str, Array]:
        """Process the next items of one or more inputs; return output name -> its next items, as far as they are known.

        blocks: input name -> array, as keyword arguments: `push(speech=x)`. Raises UnknownName for a name that is no
        input, and SignalError for an array that does not fit its input; the session can continue after both. An error
        in a node is raised as a NodeError or, if it is a DspgraphError, as it is. Raises SessionError after an error in
        a node, and after `flush`.
        """
        self.feed(blocks)
        self._run_watched()
        return self.collect()

    def flush(self) -> dict[str, Array]:
        """End the signal; return output name -> the remaining items.

        In total an output then has ceil(T * rate) items, where T is the length of the signal in seconds. The outputs of
        nodes that change the duration are longer or shorter: see `dspgraph.wiring.duration`. Raises SignalError if the
        inputs have different durations, and SessionError and the errors in nodes as `push` does.
        """
        self.finish()
        self._run_watched()
        self.spent = "the signal has been flushed"
        return self.collect()

    def snapshot(self) -> Snapshot:
        """Return a copy of the state of this session. Raises SessionError after `flush` or an error in a node."""
        self._check_alive()
        return Snapshot(self.graph.digest, copy.deepcopy(self.state))

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a session of this graph, or of one with the same digest.

        This is possible at any time, also after `flush` or an error. The snapshot can be used again. Raises
        SessionError for the snapshot of any other graph.
        """
        if snapshot.digest != self.graph.digest:
            raise SessionError(
                f"the snapshot is of graph {snapshot.digest[:12]}, this session runs {self.graph.digest[:12]}: "
                "restore it in a session of the graph it was taken from"
            )
        self.state = copy.deepcopy(snapshot.state)
        self.spent = ""

    def become(self, graph: Wiring, plan: Plan | None = None, at: Fraction = Fraction(0)) -> dict[str, Fraction]:
        """Continue with another graph in the middle of the signal; return output name -> the time at which it begins.

        A node of the new graph keeps its state if its past is the same: the node itself, and all that it takes from,
        directly or through other nodes, are in the old graph too. Names do not matter. Every other node starts anew, at
        the first time that fits its blocks and is not before `at`, the present time, or the beginning of a node that
        it takes from; its outputs begin then. For the outputs of a node that keeps its state and has begun, and for an
        output that is an input of the graph, the time is 0. Times are in seconds.

        plan: a plan of the new graph; by default a new one. at: in seconds; if it has passed, the present time counts.
        Raises SessionError for a graph with other inputs, for one with a node that changes the tempo, and after `flush`
        or an error in a node.
        """
        self._check_alive()
        if dict(graph.inputs) != dict(self.graph.inputs):
            raise SessionError(
                f"a session goes on with a graph of the same inputs, {dict(self.graph.inputs)}; found "
                f"{dict(graph.inputs)}: open another session"
            )
        if name := graph.other_tempo():
            raise SessionError(
                f"'{name}' changes the tempo: a session cannot go on with it in the middle of a signal; open another"
            )
        plan = plan or Plan(graph)
        state, begins = carry(self.state, self.plan, plan, max(at, self.pushed_time()))
        self.graph, self.plan, self.state = graph, plan, state
        return {name: begins.get(origin.rpartition(".")[0], Fraction(0)) for name, origin in graph.origins.items()}

    # push is feed, run, collect; flush is finish, run, collect. Batch runs the nodes of many sessions together.

    def feed(self, blocks: Arrays, copy: bool = True) -> None:
        """Put the blocks into the slots of their inputs. Items of an input that is ahead of the other inputs wait.

        Call `run` before the next call: the slots hold one block each. blocks: input name -> array. copy: with False
        the session may keep the caller's arrays, and the caller must not write to them again. Raises UnknownName,
        SignalError and SessionError, as `push`.
        """
        self._check_alive()
        if not isinstance(blocks, Mapping):
            raise SignalError(f"a block is a mapping of inputs to arrays; found {shown(blocks)}")
        plan, state = self.plan, self.state
        arrays = {name: stream.validate(blocks[name], name, copy) for name, _, stream in plan.inputs if name in blocks}
        if len(arrays) < len(blocks):
            check_input_names(self.graph, blocks)
        if len(plan.inputs) == 1:
            ((name, slot, _),) = plan.inputs
            n = len(arrays[name]) if arrays else 0
            state.slots[slot] = arrays[name] if n else None
            state.emitted[slot] += n
            return
        for (name, _, _), queue in zip(plan.inputs, state.inputs, strict=True):
            array = arrays.get(name)
            if array is not None and len(array):
                queue.put(array)
        reached = self.pushed_time()
        for (_, slot, stream), queue in zip(plan.inputs, state.inputs, strict=True):
            self._release(slot, queue, math.floor(reached * stream.rate) - state.emitted[slot])

    def finish(self) -> None:
        """Mark the end of the signal, and put the items that wait at the inputs into the slots.

        The next call of `run` runs the last round. Raises SignalError if the inputs have different durations; the
        session cannot go on after that. Raises SessionError after `flush` or an error in a node.
        """
        self._check_alive()
        plan, state = self.plan, self.state
        end = self.pushed_time()
        for (name, slot, stream), queue in zip(plan.inputs, state.inputs, strict=True):
            if state.emitted[slot] + queue.held != stream.count(end):
                self.spent = "its inputs ended at different times"
                each = zip(plan.inputs, state.inputs, strict=True)
                lengths = ", ".join(f"'{n}' has {state.emitted[k] + q.held} items of {s}" for (n, k, s), q in each)
                raise SignalError(
                    f"the inputs end at different times: {lengths}; in {float(end):g} s there are "
                    f"{stream.count(end)} of '{name}': cut or extend one"
                )
        state.end = end
        for (_, slot, _), queue in zip(plan.inputs, state.inputs, strict=True):
            self._release(slot, queue, queue.held)

    def _run_watched(self) -> None:
        instrument = self.plan.instrument
        if instrument is None:
            self.run()
        else:
            with instrument.around_round([self.state]):
                self.run()

    def run(self) -> None:
        """Run every node for one round.

        A node is run by the short path, in this method, or by `Stage.run`. This depends on the blocks that the node
        takes, on the number of its outputs, and on whether the round has the first items of its output or the end of
        the signal:

        node takes                one output  first items, or end  path
        any block, one wire       yes         no                   short: the block in the slot is the argument
        whole periods, many wires yes         no                   short: all whole periods, joined, in one call
        blocks of a fixed size    any         any                  Stage.run: one call per block
        the whole signal          any         any                  Stage.run: nothing before the end, then one call
        any                       several     any                  Stage.run
        any                       any         yes                  Stage.run: checks the first block (law 0), calls
                                                                   flush at the end, counts the items (law 3)

        The short path does what Stage.run does, without its checks. It keeps the engine's time per node and block at
        about 1 us. A node that begins in the middle of the signal (see `become`) is run by `Stage.run_late` until all
        items before its beginning have passed; `Stage.run_late` leaves out these items and calls `Stage.run`.

        An error in a node is raised, as a NodeError if it is not a DspgraphError, and ends the session: after that,
        only `reset` and `restore` are possible.
        """
        state = self.state
        node_states, slots, emitted, ending = state.node_states, state.slots, state.emitted, state.end is not None
        stage, late = None, state.late
        try:
            for stage in self.plan.stages:
                if late and stage.index in late:
                    stage.run_late(state)
                    continue
                if not stage.has_short_path or ending or not emitted[stage.out]:
                    stage.run(state)
                    continue
                blocks = stage.take(state)
                slots[stage.out] = None
                for slot in stage.frees:
                    slots[slot] = None
                if blocks is not None:
                    node_states[stage.index], block = stage.step(node_states[stage.index], *blocks)
                    if n := len(block):
                        slots[stage.out] = block
                        emitted[stage.out] += n
        except BaseException as error:
            assert stage is not None
            self.spent = f"it was interrupted, or failed, in '{stage.name}'"
            if isinstance(error, Exception) and not isinstance(error, DspgraphError):
                raise stage.failed_at(state, error) from error
            raise

    def collect(self, copy: bool = True) -> dict[str, Array]:
        """Return output name -> the items of this output in the last round; an empty array if there are none.

        copy: with True the caller may change the arrays; with False they belong to the session.
        """
        slots = self.state.slots
        return {
            name: stream.empty() if (block := slots[slot]) is None else block.copy() if copy else block
            for name, slot, stream in self.plan.outputs
        }

    def pushed_time(self) -> Fraction:
        """Return the time, in seconds, up to which the items of every input have been pushed."""
        state = self.state
        each = zip(self.plan.inputs, state.inputs, strict=True)
        return min(stream.seconds(state.emitted[slot] + queue.held) for (_, slot, stream), queue in each)

    def _release(self, slot: int, queue: Queue, n: int) -> None:
        self.state.slots[slot] = queue.take(n) if n > 0 else None
        self.state.emitted[slot] += max(n, 0)

    def _check_alive(self) -> None:
        if self.spent:
            raise SessionError(f"this session cannot go on: {self.spent}; reset() it, or open another")
