"""Sessions: any cut, snapshots, refused calls and failing nodes, and the times that a node is given."""

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspgraph import (
    Array,
    Audio,
    Frames,
    Graph,
    Input,
    LawError,
    Node,
    NodeError,
    Output,
    SessionError,
    SignalError,
    State,
    UnknownName,
)
from dspgraph.engine.blocks import QUANTUM, blocks_of
from dspgraph.testing import check_graph
from helpers.speech import speech
from helpers.toy_graphs import everything, failing
from helpers.toys import ToyApply, ToyNoise, ToyScale


def by_hand(graph: Graph, x: Array, hop: int) -> Array:
    """Return the output "y" for x [n] of a graph that `everything` made with peak=False, computed with numpy.

    Only the noise is taken from the graph: half of its output for silence. hop: samples in a row of the graph.
    """
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
        """Add the lengths of both blocks to `seen`, and return the signal."""

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


def test_blocks_of_a_block_size_are_counted_from_item_0_and_the_last_may_be_short() -> None:
    seen: list[int] = []

    class Watch(Node):
        """Ask for blocks of 64 samples, note the length of each, and return its samples."""

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


# ---- sessions --------------------------------------------------------------------------------------------------------


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
        """Return two blocks for the only output."""

        x = Input(Audio)
        y = Output(Audio)

        def step(self, state: State, x: Array) -> tuple[State, Array, Array]:
            return state, x, x

    graph = Graph({"twice": Twice()}, {"twice.x": "x"}, {"x": Audio(Fraction(16000))}, {"y": "twice"})
    with pytest.raises(LawError, match="twice has 1 outputs, but 2 blocks came out"):
        graph(x=np.zeros(100))


# ---- several inputs --------------------------------------------------------------------------------------------------


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
    with pytest.raises(SignalError, match=r"the graph takes 'level', .* it was not given"):
        two_inputs()(x=np.zeros(1000))
