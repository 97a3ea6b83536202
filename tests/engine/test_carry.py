"""Sessions that continue with another graph."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Graph, Input, Node, Output, Performance, RequestError, SessionError, State
from dspgraph_nodes.effects.reverb import Reverb
from helpers.speech import speech
from helpers.toy_graphs import everything
from helpers.toys import ToyFrames, ToyLate, ToyScale

X = speech()[8000:12000]


def test_an_equal_graph_goes_on_whatever_its_nodes_are_called() -> None:
    graph = everything()
    names = {name: f"other_{name}" for name in graph.nodes}
    there = {
        f"{name}.{port.name}": f"{names[name]}.{port.name}"
        for name, node in graph.nodes.items()
        for port in (*node.inputs, *node.outputs)
    }

    def follow(wire: str | tuple[str, ...]) -> str | list[str]:
        return there.get(wire, wire) if isinstance(wire, str) else [there.get(one, one) for one in wire]

    renamed = Graph(
        {names[name]: node for name, node in graph.nodes.items()},
        {there[to]: follow(wire) for to, wire in graph.wires.items()},
        dict(graph.inputs),
        {name: there[origin] for name, origin in graph.origins.items()},
        noise_keys={"other_noise": "noise"},
    )
    session = graph.session()
    parts = [session.push(x=X[:1001])]
    assert set(session.become(renamed).values()) == {0}
    parts += [session.push(x=X[1001:]), session.flush()]
    for name, array in graph(x=X).items():
        assert_array_equal(np.concatenate([part[name] for part in parts]), array)


def test_a_new_node_begins_at_its_first_period_and_counts_from_there() -> None:
    old = Graph({"late": ToyLate(samples=50)}, {"late.x": "x"}, {"x": Audio(16000)}, {"y": "late"})
    new = Graph(
        {"late": ToyLate(samples=50), "scale": ToyScale(factor=3.0), "frames": ToyFrames(hop=160)},
        {"late.x": "x", "scale.x": "late", "frames.x": "late"},
        {"x": Audio(16000)},
        {"y": "scale", "frames": "frames", "late": "late"},
    )
    session = old.session()
    session.push(x=X[:1001])
    begins = session.become(new)
    assert begins == {"y": Fraction(1001, 16000), "frames": Fraction(7 * 160, 16000), "late": 0}
    session = pickle.loads(pickle.dumps(session))  # what is still skipped is part of the state
    parts = [session.push(x=X[1001:1010]), session.push(x=X[1010:]), session.flush()]
    found = {name: np.concatenate([part[name] for part in parts]) for name in new.outputs}
    assert_array_equal(found["y"], 3 * X[1001:])
    assert_array_equal(found["frames"][:-1].ravel(), X[1120:4000][: len(found["frames"][:-1]) * 160])
    assert len(found["frames"]) == 25 - 7
    assert_array_equal(found["late"], X[951:])


class ToyBlocks(Node):
    """Return the signal unchanged, in blocks of 160 samples."""

    x = Input(Audio)
    y = Output(Audio)

    def block_size(self, x: Audio) -> int:
        return 160

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


def test_a_node_behind_one_that_has_not_begun_begins_no_earlier() -> None:
    """The node `blocks` is new in the second graph, and has not begun when the session changes to the third."""
    inputs, blocks = {"x": Audio(16000)}, ToyBlocks()
    first = Graph({"s": ToyScale()}, {"s.x": "x"}, inputs, {"y": "s"})
    second = Graph({"blocks": blocks}, {"blocks.x": "x"}, inputs, {"y": "blocks"})
    third = Graph({"blocks": blocks, "late": ToyLate()}, {"blocks.x": "x", "late.x": "blocks"}, inputs, {"y": "late"})
    session = first.session()
    session.push(x=X[:10])
    assert session.become(second) == {"y": Fraction(1, 100)}
    session.push(x=X[10:20])
    assert session.become(second) == {"y": Fraction(1, 100)}, "a node that goes on, but has not begun"
    assert session.become(third) == {"y": Fraction(1, 100)}
    parts = [session.push(x=X[20:]), session.flush()]
    late = Graph({"late": ToyLate()}, {"late.x": "x"}, inputs, {"y": "late"})
    assert_array_equal(np.concatenate([part["y"] for part in parts]), late(x=X[160:])["y"])


@pytest.mark.parametrize("node", [Reverb(), ToyFrames(hop=160)], ids=["a state that is written to", "a block size"])
def test_equal_nodes_go_on_each_with_a_state_of_its_own(node: Node) -> None:
    taken, given = node.inputs[0].name, node.outputs[0].name
    graph = Graph(
        {"p": node, "q": node},
        {f"p.{taken}": "x", f"q.{taken}": "x"},
        {"x": Audio(16000)},
        {"p": f"p.{given}", "q": f"q.{given}"},
    )
    session = graph.session()
    parts = [session.push(x=X[:1001])]
    session.become(graph)
    parts += [session.push(x=X[1001:2500]), session.push(x=X[2500:]), session.flush()]
    found = {name: np.concatenate([part[name] for part in parts]) for name in graph.outputs}
    for name, array in graph(x=X).items():
        assert_array_equal(found[name], array)


def test_a_signal_that_ends_before_a_node_begins() -> None:
    old = Graph({"s": ToyScale()}, {"s.x": "x"}, {"x": Audio(16000)}, {"y": "s"})
    new = Graph({"f": ToyFrames(hop=1600)}, {"f.x": "x"}, {"x": Audio(16000)}, {"frames": "f"})
    session = old.session()
    session.push(x=X[:100])
    assert session.become(new) == {"frames": Fraction(1, 10)}
    assert len(session.push(x=X[100:900])["frames"]) == 0
    assert len(session.flush()["frames"]) == 0


def test_other_inputs_are_refused() -> None:
    session = Graph({"s": ToyScale()}, {"s.x": "x"}, {"x": Audio(16000)}, {"y": "s"}).session()
    other = Graph({"s": ToyScale()}, {"s.x": "x"}, {"x": Audio(8000)}, {"y": "s"})
    with pytest.raises(SessionError, match="a graph of the same inputs"):
        session.become(other)


class ToyTwice(Node):
    """Return every sample twice, at the same rate: the output lasts twice as long as the input."""

    x = Input(Audio)
    y = Output(Audio)

    def stretch(self, x: Audio) -> Fraction:
        return Fraction(2)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, np.repeat(x, 2)


def test_a_graph_that_changes_the_tempo_is_refused() -> None:
    graph = Graph({"t": ToyTwice()}, {"t.x": "x"}, {"x": Audio(16000)}, {"y": "t"})
    session = graph.session()
    session.push(x=X[:100])
    with pytest.raises(SessionError, match="'t' changes the tempo"):
        session.become(graph)
    assert_array_equal(session.push(x=X[100:200])["y"], np.repeat(X[100:200], 2))
    with pytest.raises(RequestError, match="'t' changes the tempo: its output lasts 2 times as long as the input"):
        Performance(graph)
