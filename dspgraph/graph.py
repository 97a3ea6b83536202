"""The graph that users call: nodes and wires, with the functions that run them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from dspgraph.engine.plan import Plan
from dspgraph.engine.session import Session, render_arrays
from dspgraph.streams import Array
from dspgraph.wiring.latency import Latency, latency
from dspgraph.wiring.wiring import Wiring


class Graph(Wiring):
    """A wiring that can run: call it on whole arrays, or open a session and push blocks.

    The arguments of the constructor, and the errors that it raises, are those of `Wiring`.
    """

    @cached_property
    def plan(self) -> Plan:
        """The plan of this graph. It is made when it is first used, and shared by all sessions of the graph."""
        return Plan(self)

    def __call__(self, /, **signals: Any) -> dict[str, Array]:
        """Run the graph on whole arrays, one argument per input: `graph(speech=x)`. Return output name -> array."""
        return render_arrays(self.session(), signals)

    def session(self) -> Session:
        """Return a new session, which runs one signal through this graph block by block."""
        return Session(self, self.plan)

    def latency(self) -> Latency:
        """Return the latency of the slowest output, and the nodes that cause it; see `dspgraph.wiring.latency`."""
        return latency(self)
