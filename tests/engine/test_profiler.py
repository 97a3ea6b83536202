"""The profiler. In most tests only the nodes of the test advance the clock, so all figures are exact."""

import ctypes
import math
import pickle
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pytest

from dspgraph import (
    Array,
    Audio,
    Field,
    Frames,
    Graph,
    Input,
    Node,
    NodeError,
    Output,
    RequestError,
    SessionError,
    SignalError,
    State,
    UnknownName,
    load,
)
from dspgraph.engine import profiler as profiler_module
from dspgraph.engine.batch import Batch
from dspgraph.engine.blocks import joined
from dspgraph.engine.memory import held, size
from dspgraph.engine.plan import Plan, SessionState
from dspgraph.engine.profile import ENGINE, Profile, Row
from dspgraph.engine.profiler import Profiler
from dspgraph.engine.session import Session
from helpers.speech import speech
from helpers.toys import ToyApply, ToyEnergy, ToyFailing, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum

RATE = 1000  # samples per second: ten in a quantum of 10 ms


class Clock:
    """A clock that only the nodes of these tests advance; the fixture `clock` makes it the clock of the profiler.

    now: the time in seconds. compiled: the methods of `ToyCompiled` that have been called in this test.
    """

    now = 0.0
    compiled: set[str] = set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock.now, Clock.compiled = 0.0, set()
    monkeypatch.setattr(profiler_module, "perf_counter", lambda: Clock.now)


class ToySpend(Node):
    """Return the signal; a block takes `factor` times the sum of its samples, in milliseconds, on the test's clock.

    The end of the signal takes `at_end` milliseconds.
    """

    x = Input(Audio)
    y = Output(Audio)

    factor: float = Field(1.0, description="milliseconds for a sum of 1")
    at_end: float = Field(0.0, description="milliseconds that flush takes")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        Clock.now += self.factor * float(x.sum()) / 1e3
        return state, x

    def flush(self, state: State) -> tuple[Array, ...]:
        Clock.now += self.at_end / 1e3
        return ()


class ToyCompiled(Node):
    """Return the signal; on the test's clock, a test's first step and first flush take a minute, later calls 1 ms."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        Clock.now += 1e-3 if "step" in Clock.compiled else 60
        Clock.compiled.add("step")
        return state, x

    def flush(self, state: State) -> tuple[Array, ...]:
        Clock.now += 1e-3 if "flush" in Clock.compiled else 60
        Clock.compiled.add("flush")
        return ()


class ToySleep(Node):
    """Return the signal; sleep for `milliseconds` in every step, by the real clock."""

    x = Input(Audio)
    y = Output(Audio)

    milliseconds: float = Field(5.0, description="for so long")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        time.sleep(self.milliseconds / 1e3)
        return state, x


def chain(**nodes: Node) -> Graph:
    """Return a graph in which the nodes form a chain from the input "x", audio at 1000 Hz, to the output "y".

    Every node has one input port, "x", and one output port.
    """
    names = list(nodes)
    wires = {f"{name}.x": before for name, before in zip(names, ["x", *names], strict=False)}
    return Graph(nodes, wires, {"x": Audio(RATE)}, {"y": names[-1]})


def cut_up(x: Array, cut: int = RATE) -> Iterator[dict[str, Array]]:
    return ({"x": x[begin : begin + cut]} for begin in range(0, len(x), cut))


def run(profiler: Profiler, blocks: Iterable[dict[str, Array]], session: Session | None = None) -> dict[str, Array]:
    """Return the outputs of one signal, computed by a session on the plan of the profiler.

    blocks: the signal, which the profiler divides again at every quantum; session: a session on this plan, which is
    flushed at the end, by default a new one.
    """
    session = session or Session(profiler.graph, profiler.plan)
    parts = [session.push(**piece) for piece in profiler.blocks(blocks)]
    return joined([*parts, session.flush()])


def profiled(graph: Graph, *signals: Array, cut: int = RATE) -> Profile:
    profiler = Profiler(graph)
    for x in signals:
        run(profiler, cut_up(x, cut))
    return profiler.profile


def by_name(profile: Profile) -> dict[str, Row]:
    return {row.name: row for row in profile.rows()}


def spending(*milliseconds: float) -> Array:
    """Return a signal for which ToySpend takes these milliseconds, if its factor is 1: one number for each quantum.

    A quantum has 10 samples.
    """
    return np.repeat(np.asarray(milliseconds) / 10, 10)


# ---- it is a session ------------------------------------------------------------------------------------------------


def everything(rate: Any, peak: bool) -> Graph:
    """Return a graph with the input "x" and the outputs "y" and "sign", whose nodes differ in how they take blocks.

    There are a node that holds samples back, frames, two rates, an input with many wires, noise and, if `peak` is true,
    a node that waits for the whole signal. rate: of the input, Hz.
    """
    nodes: dict[str, Node] = {
        "late": ToyLate(samples=37), "frames": ToyFrames(hop=160), "energy": ToyEnergy(), "apply": ToyApply(),
        "noise": ToyNoise(), "sum": ToySum(), "last": ToyPeak() if peak else ToyScale(),
    }  # fmt: skip
    wires = {
        "late.x": "x", "frames.x": "late", "energy.frames": "frames", "apply.x": "x", "apply.level": "energy.level",
        "noise.like": "x", "sum.x": ["apply", "noise", "late"], "last.x": "sum",
    }  # fmt: skip
    return Graph(nodes, wires, {"x": Audio(rate)}, {"y": "last", "sign": "energy.sign"})


@pytest.mark.parametrize("peak", [False, True])
@pytest.mark.parametrize("cut", [7, 441, 30000])
@pytest.mark.parametrize("rate", [22050, "44100/7"])
def test_outputs_are_bit_for_bit_those_of_a_session(rate: Any, cut: int, peak: bool) -> None:
    """The profiler computes the first second of its first signal twice, once unmeasured; this changes no output.

    One signal is shorter than a second, and one is longer, which is left out for blocks of 7 samples. A quantum of 10
    ms has 220.5 samples at one rate and 63 at the other. cut: samples in a block; peak: whether a node waits for the
    whole signal.
    """
    graph = everything(rate, peak)
    profiler = Profiler(graph)
    for n in (5000, 30000) if cut > 7 else (5000,):
        x = np.random.default_rng(n).standard_normal(n)
        session, plain = Session(graph, profiler.plan), graph.session()
        found = run(profiler, cut_up(x, cut), session)
        expected = joined([*(plain.push(**block) for block in cut_up(x, cut)), plain.flush()])
        for name in graph.outputs:
            assert np.array_equal(found[name], expected[name])
        assert session.state.end == plain.state.end == Fraction(n) / Fraction(rate)


def test_several_inputs_may_come_one_after_another_and_in_any_pieces() -> None:
    graph = Graph(
        {"apply": ToyApply()}, {"apply.x": "x", "apply.level": "level"},
        {"x": Audio(16000), "level": Frames(Fraction("62.5"), "level", 1)}, {"y": "apply"},
    )  # fmt: skip
    x, level = np.random.default_rng(1).standard_normal(40000), np.arange(157.0)[:, None]  # 156.25 rows of 16 ms
    expected = graph(x=x, level=level)["y"]
    profiler = Profiler(graph)
    blocks: list[dict[str, Array]] = [{"x": x[:25000]}, {"level": level[:1]}, {"level": level[1:150]}]
    blocks += [{}, {"x": x[25000:25000]}, {"level": level[150:], "x": x[25000:]}]
    assert np.array_equal(run(profiler, blocks)["y"], expected)
    assert profiler.profile.signal == Fraction(40000, 16000)
    assert profiler.warm  # the rehearsal took from each input what lies in the first second, and ended well


def test_what_a_session_refuses_is_refused_in_the_same_words() -> None:
    graph = chain(scale=ToyScale())
    bad = np.zeros(500)
    bad[321] = np.nan
    for blocks in ({"x": bad}, {"x": np.zeros((3, 2))}, {"x": np.zeros(3, int)}, {"z": np.zeros(3)}, {"x": 1.0}):
        errors = []
        for push in (graph.session().push, lambda **block: run(Profiler(graph), [block])):
            with pytest.raises((SignalError, UnknownName)) as caught:
                push(**blocks)
            errors.append((caught.type, str(caught.value)))
        assert errors[0] == errors[1]


def test_a_session_that_was_flushed_takes_no_more() -> None:
    profiler = Profiler(chain(scale=ToyScale()))
    session = Session(profiler.graph, profiler.plan)
    session.push(x=np.zeros(5))
    session.flush()
    with pytest.raises(SessionError, match="has been flushed"):
        session.push(x=np.zeros(5))
    with pytest.raises(SessionError, match="has been flushed"):
        session.flush()
    assert profiler.profile.quanta == 1 and profiler.profile.signal == Fraction(5, RATE)


def test_a_signal_that_fails_ends_alone_and_its_time_counts(clock: None) -> None:
    profiler = Profiler(chain(spend=ToySpend(), fail=ToyFailing()))
    profile = profiler.profile
    with pytest.raises(NodeError, match=r"fail \(toy_failing\) failed in the block that ends at 0.050 s: .*too loud"):
        run(profiler, [{"x": spending(1, 1, 1)}, {"x": spending(2, 20000, 2)}])  # samples of 2000: it takes 1000
    assert by_name(profile)["spend"].seconds == pytest.approx(20.005)  # and nothing of what came after
    run(profiler, [{"x": spending(1)}])
    assert by_name(profile)["spend"].seconds == pytest.approx(20.006)
    assert profile.signal == Fraction(5, 100)  # three quanta, one before the failure, and one


def test_a_quantum_is_longer_than_nothing() -> None:
    with pytest.raises(RequestError, match="a quantum lasts longer than 0 s; found 0"):
        Profiler(chain(scale=ToyScale()), 0)


# ---- time -----------------------------------------------------------------------------------------------------------


def test_every_node_has_its_own_time_share_speed_and_worst_quantum(clock: None) -> None:
    graph = chain(a=ToySpend(), b=ToySpend(factor=3.0, at_end=8.0))
    profile = profiled(graph, spending(1, 2, 0.5, 0.5))
    a, b, engine = profile.rows()
    assert (a.name, a.type, b.name, engine.name, engine.type) == ("a", "toy_spend", "b", ENGINE, "")
    assert (a.calls, b.calls, engine.calls) == (5, 5, 5)  # four quanta and the end
    assert (a.seconds, b.seconds) == pytest.approx((0.004, 0.020))  # 1 + 2 + 0.5 + 0.5 ms; three times that and 8 ms
    assert (a.share, b.share) == pytest.approx((1 / 6, 5 / 6))
    assert (a.speed, b.speed) == pytest.approx((10, 2))  # 40 ms of signal
    assert (a.worst, b.worst) == pytest.approx((0.002, 0.006))  # what comes at the end is no quantum's
    assert (a.at_end, b.at_end) == pytest.approx((0, 0.008))
    assert (engine.seconds, engine.share, engine.speed) == pytest.approx((0, 0, math.inf), abs=1e-9)


def test_every_call_of_a_node_counts() -> None:
    graph = Graph({"rows": ToyFrames(hop=2)}, {"rows.x": "x"}, {"x": Audio(RATE)}, {"y": "rows"})
    rows = by_name(profiled(graph, np.zeros(100)))
    assert (rows["rows"].calls, rows[ENGINE].calls) == (51, 11)  # 50 rows, one at a time; 10 quanta; the end


def test_a_graph_without_nodes_is_all_engine() -> None:
    profile = profiled(Graph({}, {}, {"x": Audio(RATE)}, {"y": "x"}), np.zeros(100))
    assert [(row.name, row.share) for row in profile.rows()] == [(ENGINE, 1)]
    assert "The slowest node" not in profile.verdict()


@pytest.mark.parametrize("cut", [1, 3, 10, 25, 1000])
def test_a_quantum_is_10_ms_of_the_signal_however_it_is_pushed(cut: int, clock: None) -> None:
    profile = profiled(chain(spend=ToySpend()), spending(1, 9, 2, 31.5, 3), cut=cut)
    assert by_name(profile)["spend"].worst == pytest.approx(0.0315)
    assert (profile.late, profile.quanta) == (1, 5)
    assert profile.peak.at == 0.03


def test_another_quantum_gathers_what_lies_in_it(clock: None) -> None:
    profiler = Profiler(chain(spend=ToySpend()), 0.02)
    run(profiler, [{"x": spending(1, 9, 2, 10.5, 3)}])
    profile = profiler.profile
    assert by_name(profile)["spend"].worst == pytest.approx(0.0125)
    assert (profile.late, profile.quanta) == (0, 3)


def test_signals_add_up_also_those_of_sessions_that_take_turns(clock: None) -> None:
    profiler = Profiler(chain(spend=ToySpend()))
    profile = profiler.profile
    one, other = (Session(profiler.graph, profiler.plan) for _ in range(2))
    for part in (spending(2), spending(3)):
        one.push(x=part[:5])
        other.push(x=part)
        one.push(x=part[5:])
    one.flush()
    other.flush()
    row = by_name(profile)["spend"]
    assert row.seconds == pytest.approx(0.010)
    assert row.worst == pytest.approx(0.003)  # of one signal, not of both
    assert (profile.signal, profile.longest) == (Fraction(4, 100), Fraction(2, 100))


@pytest.mark.parametrize(("n", "cut"), [(100, 7), (2500, 1000), (2500, 7)])
def test_what_happens_once_is_over_before_anything_is_timed(n: int, cut: int, clock: None) -> None:
    profiler = Profiler(chain(compiled=ToyCompiled()))
    run(profiler, cut_up(np.zeros(n), cut))
    profile = profiler.profile
    row = by_name(profile)["compiled"]
    assert row.worst < 0.02 and row.at_end == pytest.approx(1e-3)
    assert row.seconds == pytest.approx(1e-3 * row.calls)
    assert profiler.warm


def test_the_first_signal_alone_is_rehearsed(clock: None) -> None:
    graph = chain(spend=ToySpend())
    profile = profiled(graph, spending(1, 1), spending(1, 1))
    assert Clock.now == pytest.approx(0.006)  # the first signal twice, the second once
    assert profile.seconds.sum() == pytest.approx(0.004)


def test_a_run_of_the_graph_outside_the_profiler_is_not_measured() -> None:
    graph = chain(scale=ToyScale())
    profiler = Profiler(graph)
    graph(x=np.zeros(50))
    assert [clock.calls for clock in profiler.clocks.values()] == [0]
    assert profiler.profile.calls.sum() == 0


def test_a_node_that_sleeps_is_found_and_the_verdict_hears_of_it() -> None:
    quick, slow = (
        profiled(chain(scale=ToyScale(), sleep=ToySleep(milliseconds=ms), last=ToyScale()), np.zeros(100))
        for ms in (5, 20)
    )
    assert max(quick.rows(), key=lambda row: row.seconds).name == "sleep"
    assert by_name(quick)["sleep"].worst >= 0.005
    assert "The slowest node is sleep:" in quick.verdict()
    assert by_name(slow)["sleep"].worst >= 0.020
    assert slow.verdict().startswith("It would not run live: it is slower than real time")
    for profile in (quick, slow):
        assert sum(row.share for row in profile.rows()) == pytest.approx(1)


# ---- batches and processes ------------------------------------------------------------------------------------------


class ToyTogether(Node):
    """Return the signal; on the test's clock, `step` takes 1 ms, and `step_many` 2 ms for any number of signals."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        Clock.now += 1e-3
        return state, x.copy()

    def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
        Clock.now += 2e-3
        return states, [x.copy() for x in lists[0]]


def test_a_batch_is_timed_round_by_round(clock: None) -> None:
    """The figures of a round are those of all signals in it.

    The signals have 4 and 2 quanta. Two rounds have both; in the third the shorter signal ends, and the longer one goes
    on. A round in which a signal ends counts as no quantum.
    """
    graph = chain(a=ToySpend(), together=ToyTogether())
    profiler = Profiler(graph)
    signals = [cut_up(spending(1, 2, 3, 4)), cut_up(spending(5, 6))]
    found = dict(Batch(graph, 2, profiler.plan).render(map(profiler.blocks, signals)))
    assert np.array_equal(found[0]["y"], spending(1, 2, 3, 4))  # type: ignore[index]
    assert np.array_equal(found[1]["y"], spending(5, 6))  # type: ignore[index]
    profile, rows = profiler.profile, by_name(profiler.profile)
    assert (profile.batch, profile.signal, profile.longest) == (2, Fraction(6, 100), Fraction(4, 100))
    assert profile.played == Fraction(4, 100)  # both play at the same time
    assert rows["a"].seconds == pytest.approx(0.021)  # of both signals
    assert rows["a"].calls == 6 + 2  # a step for every quantum, and a flush for each signal
    assert rows["together"].calls == 4 + 2  # a step for both signals
    assert rows["together"].seconds == pytest.approx(0.008)
    assert rows["a"].worst == pytest.approx(0.008)  # 2 ms of the one and 6 of the other
    assert rows["a"].speed == pytest.approx(60 / 21)  # of both signals together
    assert rows["a"].at_end == pytest.approx(0.003)  # the shorter one ended in the third round
    assert (profile.quanta, profile.late) == (3, 1)
    assert "On average 10 ms of up to 2 signals at once take 7.250 ms, a load of 72.5%." in profile.verdict()


def test_the_rehearsal_of_a_batch_calls_step_many_too(clock: None) -> None:
    profiler = Profiler(chain(together=ToyTogether()))
    list(Batch(profiler.graph, 3, profiler.plan).render([profiler.blocks(cut_up(spending(1)))]))
    assert Clock.now == pytest.approx(1e-3 + 2e-3 + 2e-3)  # alone, two together, and what counts
    assert profiler.profile.seconds.sum() == pytest.approx(2e-3)


def test_a_signal_that_fails_in_a_batch_leaves_the_others_timed(clock: None) -> None:
    graph = chain(spend=ToySpend(), fail=ToyFailing())
    profiler = Profiler(graph)
    signals = [cut_up(spending(1, 20000, 1), 10), cut_up(spending(1, 1, 1), 10)]
    found = dict(Batch(graph, 2, profiler.plan).render(map(profiler.blocks, signals)))
    assert isinstance(found[0], NodeError)
    assert np.array_equal(found[1]["y"], spending(1, 1, 1))  # type: ignore[index]
    assert by_name(profiler.profile)["spend"].seconds == pytest.approx(20.004)


def test_profiles_of_several_processes_merge_into_one(clock: None) -> None:
    graph = chain(late=ToyLate(samples=5), a=ToySpend(), b=ToySpend(factor=3.0, at_end=8.0))
    signals = [spending(1, 2, 0.5), spending(3), spending(1, 11, 1, 1)]
    together = profiled(graph, *signals)
    merged = Profiler(graph).profile
    for signal in signals:
        merged.merge(pickle.loads(pickle.dumps(profiled(graph, signal))))
    assert merged.table() == together.table()
    assert merged.verdict() == together.verdict()
    for name in ("signal", "played", "longest", "batch", "quanta", "late", "most_held"):
        assert getattr(merged, name) == getattr(together, name), name


def test_what_is_taken_from_a_profiler_is_not_counted_again(clock: None) -> None:
    profiler = Profiler(chain(a=ToySpend()))
    run(profiler, cut_up(spending(1, 2)))
    first = profiler.take()
    run(profiler, cut_up(spending(4)))
    assert by_name(first)["a"].seconds == pytest.approx(0.003)
    assert by_name(profiler.profile)["a"].seconds == pytest.approx(0.004)
    assert profiler.profile.longest == Fraction(1, 100)


# ---- the verdict ----------------------------------------------------------------------------------------------------


def test_a_graph_that_keeps_up_would_run_live(clock: None) -> None:
    profile = profiled(chain(late=ToyLate(samples=5), a=ToySpend(), b=ToySpend(factor=0.5)), spending(1, 2, 4, 1))
    # a and b are given what came 5 ms before: quanta of 0.5, 1.5, 3, 2.5 and (at the end) 0.5 ms, and half of that
    assert profile.verdict() == (
        "It would run live on this machine, as busy as it was, 5 ms late: the worst 10 ms took 4.500 ms, 3.000 ms of it in a, 0.02 s into "
        "a signal. On average 10 ms of signal take 3.000 ms, a load of 30.0%. The slowest node is a: 67% of the time, "
        "5 x real time."
    )


def test_a_quantum_too_long_is_a_gap(clock: None) -> None:
    verdict = profiled(chain(a=ToySpend()), spending(1, 2, 10.5, 12, 1, 1)).verdict()
    assert verdict.startswith(
        "It would not run live without gaps: 2 of 6 quanta took 10 ms or longer on this machine, as busy as it was; the worst 10 ms took "
        "12.000 ms, 12.000 ms of it in a, 0.03 s into a signal. On average 10 ms of signal take 4.583 ms"
    )


def test_more_work_than_time_is_too_slow(clock: None) -> None:
    verdict = profiled(chain(a=ToySpend()), spending(10, 20)).verdict()
    assert verdict.startswith(
        "It would not run live: it is slower than real time on this machine, as busy as it was, and the worst"
    )
    assert "a load of 150.0%" in verdict


def test_what_needs_the_whole_signal_would_not_run_live(clock: None) -> None:
    one = chain(a=ToyPeak(), b=ToySpend())
    profile = profiled(one, spending(1, 1))
    assert profile.verdict().startswith(
        "It would not run live: a needs the whole signal before anything comes out. On average"
    )
    assert by_name(profile)["b"].worst == 0
    assert by_name(profile)["b"].at_end == pytest.approx(by_name(profile)["b"].seconds)
    two, three = chain(a=ToyPeak(), c=ToyPeak()), chain(a=ToyPeak(), b=ToyPeak(), c=ToyPeak())
    assert ": a and c need the whole signal" in profiled(two, np.ones(100)).verdict()
    assert ": a, b and c need the whole signal" in profiled(three, np.ones(100)).verdict()


def test_a_signal_that_ends_before_anything_comes_out_says_nothing(clock: None) -> None:
    graph = chain(late=ToyLate(samples=1500), spend=ToySpend())
    verdict = profiled(graph, np.ones(1200)).verdict()
    assert verdict.startswith(
        "Whether it would run live is not known: what comes out is 1500 ms late, and the longest signal had 1200 ms"
    )
    assert profiled(graph, np.ones(1600)).verdict().startswith("It would run live")
    nothing = Profiler(graph).profile
    assert nothing.verdict() == "Nothing has run: whether it would run live is not known."
    assert [row.share for row in nothing.rows()] == [0, 0, 0]
    assert len(nothing.table()) == 5


def test_the_table_has_a_head_a_row_per_node_and_the_sum(clock: None) -> None:
    table = profiled(chain(a=ToySpend(), b=ToySpend(factor=3.0)), spending(1, 2000)).table()
    cells = [tuple(cell.strip() for cell in row) for row in table]
    assert cells[0] == (
        "node", "type", "calls", "time", "share", "real-time factor", "worst 10 ms", "at the end", "holds"
    )  # fmt: skip
    assert cells[1][:8] == ("a", "toy_spend", "3", "2.00 s", "25.0%", "0.01 x", "2.00 s", "0.000 ms")
    assert cells[3][:8] == (ENGINE, "", "3", "0.000 ms", "0.0%", "inf x", "0.000 ms", "0.000 ms")
    assert cells[4][:8] == ("total", "", "9", "8.00 s", "", "0.0025 x", "8.00 s", "0.000 ms")
    assert all(len({len(row[k]) for row in table}) == 1 for k in range(2, 9))  # figures stand below each other


# ---- memory ---------------------------------------------------------------------------------------------------------


def test_what_a_node_holds_back_is_counted() -> None:
    """ToyLate keeps a view of its 700 samples and the 10 samples of the last quantum, so 710 samples stay in memory."""
    profile = profiled(chain(late=ToyLate(samples=700), last=ToyScale()), np.zeros(3000))
    assert by_name(profile)["late"].held == 710 * 8
    assert by_name(profile)["last"].held == 0


def test_what_waits_before_a_node_is_counted_with_it() -> None:
    profile = profiled(chain(scale=ToyScale(), peak=ToyPeak()), np.zeros(12345))
    assert by_name(profile)["peak"].held == 12345 * 8
    assert profile.most_held == 12345 * 8


def test_what_waits_at_an_input_is_the_engines() -> None:
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "z"]}, {"x": Audio(RATE), "z": Audio(RATE)}, {"y": "sum"})
    profiler = Profiler(graph)
    profile, session = profiler.profile, Session(graph, profiler.plan)
    for _ in range(300):
        session.push(x=np.zeros(10))
    for _ in range(150):
        session.push(z=np.zeros(10))  # at the look after one second 2000 of x wait, 10 of z have just come out
    assert by_name(profile)[ENGINE].held == 2010 * 8


def test_memory_is_looked_at_less_often_as_a_signal_grows_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is measured every second for ten seconds, then at times that grow by a factor of 1.1, and at the end.

    Up to 400 s these are at most ln 40 / ln 1.1 = 39 further times; the test also requires more than 20.
    """
    looks: list[int] = []

    def counted(plan: Plan, state: SessionState) -> Iterator[int]:
        looks.append(1)
        return held(plan, state)

    monkeypatch.setattr(profiler_module, "held", counted)
    graph = Graph({"scale": ToyScale()}, {"scale.x": "x"}, {"x": Audio(10)}, {"y": "scale"})
    run(Profiler(graph, 1), [{"x": np.zeros(4000)}])
    assert 10 + 20 < len(looks) <= 10 + 39 + 1


class Pair(NamedTuple):
    a: Array
    b: Array


@dataclass
class Plain:
    array: Array
    other: Any = None


class Slotted:
    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class Foreign:
    """An object that owns n zeros as numba's allocator would: numpy makes an array of them whose base is no array."""

    def __init__(self, n: int) -> None:
        self._memory = (ctypes.c_double * n)()
        self.__array_interface__ = {
            "shape": (n,), "typestr": "<f8", "version": 3, "data": (ctypes.addressof(self._memory), False)
        }  # fmt: skip


@pytest.mark.parametrize(
    "wrap",
    [
        lambda array: array,
        lambda array: array[5:6],
        lambda array: array.reshape(10, 100).T[::2],
        lambda array: np.ndarray((3,), array.dtype, array.data, 16),
        lambda array: [array, array, array[1:]],
        lambda array: {"key": (array,)},
        lambda array: deque([array[:1], array[1:]]),
        lambda array: Pair(array, array),
        lambda array: Plain(array, other=Plain(array)),
        lambda array: Slotted(array),
        lambda array: np.array([array, None], object)[:1],
    ],
)
def test_an_array_counts_once_and_whole_wherever_it_lies(wrap: Any) -> None:
    """`size` counts an array of 8000 bytes inside an object once and in full; the object adds less than 1000 bytes.

    wrap: a function that puts the array, several times, or views of a part of it, into an object.
    """
    assert 8000 <= size(wrap(np.zeros(1000)), {}) < 9000


def test_memory_that_no_array_owns_counts_as_far_as_it_is_seen() -> None:
    one = np.asarray(Foreign(1000))
    assert isinstance(one.base, Foreign)
    assert 8000 <= size([one, one[::2]], {}) < 9000


def test_what_holds_itself_has_an_end() -> None:
    one = Plain(np.zeros(1000))
    one.other = [one]
    assert 8000 <= size(one, {}) < 9000


def test_nothing_is_held_by_names_of_code() -> None:
    assert size((None, np.dtype(float), Plain, np, len, test_nothing_is_held_by_names_of_code), {}) < 200


class ToyTable(Node):
    """Return the signal; the state refers to a table of the node beside its own numbers."""

    x = Input(Audio)
    y = Output(Audio)

    seed: int = Field(0, description="makes the engine copy the node")

    @cached_property
    def _table(self) -> Array:
        return np.ones(100_000)

    def start(self, x: Audio) -> State:
        return self._table, np.zeros(50)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x * state[0][0]


def test_what_a_node_made_for_itself_is_not_the_state() -> None:
    held = by_name(profiled(chain(table=ToyTable()), np.zeros(50)))["table"].held
    assert 50 * 8 <= held < 50 * 8 + 200  # and the tuple around it


# ---- the real thing -------------------------------------------------------------------------------------------------


def test_the_vocoder_is_profiled_as_it_is() -> None:
    graph, x = load("lpc_vocoder", swap={"excitation": "whisper"}), speech(24000)
    profiler = Profiler(graph)
    profile = profiler.profile
    found = run(profiler, [{"speech": x[:16000]}, {"speech": x[16000:]}])
    assert np.array_equal(found["speech"], graph(speech=x)["speech"])
    rows = profile.rows()
    assert [row.name for row in rows] == [*(stage.name for stage in profiler.plan.stages), ENGINE]
    assert {row.name for row in rows} == {*graph.order, ENGINE}
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert all(row.calls in (150, 151) for row in rows)  # 150 quanta, and the end where something is held
    assert all(0 < row.worst <= row.seconds for row in rows)
    frames = by_name(profile)["frames"]
    assert 320 * 8 <= frames.held < 3 * 320 * 8  # a window of samples, and what comes with a quantum
    assert by_name(profile)["synth"].held >= 18 * 8  # the last samples that its predictor looks back at


def test_the_whole_signal_that_a_pitch_tracker_waits_for_is_seen() -> None:
    graph = load("lpc_vocoder", swap={"pitch": "rapt"})
    profiler = Profiler(graph)
    run(profiler, [{"speech": speech(24000)}])
    profile = profiler.profile
    assert by_name(profile)["pitch"].held >= 24000 * 8
    assert profile.verdict().startswith("It would not run live: pitch needs the whole signal")
