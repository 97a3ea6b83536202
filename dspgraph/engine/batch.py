"""Many signals on their way through one graph, stepped together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dspgraph.engine.plan import Plan, Stage
from dspgraph.engine.session import Blocks, Session, Signal, blocks_of, joined
from dspgraph.errors import DspgraphError, SessionError, SignalError
from dspgraph.streams import Array
from dspgraph.wiring.wiring import Wiring


class Batch:
    """n signals on their way through one graph, stepped together through `step_many`.

    When a signal ends, the next one takes its place at once. Each gets, bit for bit, what it would get alone. A signal
    that fails ends there, and the others go on; only what fails inside a node's own `step_many` ends all that were in
    the call, for nothing tells which of them it was.
    """

    def __init__(self, graph: Wiring, n: int, plan: Plan | None = None) -> None:
        if n < 1:
            raise SessionError(f"a batch has at least 1 place; found {n}")
        self.graph = graph
        self.n = n
        self.plan = plan or Plan(graph)

    def render(self, signals: Iterable[Signal]) -> Iterator[tuple[int, dict[str, Array] | Exception]]:
        """(number of the signal, its whole outputs or the error that ended it), each as soon as it has ended."""
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
        """(number of the signal, the next part of its outputs, whether it has ended), in rounds of one block each.

        An error in place of a part is the signal's end.
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
            for unit in self.plan.units:
                ready = [place for place in places.values() if place.error is None]
                for group in [ready] if unit.together and ready else [[place] for place in ready]:
                    _run_group(unit, group)
            for number, place in list(places.items()):
                ended = place.error is not None or place.session.flow.end is not None
                if ended:
                    del places[number]
                yield number, place.error or place.session.collect(), ended


@dataclass
class _Place:
    """A signal in a batch: its session, where its blocks come from, and what ended it early."""

    graph: Wiring
    plan: Plan
    signal: Signal
    blocks: Iterator[Blocks] | None = None
    error: Exception | None = None

    @cached_property
    def session(self) -> Session:
        return Session(self.graph, self.plan)

    def feed(self) -> None:
        """Give the session its next block, or say that there is none; whatever fails here ends this signal."""
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


def _blocks_of_any(graph: Wiring, signal: Signal) -> Iterator[Blocks]:
    if isinstance(signal, Mapping):
        return blocks_of(graph, signal)
    if isinstance(signal, Iterable):
        return iter(signal)
    raise SignalError(f"a signal is a mapping of inputs to arrays, or such mappings block by block; found {signal!r}")


def _run_group(unit: Stage, group: list[_Place]) -> None:
    """Run one node for signals that are stepped together, or for one that is not."""
    flows = [place.session.flow for place in group]
    errors: list[Exception | None] = [None] * len(group)
    try:
        if unit.together:
            errors = unit.run_many(flows)
        else:
            unit.run(flows[0])
    except Exception as error:
        errors = [error] * len(group)
    for place, flow, failed in zip(group, flows, errors, strict=True):
        if failed is None or isinstance(failed, DspgraphError):
            place.error = failed
        else:
            place.error = unit.failed_at(flow, failed)
            place.error.__cause__ = failed
