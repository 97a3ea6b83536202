"""Batches: each signal gives the outputs that it gives alone. Also sessions that fail, seeds and names of inputs."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dspgraph import (
    Array,
    Audio,
    Batch,
    Field,
    Frames,
    Graph,
    GraphError,
    Input,
    Node,
    NodeError,
    Output,
    Session,
    SessionError,
    State,
    Stream,
)
from dspgraph.testing import check_graph
from helpers.speech import speech
from helpers.toy_graphs import everything, failing
from helpers.toys import ToyLate, ToyNoise, ToyScale, ToySum

LENGTHS = (5000, 1, 0, 20000, 333)


@pytest.mark.parametrize("places", [1, 2, 5, 16])
def test_batch_gives_each_what_it_gets_alone_and_refills_places(places: int) -> None:
    graph = everything(peak=True)
    signals = [{"x": speech()[9000 + n : 9000 + 2 * n]} for n in LENGTHS]
    ended = dict(Batch(graph, places).render(signals))
    assert sorted(ended) == list(range(len(LENGTHS)))
    for number, outputs in ended.items():
        assert isinstance(outputs, dict)
        for name, array in graph(**signals[number]).items():
            np.testing.assert_array_equal(outputs[name], array)


def test_batch_takes_signals_block_by_block() -> None:
    graph, x = everything(), speech()[9000:14000]

    def blocks() -> Iterator[dict[str, Array]]:
        for at in range(0, 5000, 333):
            yield {"x": x[at : at + 333]}

    for _, outputs in Batch(graph, 2).render([blocks(), {"x": x}, blocks()]):
        assert isinstance(outputs, dict)
        np.testing.assert_array_equal(outputs["y"], graph(x=x)["y"])


def test_a_batch_without_a_place_is_refused() -> None:
    with pytest.raises(SessionError, match="at least 1 place; found 0"):
        Batch(everything(), 0)


def test_a_graph_returns_a_session() -> None:
    assert isinstance(everything().session(), Session)


class Spread(Node):
    """Repeat the first number of each row 160 times, also if the signal ends within the row."""

    level = Input(Frames, "level")
    y = Output(Audio)

    def streams(self, level: Frames) -> tuple[Stream, ...]:
        return (Audio(level.rate * 160, dtype=level.dtype),)

    def step(self, state: State, level: Array) -> tuple[State, Array]:
        return state, np.repeat(level[:, 0], 160)


def test_a_last_row_in_part_holds_no_more_samples_than_the_signal() -> None:
    """1000 samples last 62.5 ms. The seventh row of 10 ms ends later, but its samples end with the signal."""
    nodes: dict[str, Node] = {"spread": Spread(), "sum": ToySum()}
    inputs = {"x": Audio(16000), "level": Frames(100, "level", 1)}
    graph = Graph(nodes, {"spread.level": "level", "sum.x": ["spread", "x"]}, inputs, {"y": "sum", "level": "spread"})
    signals = {"x": np.arange(1000.0), "level": np.arange(7.0)[:, None]}
    expected = np.repeat(np.arange(7.0), 160)[:1000]
    for out in (graph(**signals), graph(**dict(reversed(signals.items())))):
        np.testing.assert_array_equal(out["level"], expected)
        np.testing.assert_array_equal(out["y"], expected + signals["x"])
    check_graph(graph, signals)
    session = graph.session()
    parts = [session.push(level=signals["level"]), session.push(x=signals["x"]), session.flush()]
    np.testing.assert_array_equal(np.concatenate([part["level"] for part in parts]), expected)


def test_batch_lets_a_bad_signal_fail_alone() -> None:
    graph, x = failing(), np.zeros(40_000)
    loud, nan = x.copy(), x.copy()
    loud[30_000], nan[30_000] = 2000, np.nan

    def breaking() -> Iterator[dict[str, Array]]:
        yield {"x": x[:100]}
        raise OSError("the disk has gone")

    signals: list[Any] = [{"x": x}, {"x": loud}, {"x": nan}, breaking(), {"x": x}]
    ended = dict(Batch(graph, 3).render(signals))
    assert [type(ended[number]).__name__ for number in range(5)] == [
        "dict",
        "NodeError",
        "SignalError",
        "OSError",
        "dict",
    ]
    assert "failed in the block that ends at 2.000 s: ZeroDivisionError: too loud" in str(ended[1])
    assert len(ended[4]["y"]) == 40_000  # type: ignore[index]


def test_what_fails_as_a_signal_starts_ends_that_signal_alone() -> None:
    """The node fails in `start` for the second of four signals, as if a file were missing; the others are computed."""
    starts = iter([None, FileNotFoundError("weights"), None, None])

    class Opens(Node):
        x = Input(Audio)
        y = Output(Audio)

        def start(self, x: Audio) -> State:
            if error := next(starts):
                raise error

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            return state, x

    x = np.arange(40_000.0)
    graph = Graph({"only": Opens()}, {"only.x": "x"}, {"x": Audio(16000)}, {"y": "only"})
    ended = dict(Batch(graph, 2).render([{"x": x}] * 4))
    assert "FileNotFoundError: weights" in f"{type(ended[1]).__name__}: {ended[1]}"
    for number in 0, 2, 3:
        np.testing.assert_array_equal(ended[number]["y"], x)  # type: ignore[index]


def test_what_fails_in_step_many_ends_all_that_were_in_the_call() -> None:
    class Together(Node):
        """Return the signals. One call of `step_many` does all of them, and fails if one has a sample beyond +-1000."""

        x = Input(Audio)
        y = Output(Audio)

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            return state, x.copy()

        def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
            if any(np.abs(x).max() > 1000 for x in lists[0]):
                raise ZeroDivisionError("too loud")
            return states, [x.copy() for x in lists[0]]

    graph = Graph({"all": Together()}, {"all.x": "x"}, {"x": Audio(16000)}, {"y": "all"})
    signals = [{"x": np.zeros(100)}, {"x": np.full(100, 2000.0)}, {"x": np.zeros(100)}]
    ended = dict(Batch(graph, 2).render(signals))
    assert [type(ended[number]).__name__ for number in range(3)] == ["NodeError", "NodeError", "dict"]


def test_a_keyed_node_forgets_what_it_cached_under_another_seed() -> None:
    from functools import cached_property

    class Table(Node):
        """Add the first number of a cached table of noise, which depends on `seed`, to every sample."""

        x = Input(Audio)
        y = Output(Audio)

        seed: int = Field(0, ge=0, le=2**32, description="seed")

        @cached_property
        def table(self) -> Array:
            return np.random.Generator(np.random.Philox(key=self.seed)).standard_normal(100)

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            return state, x + self.table[0]

    node = Table()
    outputs = []
    for seed in (0, 9):
        assert len(node.table) == 100
        graph = Graph({"n": node}, {"n.x": "x"}, {"x": Audio(16000)}, {"y": "n"}, seed)
        outputs.append(graph(x=np.zeros(1))["y"][0])
    assert outputs[0] != outputs[1]


def test_an_interrupted_session_is_spent() -> None:
    class Interrupted(Node):
        """Raise KeyboardInterrupt."""

        x = Input(Audio)
        y = Output(Audio)

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            raise KeyboardInterrupt

    session = Graph({"n": Interrupted()}, {"n.x": "x"}, {"x": Audio(16000)}, {"y": "n"}).session()
    with pytest.raises(KeyboardInterrupt):
        session.push(x=np.zeros(3))
    with pytest.raises(SessionError, match="interrupted, or failed, in 'n'"):
        session.push(x=np.zeros(3))


def test_an_input_may_have_any_name() -> None:
    graph = Graph({"n": ToyScale()}, {"n.x": "self"}, {"self": Audio(16000)}, {"y": "n"})
    assert graph(self=np.ones(3))["y"].tolist() == [2, 2, 2]
    assert graph.session().push(self=np.ones(3))["y"].tolist() == [2, 2, 2]


def test_snapshots_are_exchanged_between_equal_graphs_written_in_another_order() -> None:
    nodes = {"late": ToyLate(), "noise": ToyNoise(), "sum": ToySum()}
    wires = {"late.x": "a", "noise.like": "b", "sum.x": ["late", "noise"]}
    inputs = {"a": Audio(16000), "b": Audio(16000)}
    one = Graph(nodes, wires, inputs, {"y": "sum"})
    other = Graph(dict(reversed(nodes.items())), wires, dict(reversed(inputs.items())), {"y": "sum"})
    assert one.digest == other.digest
    x = speech()[9000:10000]
    first, second = one.session(), other.session()
    part = first.push(a=x[:333], b=x[:500])["y"]
    second.restore(pickle.loads(pickle.dumps(first.snapshot())))
    rest = [second.push(a=x[333:], b=x[500:])["y"], second.flush()["y"]]
    np.testing.assert_array_equal(np.concatenate([part, *rest]), one(a=x, b=x)["y"])


def test_in_batch_a_signal_that_ends_badly_ends_alone() -> None:
    class BadEnd(Node):
        """Return the signals, all by one call of `step_many`; fail in `flush` if a sample was beyond +-1000."""

        x = Input(Audio)
        y = Output(Audio)

        def start(self, x: Audio) -> State:
            return 0.0

        def step(self, peak: float, x: Array) -> tuple[State, Array]:
            return max(peak, np.abs(x).max()), x.copy()

        def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
            results = [self.step(state, x) for state, x in zip(states, lists[0], strict=True)]
            return [state for state, _ in results], [x for _, x in results]

        def flush(self, peak: float) -> tuple[Array, ...]:
            if peak > 1000:
                raise ValueError("bad end")
            return ()

    graph = Graph({"n": BadEnd()}, {"n.x": "x"}, {"x": Audio(16000)}, {"y": "n"})
    signals: list[Any] = [{"x": np.zeros(40_000)}, {"x": np.full(100, 2000.0)}, 5, [5], {"x": np.zeros(3)}]
    ended = dict(Batch(graph, 5).render(signals))
    assert [type(ended[k]).__name__ for k in range(5)] == ["dict", "NodeError", "SignalError", "SignalError", "dict"]
    assert "a signal is a mapping of inputs to arrays" in str(ended[2])


@pytest.mark.parametrize("seed", ["nonsense", -1, 1.0, True])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(GraphError, match="it must be a whole number, at least 0"):
        Graph({"n": ToyScale()}, {"n.x": "x"}, {"x": Audio(16000)}, {"y": "n"}, seed)


def test_an_error_in_a_node_names_the_line_of_the_node_it_came_through() -> None:
    """The error names a line of the node's file, not one of numpy, of a helper in another file, or of the engine."""

    class Broken(Node):
        """Call a function of numpy that raises an error for every block."""

        x = Input(Audio)
        y = Output(Audio)

        @np.errstate(all="ignore")  # wraps the method in a function of another file
        def step(self, state: State, x: Array) -> tuple[State, Array]:
            return state, np.linalg.inv(x)  # the line that is named

    graph = Graph({"bad": Broken()}, {"bad.x": "x"}, {"x": Audio(16000)}, {"y": "bad"})
    line = 1 + Path(__file__).read_text().splitlines().index(
        "            return state, np.linalg.inv(x)  # the line that is named"
    )
    with pytest.raises(NodeError, match=rf"bad \(broken\) failed .*LinAlgError: .* \({__file__}, line {line}\)$"):
        graph(x=np.zeros(100))
