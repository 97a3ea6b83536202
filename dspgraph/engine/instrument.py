"""Instruments: what may watch a plan while it runs, for instance a profiler or the guard of the laws."""

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
    """A node in a plan, as an instrument sees it."""

    @property
    def index(self) -> int:
        """Its place in the running order."""

    @property
    def name(self) -> str:
        """Its name in the graph."""

    @property
    def node(self) -> Node:
        """The node."""

    @property
    def binding(self) -> Binding:
        """The streams at its ports."""


class Instrument(Protocol):
    """Wraps the calls of every node of a plan: `Plan(wiring, instrument)`.

    The plan asks once, when it is made, for the functions that its sessions then call. A plan without an instrument
    calls the nodes' own methods.
    """

    def around_step(self, stage: Watched, step: Step) -> Step:
        """Return the function to call in place of a node's step."""

    def around_step_many(self, stage: Watched, step_many: StepMany) -> StepMany:
        """Return the function to call in place of a node's step_many."""

    def around_flush(self, stage: Watched, flush: Flush) -> Flush:
        """Return the function to call in place of a node's flush."""

    def around_round(self, states: Sequence[Any]) -> AbstractContextManager[None]:
        """Return a context in which every node runs once, for one session or for those of a batch.

        states: the `SessionState` of every session. The blocks of the round lie in the slots of the inputs already.
        """
