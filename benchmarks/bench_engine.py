"""Benchmark of the engine, compared with loops written by hand that call the same functions and keep the states."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np

from benchmarks.measure import Row, at_most, below, milliseconds
from dspgraph import Array, Audio, Field, Frames, Graph, Input, Node, Output, State, Stream
from dspgraph_nodes._kernels.signal.mulaw import mulaw_decode, mulaw_encode
from dspgraph_nodes.codes.mulaw_decode import MulawDecode
from dspgraph_nodes.codes.mulaw_encode import MulawEncode
from dspgraph_nodes.emphasis.deemphasis import Deemphasis, deemphasis
from dspgraph_nodes.emphasis.preemphasis import Preemphasis, preemphasis
from dspgraph_nodes.mix.gain import Gain, gain

RATE, SECONDS = 16000, 60
QUANTUM, BLOCK = 160, 16000
SAMPLES = 0.1 * np.random.Generator(np.random.Philox(key=0)).standard_normal(RATE * SECONDS)


def chain() -> Graph:
    """Return a chain of ten nodes: pre-emphasis, mu-law encoder, mu-law decoder, de-emphasis and gain, and these again.

    The second five, except the decoder, have other parameters.
    """
    nodes: dict[str, Node] = {
        "pre": Preemphasis(coef=0.85),
        "codes": MulawEncode(levels=256),
        "decoded": MulawDecode(),
        "post": Deemphasis(coef=0.85),
        "soft": Gain(gain=0.5),
        "again": Preemphasis(coef=0.5),
        "finer": MulawEncode(levels=1024),
        "speech": MulawDecode(),
        "end": Deemphasis(coef=0.5),
        "loud": Gain(gain=2.0),
    }
    names = list(nodes)
    wires = {f"{name}.{nodes[name].inputs[0].name}": before for before, name in zip(["x", *names], names, strict=False)}
    return Graph(nodes, wires, {"x": Audio(RATE)}, {"y": names[-1]})


def by_hand(x: Array, n: int) -> list[Array]:
    """Return the output blocks of the ten nodes of `chain` for x, computed in a loop without a graph.

    n: the number of samples in a block.
    """
    pre = post = again = end = np.float64(0)
    out = []
    for at in range(0, len(x), n):
        block = x[at : at + n]
        a = preemphasis(block, 0.85, pre)
        pre = block[-1]
        b = deemphasis(mulaw_decode(mulaw_encode(a, 256), 256), 0.85, post)
        post = b[-1]
        c = gain(b, 0.5)
        d = preemphasis(c, 0.5, again)
        again = c[-1]
        e = deemphasis(mulaw_decode(mulaw_encode(d, 1024), 1024), 0.5, end)
        end = e[-1]
        out.append(gain(e, 2.0))
    return out


def by_engine(graph: Graph, x: Array, n: int) -> list[Array]:
    """Return the output blocks of a graph for x: one block for every n samples of x, and a last one from the flush.

    The graph has the input `x` and the output `y`.
    """
    session = graph.session()
    out = [session.push(x=x[at : at + n])["y"] for at in range(0, len(x), n)]
    return [*out, session.flush()["y"]]


class Nothing(Node):
    """A node that returns each block unchanged.

    The time of a chain of such nodes is almost only the time of the engine.
    """

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


class Rows(Node):
    """A node that returns a row of one number, 0, for every block, which must have QUANTUM samples."""

    x = Input(Audio)
    rows = Output(Frames, "row")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / QUANTUM, "row", 1, dtype=x.dtype),)

    def start(self, x: Audio) -> State:
        return np.zeros((1, 1), x.dtype)

    def step(self, row: Array, x: Array) -> tuple[State, Array]:
        return row, row


class Late(Node):
    """A node that holds back the last samples until more samples come, as a node with lookahead does.

    The samples are not shifted in time. A node `Meet` gets its rows before the samples of the same span.
    """

    x = Input(Audio)
    y = Output(Audio)

    samples: int = Field(37, ge=0, description="number of samples held back")

    def lookahead(self, x: Audio) -> Fraction:
        return self.samples / x.rate

    def start(self, x: Audio) -> State:
        return np.zeros(0, x.dtype)

    def step(self, held: Array, x: Array) -> tuple[State, Array]:
        x = np.concatenate((held, x))
        return x[len(x) - self.samples :], x[: len(x) - self.samples]

    def flush(self, held: Array) -> tuple[Array, ...]:
        return (held,)


class Meet(Node):
    """A node that returns its rows unchanged. Its two inputs, samples and rows, have different rates."""

    x = Input(Audio)
    rows = Input(Frames, "row")
    out = Output(Frames, "row")

    def streams(self, x: Audio, rows: Frames) -> tuple[Stream, ...]:
        return (rows,)

    def step(self, state: State, x: Array, rows: Array) -> tuple[State, Array]:
        return state, rows


def overhead(graph: Graph, x: Array) -> Callable[[], object]:
    """Return a function that pushes x through a new session of the graph, one quantum at a time, without the flush.

    The graph has one input, `x`.
    """

    def run() -> None:
        session = graph.session()
        for at in range(0, len(x), QUANTUM):
            session.push(x=x[at : at + QUANTUM])

    return run


def same_rate(n: int) -> Graph:
    """Return a chain of n nodes `Nothing`, whose streams all have one rate."""
    wires = {f"n{k}.x": f"n{k - 1}" if k else "x" for k in range(n)}
    return Graph({f"n{k}": Nothing() for k in range(n)}, wires, {"x": Audio(RATE)}, {"y": f"n{n - 1}"})


def two_rates(n: int, late: int) -> Graph:
    """Return a chain of n nodes `Meet`, each with inputs of two rates.

    The samples of all come from one node `Late`, the first rows from a node `Rows`. late: the number of samples that
    `Late` holds back.
    """
    nodes: dict[str, Node] = {"rows": Rows(), "late": Late(samples=late), **{f"n{k}": Meet() for k in range(n)}}
    wires = {"rows.x": "x", "late.x": "x"} | {f"n{k}.x": "late" for k in range(n)}
    wires |= {f"n{k}.rows": f"n{k - 1}" if k else "rows" for k in range(n)}
    return Graph(nodes, wires, {"x": Audio(RATE)}, {"y": f"n{n - 1}"})


def rows() -> list[Row]:
    """Measure the engine, and return the rows of the table of results."""
    graph, x = chain(), SAMPLES
    assert np.array_equal(np.concatenate(by_engine(graph, x, QUANTUM)), np.concatenate(by_hand(x, BLOCK)))
    short, short_hand, long, long_hand = milliseconds(
        [
            lambda: by_engine(graph, x, QUANTUM),
            lambda: by_hand(x, QUANTUM),
            lambda: graph(x=x),
            lambda: np.concatenate(by_hand(x, BLOCK)),
        ],
        repeats=9,
    )
    # The time of the engine per node and quantum is the difference between the times of a chain of 22 nodes and a chain
    # of 2 nodes, divided by the number of steps, minus the time of a step without the engine.
    one, many = 2, 22
    calls = len(x) // QUANTUM * (many - one)
    step, meet, block, row = Nothing().step, Meet().step, x[:QUANTUM], np.zeros((1, 1))
    chains: list[Callable[[int], Graph]] = [same_rate, partial(two_rates, late=0), partial(two_rates, late=37)]
    *times, bare, bare_two = milliseconds(
        [
            *(overhead(make(n), x) for make in chains for n in (one, many)),
            lambda: [step(None, block) for _ in range(calls)],
            lambda: [meet(None, block, row) for _ in range(calls)],
        ],
        repeats=9,
    )
    same, two, two_late = (1e3 * (times[2 * k + 1] - times[2 * k]) / calls for k in range(3))
    steps, steps_two = 1e3 * bare / calls, 1e3 * bare_two / calls
    return [
        at_most("10-node chain, 60 s, 10 ms quanta, by hand", short, short_hand, 1.5),
        at_most("10-node chain, 60 s whole, 1 s blocks by hand", long, long_hand, 1.1),
        below("engine, per node and quantum, one rate", same - steps, 1.0, "us"),
        below("engine, per node and quantum, two rates", two - steps_two, 3.0, "us"),
        below("engine, the same, one of them 37 samples late", two_late - steps_two, 3.0, "us"),
    ]
