"""The graph: a wiring that can run."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from dspgraph.engine.plan import Plan
from dspgraph.engine.session import Session, render_arrays
from dspgraph.streams import Array
from dspgraph.wiring.latency import Latency, latency
from dspgraph.wiring.wiring import Wiring


class Graph(Wiring):
    """A wiring with its compiled plan: call it on whole arrays, or open a session and push blocks.

    `Wiring` describes the arguments and the errors.
    """

    @cached_property
    def plan(self) -> Plan:
        """The plan of this graph, made at the first use and shared by all its sessions."""
        return Plan(self)

    def __call__(self, /, **signals: Any) -> dict[str, Array]:
        """Render whole arrays: one per input, a dict of arrays out."""
        return render_arrays(self.session(), signals)

    def session(self) -> Session:
        """Open a session: one signal on its way through this graph, block by block."""
        return Session(self, self.plan)

    def latency(self) -> Latency:
        """Return how long after an item's span the slowest output gives it, and the nodes that delay it."""
        return latency(self)
