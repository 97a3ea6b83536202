import pickle
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspgraph import (
    Array,
    Audio,
    Batch,
    Field,
    Frames,
    Graph,
    GraphError,
    Input,
    LawError,
    Node,
    NodeError,
    Output,
    Session,
    SessionError,
    SignalError,
    State,
    Stream,
    UnknownName,
)
from dspgraph.engine.session import QUANTUM, blocks_of
from dspgraph.testing import check_graph
from helpers.speech import speech
from helpers.toys import ToyApply, ToyEnergy, ToyFailing, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum


def everything(rate: Any = 16000, hop: int = 160, peak: bool = False) -> Graph:
    """Every way a node can take its blocks: straight, late, framed, two rates, many wires, noise, the whole signal."""
    nodes: dict[str, Node] = {
        "late": ToyLate(samples=37), "frames": ToyFrames(hop=hop), "energy": ToyEnergy(), "apply": ToyApply(),
        "noise": ToyNoise(), "sum": ToySum(), "last": ToyPeak() if peak else ToyScale(),
    }  # fmt: skip
    wires = {
        "late.x": "x", "frames.x": "late", "energy.frames": "frames", "apply.x": "x", "apply.level": "energy.level",
        "noise.like": "x", "sum.x": ["apply", "noise", "late"], "last.x": "sum",
    }  # fmt: skip
    return Graph(
        nodes, wires, {"x": Audio(Fraction(rate))}, {"y": "last", "level": "energy.level", "sign": "energy.sign"}
    )


def by_hand(graph: Graph, x: Array, hop: int) -> Array:
    """The same in plain numpy."""
    rows = np.concatenate([x, np.zeros(-len(x) % hop)]).reshape(-1, hop)
    level = np.repeat((rows**2).sum(axis=1), hop)[: len(x)]
    noise = graph(x=x * 0)["y"] / 2  # what is left when the signal is silent
    expected: Array = 2 * ((x * level + noise) + x)
    return expected


@pytest.mark.parametrize(("rate", "hop"), [(16000, 160), (48000, 480), (22050, 441), (11025, 50)])
def test_a_graph_gives_what_numpy_gives(rate: int, hop: int) -> None:
    x = speech()[8000:13333]
    graph = everything(rate, hop)
    np.testing.assert_array_equal(graph(x=x)["y"], by_hand(graph, x, hop))


@pytest.mark.parametrize("peak", [False, True])
@pytest.mark.parametrize("rate", [16000, 48000, 22050, 11025])
def test_no_cut_changes_a_graph(rate: int, peak: bool) -> None:
    check_graph(everything(rate, peak=peak), {"x": speech()[8000:11333]})


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=20).filter(any),
    length=st.integers(0, 3000),
    turn=st.integers(0, 30),
)
def test_any_cut_and_any_moment_of_a_snapshot(sizes: list[int], length: int, turn: int) -> None:
    graph, x = everything(), speech()[9000 : 9000 + length]
    whole = graph(x=x)
    session, parts, at, k = graph.session(), [], 0, 0
    while at < length:
        n = sizes[k % len(sizes)]
        parts.append(session.push(x=x[at : at + n]))
        at, k = at + n, k + 1
        if k == turn:
            other = graph.session()
            other.restore(pickle.loads(pickle.dumps(session.snapshot())))
            session = other
    parts.append(session.flush())
    for name, array in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), array)


def test_every_output_has_ceil_of_seconds_times_rate_items() -> None:
    for n in (0, 1, 159, 160, 161, 1000):
        out = everything()(x=np.ones(n))
        assert {name: len(array) for name, array in out.items()} == {
            "y": n,
            "level": -(-n // 160),
            "sign": -(-n // 160),
        }


def test_ten_milliseconds_at_22050_hz_are_no_special_case() -> None:
    graph = everything(22050, 441)
    sizes = [len(block["x"]) for block in blocks_of(graph, {"x": np.zeros(2205)}, [QUANTUM] * 10)]
    assert sizes == [221, 220] * 5


def test_each_call_hands_a_node_blocks_of_one_time_span() -> None:
    seen: list[tuple[int, int]] = []

    class Watch(Node):
        """Note the sizes of its blocks."""

        x = Input(Audio)
        level = Input(Frames, "level")
        y = Output(Audio)

        def step(self, state: State, x: Array, level: Array) -> tuple[State, Array]:
            seen.append((len(x), len(level)))
            return state, x

    session = everything().replace("apply", Watch()).session()
    for n in (100, 100, 1, 777, 22):
        session.push(x=np.zeros(n))
    session.flush()
    assert seen == [(160, 1), (640, 4), (160, 1), (40, 1)]


def test_a_grain_is_counted_from_item_0_and_the_last_may_be_short() -> None:
    seen: list[int] = []

    class Watch(Node):
        """Blocks of 64."""

        x = Input(Audio)
        y = Output(Audio)

        def block_size(self, x: Audio) -> int:
            return 64

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            seen.append(len(x))
            return state, x.copy()

    graph = Graph({"watch": Watch()}, {"watch.x": "x"}, {"x": Audio(Fraction(16000))}, {"y": "watch"})
    x = np.arange(333.0)
    np.testing.assert_array_equal(graph(x=x)["y"], x)
    assert seen == [64] * 5 + [13]


def test_the_whole_signal_is_one_step() -> None:
    graph = everything(peak=True)
    session = graph.session()
    assert not any(len(session.push(x=np.ones(500))["y"]) for _ in range(4))
    assert np.abs(session.flush()["y"]).max() == 1


# ---- sessions -------------------------------------------------------------------------------------------------------


def test_reset_equals_a_new_session() -> None:
    session, x = everything().session(), speech()[9000:11000]
    first = session.push(x=x)["y"]
    session.push(x=x[::-1])
    session.reset()
    np.testing.assert_array_equal(session.push(x=x)["y"], first)


def test_a_snapshot_restores_many_times() -> None:
    session = everything().session()
    session.push(x=np.ones(500))
    kept = session.snapshot()
    tails = []
    for _ in range(2):
        session.restore(kept)
        session.push(x=np.ones(33))
        tails.append(session.flush()["y"])
    np.testing.assert_array_equal(tails[0], tails[1])


def test_the_caller_may_reuse_its_buffers_on_both_sides() -> None:
    graph, x = everything(), speech()[9000:11000]
    session, buffer, parts = graph.session(), np.empty(100), []
    for at in range(0, 2000, 100):
        buffer[:] = x[at : at + 100]
        out = session.push(x=buffer)
        parts.append(out["y"].copy())
        buffer[:] = np.pi
        for array in out.values():
            array[:] = np.pi
    parts.append(session.flush()["y"])
    np.testing.assert_array_equal(np.concatenate(parts), graph(x=x)["y"])


def test_noise_is_keyed_by_graph_seed_node_name_and_own_seed() -> None:
    def noise(name: str = "noise", graph_seed: int = 0, own: int = 0) -> Array:
        graph = Graph(
            {name: ToyNoise(seed=own)}, {f"{name}.like": "x"}, {"x": Audio(Fraction(8000))}, {"y": name}, graph_seed
        )
        return graph(x=np.zeros(4000))["y"]

    base = noise()
    np.testing.assert_array_equal(noise(), base)
    for other in (noise(name="hiss"), noise(graph_seed=1), noise(own=1)):
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.08  # 5 sigma of 4000 independent pairs


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda s: s.push(y=np.zeros(3)), UnknownName, "no input 'y'; there are: x"),
        (lambda s: s.push(x=np.zeros((3, 2))), SignalError, "x takes Audio"),
        (lambda s: (s.flush(), s.push(x=np.zeros(3))), SessionError, "flushed; reset"),
        (lambda s: (s.flush(), s.flush()), SessionError, "flushed; reset"),
        (lambda s: s.restore(Graph({"n": ToyScale()}, {"n.x": "x"}, {"x": Audio(Fraction(8000))}, {"y": "n"}).session().snapshot()),
         SessionError, "restore it in a session of the graph it was taken from"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused(use: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        use(everything().session())


def test_a_refused_block_leaves_the_session_as_it_was() -> None:
    graph, x = everything(), speech()[9000:10000]
    session = graph.session()
    parts = [session.push(x=x[:500])]
    with pytest.raises(SignalError):
        session.push(x=np.full(10, np.nan))
    parts += [session.push(x=x[500:]), session.flush()]
    np.testing.assert_array_equal(np.concatenate([part["y"] for part in parts]), graph(x=x)["y"])


def failing(n: int = 1) -> Graph:
    return Graph({"bad": ToyFailing()}, {"bad.x": "x"}, {"x": Audio(Fraction(16000))}, {"y": "bad"})


def test_a_failing_node_is_named_with_its_place_and_the_session_is_spent() -> None:
    session = failing().session()
    session.push(x=np.zeros(8000))
    with pytest.raises(
        NodeError, match=r"bad \(toy_failing\) failed in the block that ends at 1.000 s: ZeroDivisionError"
    ) as caught:
        session.push(x=np.full(8000, 2000.0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(SessionError, match="failed, in 'bad'; reset"):
        session.push(x=np.zeros(3))
    session.reset()
    assert len(session.push(x=np.zeros(3))["y"]) == 3


def test_a_node_that_gives_too_many_blocks_is_named() -> None:
    class Twice(Node):
        """Two blocks for one output."""

        x = Input(Audio)
        y = Output(Audio)

        def step(self, state: State, x: Array) -> tuple[State, Array, Array]:
            return state, x, x

    graph = Graph({"twice": Twice()}, {"twice.x": "x"}, {"x": Audio(Fraction(16000))}, {"y": "twice"})
    with pytest.raises(LawError, match="twice has 1 outputs, but 2 blocks came out"):
        graph(x=np.zeros(100))


# ---- several inputs -------------------------------------------------------------------------------------------------


def two_inputs() -> Graph:
    inputs = {"x": Audio(Fraction(16000)), "level": Frames(Fraction(100), "level", 1)}
    return Graph({"apply": ToyApply()}, {"apply.x": "x", "apply.level": "level"}, inputs, {"y": "apply"})


def test_inputs_may_run_ahead_of_each_other() -> None:
    x, level = speech()[9000:10000], np.arange(7.0)[:, None]
    session = two_inputs().session()
    parts = [session.push(level=level), session.push(x=x[:300]), session.push(x=x[300:]), session.flush()]
    expected = x * np.repeat(np.arange(7.0), 160)[:1000]  # 7 rows of 10 ms hold 62.5 ms: the last one in part
    np.testing.assert_array_equal(np.concatenate([part["y"] for part in parts]), expected)
    np.testing.assert_array_equal(two_inputs()(x=x, level=level)["y"], expected)


def test_inputs_that_end_apart_are_refused() -> None:
    with pytest.raises(
        SignalError, match="the inputs end at different times: 'level' has 5 items .* 'x' has 1000 items"
    ):
        two_inputs()(x=np.zeros(1000), level=np.zeros((5, 1)))
    with pytest.raises(SignalError, match=r"the graph takes 'level', .* and was given none"):
        two_inputs()(x=np.zeros(1000))


# ---- batch --------------------------------------------------------------------------------------------------------


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


def test_a_batch_has_a_place() -> None:
    with pytest.raises(SessionError, match="at least 1 place; found 0"):
        Batch(everything(), 0)


def test_session_is_a_door_of_the_graph() -> None:
    assert isinstance(everything().session(), Session)


class Spread(Node):
    """The level of each row, once for each of its samples: a row that lasts beyond the signal gives too many."""

    level = Input(Frames, "level")
    y = Output(Audio)

    def streams(self, level: Frames) -> tuple[Stream, ...]:
        return (Audio(level.rate * 160, dtype=level.dtype),)

    def step(self, state: State, level: Array) -> tuple[State, Array]:
        return state, np.repeat(level[:, 0], 160)


def test_a_last_row_in_part_holds_no_more_samples_than_the_signal() -> None:
    """1000 samples last 62.5 ms; the seventh row of 10 ms lasts beyond, and what is made of it ends with the signal."""
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
    """A node may open a file as it starts, which another signal has not to answer for."""
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
        """All at once."""

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
        """Noise from a table."""

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
        """Stopped by its user."""

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
        """All at once; a loud signal cannot be ended."""

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
    """Not the line in numpy or in a helper of another file, and not that of the engine."""

    class Broken(Node):
        """Calls a helper that fails."""

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
