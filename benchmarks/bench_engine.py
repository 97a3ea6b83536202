"""The engine beside loops written by hand, which call the same functions and carry the states themselves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from benchmarks.measure import Row, at_most, below, milliseconds
from dspgraph import Array, Audio, Field, Frames, Graph, Input, Node, Output, State, Stream
from dspgraph_nodes._kernels.bits import bit_join, bit_split
from dspgraph_nodes._kernels.mulaw import mulaw_decode, mulaw_encode
from dspgraph_nodes.codes.bit_join import BitJoin
from dspgraph_nodes.codes.bit_split import BitSplit
from dspgraph_nodes.codes.mulaw_decode import MulawDecode
from dspgraph_nodes.codes.mulaw_encode import MulawEncode
from dspgraph_nodes.emphasis.deemphasis import Deemphasis, deemphasis
from dspgraph_nodes.emphasis.preemphasis import Preemphasis, preemphasis
from dspgraph_nodes.mix.gain import Gain, gain

RATE, SECONDS = 16000, 60
QUANTUM, BLOCK = 160, 16000
SAMPLES = 0.1 * np.random.Generator(np.random.Philox(key=0)).standard_normal(RATE * SECONDS)


def chain() -> Graph:
    """Ten nodes, one after the other: through mu-law and its bits and back, under pre-emphasis, twice."""
    nodes: dict[str, Node] = {
        "pre": Preemphasis(coef=0.85),
        "soft": Gain(gain=0.5),
        "codes": MulawEncode(),
        "split": BitSplit(),
        "join": BitJoin(),
        "speech": MulawDecode(),
        "loud": Gain(gain=2.0),
        "post": Deemphasis(coef=0.85),
        "again": Preemphasis(coef=0.5),
        "end": Deemphasis(coef=0.5),
    }
    wires = {
        "pre.x": "x", "soft.x": "pre", "codes.x": "soft", "split.codes": "codes", "join.coarse": "split.coarse",
        "join.fine": "split.fine", "speech.codes": "join", "loud.x": "speech", "post.x": "loud", "again.x": "post",
        "end.x": "again",
    }  # fmt: skip
    return Graph(nodes, wires, {"x": Audio(Fraction(RATE))}, {"y": "end"})


def by_hand(x: Array, n: int) -> list[Array]:
    """The same ten stages as someone writes them who needs no graph."""
    pre = post = again = end = np.float64(0)
    out = []
    for at in range(0, len(x), n):
        block = x[at : at + n]
        a = preemphasis(block, 0.85, pre)
        pre = block[-1]
        coarse, fine = bit_split(mulaw_encode(gain(a, 0.5)), 8)
        b = deemphasis(gain(mulaw_decode(bit_join(coarse, fine, 8)), 2.0), 0.85, post)
        post = b[-1]
        c = preemphasis(b, 0.5, again)
        again = b[-1]
        d = deemphasis(c, 0.5, end)
        end = d[-1]
        out.append(d)
    return out


def by_engine(graph: Graph, x: Array, n: int) -> list[Array]:
    """The engine, pushed the same blocks."""
    session = graph.session()
    out = [session.push(x=x[at : at + n])["y"] for at in range(0, len(x), n)]
    return [*out, session.flush()["y"]]


class Nothing(Node):
    """Hand the block on: what is left is the engine's own time."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


class Rows(Node):
    """A row for each quantum, the same one again and again."""

    x = Input(Audio)
    rows = Output(Frames, "row")

    width: int = Field(1, description="width")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / QUANTUM, "row", 1, dtype=x.dtype),)

    def start(self, x: Audio) -> State:
        return np.zeros((1, 1), x.dtype)

    def step(self, row: Array, x: Array) -> tuple[State, Array]:
        return row, row


class Meet(Node):
    """Samples and the row they belong to: two rates meet."""

    x = Input(Audio)
    rows = Input(Frames, "row")
    y = Output(Audio)

    def step(self, state: State, x: Array, rows: Array) -> tuple[State, Array]:
        return state, x


def overhead(graph: Graph, x: Array) -> Callable[[], object]:
    """Push quanta, and leave out what the flush at the end costs."""

    def run() -> None:
        session = graph.session()
        for at in range(0, len(x), QUANTUM):
            session.push(x=x[at : at + QUANTUM])

    return run


def same_rate(n: int) -> Graph:
    """n nodes that do nothing, one after the other."""
    wires = {f"n{k}.x": f"n{k - 1}" if k else "x" for k in range(n)}
    return Graph({f"n{k}": Nothing() for k in range(n)}, wires, {"x": Audio(Fraction(RATE))}, {"y": f"n{n - 1}"})


def two_rates(n: int) -> Graph:
    """n nodes that do nothing at two rates, one after the other, and the one that makes the rows."""
    wires = {f"n{k}.x": f"n{k - 1}" if k else "x" for k in range(n)} | {f"n{k}.rows": "rows" for k in range(n)}
    nodes: dict[str, Node] = {"rows": Rows(), **{f"n{k}": Meet() for k in range(n)}}
    return Graph(nodes, {"rows.x": "x", **wires}, {"x": Audio(Fraction(RATE))}, {"y": f"n{n - 1}"})


def rows() -> list[Row]:
    """The engine's part of the table."""
    graph, x = chain(), SAMPLES
    assert np.array_equal(np.concatenate(by_engine(graph, x, QUANTUM)), np.concatenate(by_hand(x, BLOCK)))
    short, short_hand, long, long_hand = milliseconds(
        [
            lambda: by_engine(graph, x, QUANTUM),
            lambda: by_hand(x, QUANTUM),
            lambda: by_engine(graph, x, BLOCK),
            lambda: by_hand(x, BLOCK),
        ],
        repeats=9,
    )
    # What a node costs: the slope between a short chain and a long one, less the empty step itself.
    one, many = 2, 22
    quanta = len(x) // QUANTUM
    step, block = Nothing().step, x[:QUANTUM]
    meet, row = Meet().step, np.zeros((1, 1))
    few_same, many_same, few_two, many_two, bare, bare_two = milliseconds(
        [
            overhead(same_rate(one), x),
            overhead(same_rate(many), x),
            overhead(two_rates(one), x),
            overhead(two_rates(many), x),
            lambda: [step(None, block) for _ in range(quanta * (many - one))],
            lambda: [meet(None, block, row) for _ in range(quanta * (many - one))],
        ],
        repeats=9,
    )
    calls = quanta * (many - one)
    return [
        at_most("10-node chain, 60 s, 10 ms quanta, by hand", short, short_hand, 1.5),
        at_most("10-node chain, 60 s, 1 s blocks, by hand", long, long_hand, 1.05),
        below("engine, per node and quantum, one rate", 1e3 * (many_same - few_same - bare) / calls, 1.0, "us"),
        below("engine, per node and quantum, two rates", 1e3 * (many_two - few_two - bare_two) / calls, 3.0, "us"),
    ]
