"""The graph that users call: nodes and wires, with the functions that run them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dspgraph.engine.batch import Batch
from dspgraph.engine.blocks import Arrays
from dspgraph.engine.plan import Plan
from dspgraph.engine.session import Session, render_arrays
from dspgraph.errors import SignalError
from dspgraph.streams import Array
from dspgraph.wiring.latency import Latency, latency
from dspgraph.wiring.wiring import Wiring


@dataclass(frozen=True)
class Loaded:
    """The arguments with which `load` makes a graph again, without the plugins.

    name: the name or the path of the pipeline. overrides: the changed values, as texts such as "lpc.order=24"; a var
    that had the value `file` is set to the number from the file. swap: slot -> chosen variant.
    """

    name: str
    overrides: tuple[str, ...]
    swap: Mapping[str, str]


class Graph(Wiring):
    """A wiring that can run: call it on whole arrays, or open a session and push blocks.

    The arguments of the constructor, and the errors that it raises, are those of `Wiring`. loaded: how `load` makes the
    graph again; None if it cannot, for a graph that was made in another way, and for changed and pickled copies.
    """

    loaded: Loaded | None = None

    @cached_property
    def plan(self) -> Plan:
        """The plan of this graph. It is made when it is first used, and shared by all sessions of the graph."""
        return Plan(self)

    def __call__(self, /, *signal: Any, **signals: Any) -> dict[str, Array]:
        """Run the graph on whole arrays, one argument per input: `graph(speech=x)`. Return output name -> array.

        The array of a graph with one input needs no name: `graph(x)`. Raises SignalError for arrays that do not fit
        the inputs.
        """
        return render_arrays(self.session(), self._named(*signal, **signals))

    def map(self, signals: Iterable[Any], batch: int = 1) -> list[dict[str, Array]]:
        """Run the graph on many signals. Return a mapping, output name -> array, for each signal, in their order.

        signals: for each signal a mapping, input name -> array, or its array if the graph has one input. batch: the
        number of signals that are computed together. It changes no sample: nodes that compute several signals in one
        call, such as networks, are faster. All signals are computed; then the error of the first signal in the list
        that failed is raised, if there is one.
        """
        given: list[Arrays] = [dict(one) if isinstance(one, Mapping) else self._named(one) for one in signals]
        found = dict(Batch(self, batch, self.plan).render(given))
        results = []
        for number in range(len(given)):
            result = found[number]
            if isinstance(result, Exception):
                raise result
            results.append(result)
        return results

    def _named(self, /, *signal: Any, **signals: Any) -> dict[str, Any]:
        """Return the arguments of `__call__` as a mapping, input name -> array.

        signal: the array of the only input, given without a name. signals: arrays by name. Raises SignalError if an
        array without a name is given to a graph with several inputs, or beside others.
        """
        if not signal:
            return signals
        if len(self.inputs) != 1 or len(signal) != 1 or signals:
            names = ", ".join(f"{name}=..." for name in self.inputs)
            raise SignalError(f"only a graph with one input takes an array without a name: give it {names}")
        return dict.fromkeys(self.inputs, signal[0])

    def _repr_html_(self) -> str:
        """Return the picture of this graph as SVG, which a notebook shows."""
        from dspgraph.diagram.svg import svg

        return svg(self)

    def session(self) -> Session:
        """Return a new session, which runs one signal through this graph block by block."""
        return Session(self, self.plan)

    def latency(self) -> Latency:
        """Return the latency of the slowest output, and the nodes that cause it; see `dspgraph.wiring.latency`."""
        return latency(self)
