"""Instruments: observers of a plan while it runs, for instance the profiler, or the guard of the laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

from dspgraph.node import Node
from dspgraph.streams import Array
from dspgraph.wiring.binding import Binding

Step: TypeAlias = Callable[..., tuple[Any, ...]]
StepMany: TypeAlias = Callable[..., tuple[list[Any], ...]]
Flush: TypeAlias = Callable[..., tuple[Array, ...]]


class Watched(Protocol):
    """The properties of a stage that an instrument may use."""

    @property
    def index(self) -> int:
        """The position of the node in the order in which the nodes run, from 0."""

    @property
    def name(self) -> str:
        """The name of the node in the graph."""

    @property
    def node(self) -> Node:
        """The node."""

    @property
    def binding(self) -> Binding:
        """The node's `Binding`: the streams at its ports, its lookahead and its period."""


class Instrument(Protocol):
    """An observer of a plan: of its rounds, and of the calls of `step`, `step_many` and `flush` of every node.

    It is given to the plan as in `Plan(wiring, instrument)`. A new plan calls `around_step`, `around_step_many` and
    `around_flush` of its instrument once for every node. The sessions of the plan then call the functions that these
    methods returned, in place of the node's own methods.
    """

    def around_step(self, stage: Watched, step: Step) -> Step:
        """Return the function to call in place of `step`, the method of the node in `stage`."""

    def around_step_many(self, stage: Watched, step_many: StepMany) -> StepMany:
        """Return the function to call in place of `step_many`, the method of the node in `stage`."""

    def around_flush(self, stage: Watched, flush: Flush) -> Flush:
        """Return the function to call in place of `flush`, the method of the node in `stage`."""

    def around_round(self, states: Sequence[Any]) -> AbstractContextManager[None]:
        """Return a context manager; one round, of one session or of a batch, runs inside it.

        states: the `SessionState` of each session that takes part. The input blocks of this round are already in their
        slots, and `SessionState.end` is already set if a signal ends in this round.
        """
