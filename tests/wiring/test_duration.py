"""Nodes that change the duration: the number of items, streams that meet, and the messages about them."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Field, Frames, Graph, Input, LawError, Node, Output, State, WireError
from dspgraph.diagram.text import text
from dspgraph.testing import Example, check_graph, check_node
from dspgraph.wiring.duration import Duration
from helpers.speech import speech


class Slower(Node):
    """Repeat every sample `times` times, and add `after` zeros at the end.

    With `declared` or `missing`, the duration that the node declares is wrong.
    """

    x = Input(Audio)
    y = Output(Audio)

    times: int = Field(2, description="copies")
    after: int = Field(0, description="zeros")
    declared: Any = Field(None, description="stretch that it declares, by default the right one")
    missing: int = Field(0, description="zeros that it declares and does not give")

    def stretch(self, x: Audio) -> Any:
        return Fraction(self.times) if self.declared is None else self.declared

    def extra(self, x: Audio) -> Fraction:
        return (self.after + self.missing) / x.rate

    def start(self, x: Audio) -> State:
        return x.dtype

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, np.repeat(x, self.times)

    def flush(self, state: State) -> tuple[Array]:
        return (np.zeros(self.after, state),)


class Blocks(Node):
    """Cut audio into rows of 100 samples; zeros fill the last row."""

    x = Input(Audio)
    y = Output(Frames)

    def streams(self, x: Audio) -> tuple[Frames]:
        return (Frames(x.rate / 100, "wave", 100),)

    def block_size(self, x: Audio) -> int:
        return 100

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, np.pad(x, (0, 100 - len(x)))[None]


class Both(Node):
    """Return the first of two signals."""

    a = Input(Audio)
    b = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, a: Array, b: Array) -> tuple[State, Array]:
        return state, a.copy()


X = speech()[9000:10001]


def chain(**nodes: Node) -> Graph:
    names = list(nodes)
    wires = {f"{name}.x": before for name, before in zip(names, ["x", *names[:-1]], strict=True)}
    return Graph(nodes, wires, {"x": Audio(16000)}, {name: name for name in names})


@pytest.mark.parametrize("node", [Slower(times=3), Slower(times=1, after=7), Slower(times=2, after=160)])
def test_a_node_that_declares_its_duration_keeps_every_law(node: Slower) -> None:
    check_node(Example(node, x=(Audio(16000), X)))


def test_stretches_multiply_and_tails_are_stretched() -> None:
    graph = chain(first=Slower(times=3, after=5), second=Slower(times=2, after=1), rows=Blocks())
    found = graph(x=X)
    assert_array_equal(found["first"], np.append(np.repeat(X, 3), np.zeros(5)))
    assert_array_equal(found["second"], np.append(np.repeat(found["first"], 2), 0))
    assert len(found["rows"]) == -(-len(found["second"]) // 100)
    check_graph(graph, {"x": X})


def test_rows_of_a_part_are_counted_from_the_true_duration() -> None:
    """1001 samples in rows of 100 make 11 rows. A node that halves the duration makes 6 rows of them, not 5."""

    class Half(Node):
        """Drop every second row."""

        x = Input(Frames)
        y = Output(Frames)

        def stretch(self, x: Frames) -> Fraction:
            return Fraction(1, 2)

        def start(self, x: Frames) -> State:
            return 0

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            return state + len(x), x[state % 2 :: 2].copy()

    found = chain(rows=Blocks(), half=Half())(x=X)
    assert (len(found["rows"]), len(found["half"])) == (11, 6)


def test_streams_of_different_durations_do_not_meet() -> None:
    nodes = {
        "long": Slower(times=1, after=16),
        "slow": Slower(times=2),
        "both": Both(),
        "again": Slower(after=16, times=1),
    }
    inputs, wires = {"x": Audio(16000)}, {"long.x": "x", "slow.x": "x", "again.x": "x"}
    with pytest.raises(
        WireError,
        match=r"meet in 'both' end at different times: both\.a gets x, which lasts as long as the input, both\.b gets long\.y, which lasts as long as the input and 1 ms more: lengthen the shorter one with a 'pad'",
    ):
        Graph(nodes, {**wires, "both.a": "x", "both.b": "long"}, inputs, {"y": "both"})
    with pytest.raises(WireError, match=r"both\.b gets slow\.y, which lasts 2 times as long as the input"):
        Graph(nodes, {**wires, "both.a": "x", "both.b": "slow"}, inputs, {"y": "both"})
    graph = Graph(nodes, {**wires, "both.a": "again", "both.b": "long"}, inputs, {"y": "both"})
    assert len(graph(x=X)["y"]) == len(X) + 16


def test_what_a_node_does_not_give_is_a_fault() -> None:
    with pytest.raises(LawError, match=r"first\.y gave 2007 items for .* s of input; 2010 are due"):
        chain(first=Slower(after=5, missing=3))(x=X)
    with pytest.raises(LawError, match="law 3"):
        check_node(Example(Slower(times=2, declared=Fraction(3)), x=(Audio(16000), X)))


@pytest.mark.parametrize("declared", [0, -1, 2.0, "2", True, Fraction(1, 2000), 10_000])
def test_an_impossible_stretch_is_refused(declared: Any) -> None:
    with pytest.raises(LawError, match="first.stretch gave .*, not a whole number or a Fraction from 1/1000 to 1000"):
        chain(first=Slower(declared=declared))


def test_the_duration_is_shown_and_a_stretch_cannot_be_heard_live() -> None:
    graph = chain(first=Slower(times=3, after=160))
    assert "'first' lasts 3 times as long as the input and 10 ms more" in text(graph)
    assert graph.latency().seconds == float("inf")
    assert chain(first=Slower(times=1, after=160)).latency().seconds == 0
    assert str(Duration(Fraction(1, 3), Fraction(0))) == "1/3 times as long as the input"
