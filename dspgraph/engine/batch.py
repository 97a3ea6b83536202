"""Batches: several signals that one graph computes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

from dspgraph.engine.blocks import Arrays, Signal, blocks_of, joined
from dspgraph.engine.plan import Plan, Stage
from dspgraph.engine.session import Session
from dspgraph.errors import DspgraphError, SessionError, SignalError
from dspgraph.shown import shown
from dspgraph.streams import Array
from dspgraph.wiring.wiring import Wiring


class Batch:
    """Signals that one graph computes together, at most n at a time.

    A node with its own `step_many` gets the blocks of all these signals in one call; every other node is called for
    each signal. When a signal ends, the next one takes its place. Every signal gives, bit for bit, the outputs that it
    would give alone. A signal with an error ends, and the other signals continue. But an error inside a node's own
    `step_many` ends all signals of that call, because it is not known which signal caused the error.

    plan: a plan of the graph; by default a new one. Raises SessionError if n is below 1.
    """

    def __init__(self, graph: Wiring, n: int, plan: Plan | None = None) -> None:
        if n < 1:
            raise SessionError(f"a batch has at least 1 place; found {n}")
        self.graph = graph
        self.n = n
        self.plan = plan or Plan(graph)

    def render(self, signals: Iterable[Signal]) -> Iterator[tuple[int, dict[str, Array] | Exception]]:
        """Yield (number of a signal, its whole outputs or the error that ended it), as soon as the signal has ended.

        signals: whole signals, or signals in blocks (see `blocks.Signal`). They are numbered from 0, and may end in
        another order. The outputs are a mapping, output name -> array.
        """
        parts: dict[int, list[dict[str, Array]]] = {}
        for number, part, ended in self.stream(signals):
            if isinstance(part, Exception):
                parts.pop(number, None)
                yield number, part
                continue
            parts.setdefault(number, []).append(part)
            if ended:
                yield number, joined(parts.pop(number))

    def stream(self, signals: Iterable[Signal]) -> Iterator[tuple[int, dict[str, Array] | Exception, bool]]:
        """Yield (number of a signal, next part of its outputs, whether the signal has ended).

        signals: whole signals, or signals in blocks (see `blocks.Signal`), numbered from 0. In every round each signal
        of the batch takes one block and gives one part, a mapping of output name to items. For a signal that fails, the
        last part is the error.
        """
        waiting = enumerate(signals)
        places: dict[int, _Place] = {}
        while True:
            while len(places) < self.n and (entry := next(waiting, None)) is not None:
                number, signal = entry
                places[number] = _Place(self.graph, self.plan, signal)
            if not places:
                return
            for place in places.values():
                place.feed()
            self._run(list(places.values()))
            for number, place in list(places.items()):
                ended = place.error is not None or place.session.state.end is not None
                if ended:
                    del places[number]
                yield number, place.error or place.session.collect(), ended

    def _run(self, places: list[_Place]) -> None:
        """Run every node for one round of the signals in `places`, without those that have an error already.

        An error is stored in the place of its signal, and the later nodes are not run for this signal. The plan's
        instrument, if any, watches the round.
        """
        instrument, ready = self.plan.instrument, [place for place in places if place.error is None]
        watched = nullcontext() if instrument is None else instrument.around_round([p.session.state for p in ready])
        with watched if ready else nullcontext():
            for stage in self.plan.stages:
                ready = [place for place in ready if place.error is None]
                for group in [ready] if stage.has_step_many and ready else [[place] for place in ready]:
                    _run_group(stage, group)


@dataclass
class _Place:
    """One signal of a batch, with its session, its remaining blocks, and the error that ended it, if any.

    graph, plan: the graph that the signal runs through, and its plan, from which the session is made when it is first
    used. blocks: None until the first call of `feed`.
    """

    graph: Wiring
    plan: Plan
    signal: Signal
    blocks: Iterator[Arrays] | None = None
    error: Exception | None = None

    @cached_property
    def session(self) -> Session:
        return Session(self.graph, self.plan)

    def feed(self) -> None:
        """Give the session the next block of the signal, or end the signal after the last block. No node is run.

        If this fails, the error is stored in the attribute `error`, and nothing is raised.
        """
        try:
            if self.blocks is None:
                self.blocks = _blocks_of_any(self.graph, self.signal)
            block = next(self.blocks, None)
            if block is None:
                self.session.finish()
            else:
                self.session.feed(block)
        except Exception as error:
            self.error = error


def _blocks_of_any(graph: Wiring, signal: Signal) -> Iterator[Arrays]:
    if isinstance(signal, Mapping):
        return blocks_of(graph, signal)
    if isinstance(signal, Iterable):
        return iter(signal)
    raise SignalError(
        f"a signal is a mapping of inputs to arrays, or such mappings block by block; found {shown(signal)}"
    )


def _run_group(stage: Stage, group: list[_Place]) -> None:
    """Run one node for one round of a group of signals. An error is not raised, but stored in `_Place.error`.

    An error that is not a DspgraphError is stored as a NodeError, of which it is the cause. An error in `step_many` is
    stored for all signals of the group. stage: the node in the plan. group: the signals, none with an error yet;
    exactly one if the node has no `step_many` of its own.
    """
    states = [place.session.state for place in group]
    errors: list[Exception | None] = [None] * len(group)
    try:
        if stage.has_step_many:
            errors = stage.run_many(states)
        else:
            stage.run(states[0])
    except Exception as error:
        errors = [error] * len(group)
    for place, state, failed in zip(group, states, errors, strict=True):
        if failed is None or isinstance(failed, DspgraphError):
            place.error = failed
        else:
            place.error = stage.failed_at(state, failed)
            place.error.__cause__ = failed
