"""Performances: the four laws of dspgraph.testing.performances, and faults that the check of these laws must find."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import (
    Array,
    Audio,
    DspgraphError,
    Frames,
    Graph,
    Node,
    ParameterError,
    Performance,
    Play,
    RequestError,
    SessionError,
    Set,
    SignalError,
    Stop,
    Swap,
    UnknownName,
    load,
    perform,
)
from dspgraph.engine import carry
from dspgraph.engine.plan import Plan, Queue
from dspgraph.live import curves, performance, transition
from dspgraph.live.events import Event, time_of
from dspgraph.testing.performances import PerformanceError, check_performance
from helpers.performances import LATENCY, random_cut, random_score, vocoder
from helpers.speech import speech
from helpers.toys import ToyLate, ToyPeak, ToyScale, ToySum

RATE = 16000
X = speech(24000)[8000:]


def scaled(factor: float, late: int = 1) -> Graph:
    nodes = {"late": ToyLate(samples=late), "scale": ToyScale(factor=factor)}
    return Graph(nodes, {"late.x": "x", "scale.x": "late"}, {"x": Audio(RATE)}, {"y": "scale"})


# ---- the laws -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(12))
def test_random_performances_keep_the_laws(number: int) -> None:
    score = random_score(number)
    check_performance(score.graph, score.recording, score.events, score.controls, LATENCY, [random_cut(number)])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(200))
def test_many_random_performances_keep_the_laws(number: int) -> None:
    score = random_score(number)
    check_performance(
        score.graph, score.recording, score.events, score.controls, LATENCY, [random_cut(number), (160,), (4096,)]
    )


def test_a_vocoder_keeps_the_laws_from_excitation_to_excitation() -> None:
    graphs = [load("lpc_vocoder", swap={"excitation": name}) for name in ("residual", "whisper", "pulse_noise")]
    events = [Swap(graphs[1], at="0.20001"), Swap(graphs[2], at=0.3), Swap(graphs[0], at=0.62)]
    check_performance(graphs[0], {"speech": X}, events, latency=graphs[2].latency().seconds, cuts=[(160,), (1001, 7)])


def test_a_vocoder_of_world_keeps_the_laws_when_its_pitch_rises() -> None:
    graphs = [load("world", [f"semitones={k}"], swap={"pitch": "pyin"}) for k in (0, 4)]
    check_performance(graphs[0], {"speech": X}, [Swap(graphs[1], at="0.31")], cuts=[(160,), (1001, 7)])


# ---- faults ---------------------------------------------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch], None]


def state_by_name(patch: pytest.MonkeyPatch) -> None:
    names = property(lambda plan: {name: name for name in (*plan.graph.inputs, *plan.graph.order)})
    patch.setattr(Plan, "cones", names)


def a_swap_at_the_next_block(patch: pytest.MonkeyPatch) -> None:
    def run(self: Performance, end: Fraction) -> dict[str, Array]:
        found = step(self, end)
        while (change := self._next_change()) and change[0] < end:
            change[1]()
        return found

    def step(self: Performance, end: Fraction) -> dict[str, Array]:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Performance, "_next_change", lambda self: None)
            return before(self, end)

    before = Performance._run
    patch.setattr(Performance, "_run", run)


def a_control_an_item_late(patch: pytest.MonkeyPatch) -> None:
    before = curves.control_items
    patch.setattr(
        performance,
        "control_items",
        lambda curve, stream, first, count: before(curve, stream, max(0, first - 1), count),
    )


def events_dropped_that_come_late(patch: pytest.MonkeyPatch) -> None:
    before = Performance.add

    def add(self: Performance, event: Event) -> Event:
        return before(self, event) if self.time == 0 or isinstance(event, Set) else event

    patch.setattr(Performance, "add", add)


def items_before_the_beginning_are_seen(patch: pytest.MonkeyPatch) -> None:
    before = carry._begin

    def begin(state: Any, plan: Any, stage: Any, begins: Any, at: Any) -> Fraction:
        found = before(state, plan, stage, begins, at)
        state.late.pop(stage.index, None)
        return found

    patch.setattr(carry, "_begin", begin)


def queues_lost(patch: pytest.MonkeyPatch) -> None:
    before = carry._move

    def move(old: Any, was: Any, state: Any, stage: Any) -> None:
        before(old, was, state, stage)
        state.queues[stage.index] = [(slot, Queue(), n) for slot, _, n in state.queues[stage.index]]

    patch.setattr(carry, "_move", move)


def a_fade_that_begins_again_in_every_block(patch: pytest.MonkeyPatch) -> None:
    real = np.arange
    patch.setattr(transition, "np", _Numpy(lambda a, b: real(b - a)))


class _Numpy:
    """A stand-in for numpy with another `arange`."""

    def __init__(self, arange: Callable[..., Array]) -> None:
        self.arange = arange

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def a_swap_that_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    def finish_early(self: Performance) -> Any:
        found = before(self)
        swaps = [event for _, _, event in self._pending if isinstance(event, Swap)]
        if found is None or self._crossing is None or not swaps:
            return found
        return min(found[0], max(self.time, time_of(swaps[0]))), self._finish

    before = Performance._next_change
    patch.setattr(Performance, "_next_change", finish_early)


def a_sound_that_begins_at_the_block(patch: pytest.MonkeyPatch) -> None:
    before = curves.Player.samples

    def samples(self: curves.Player, first: int, count: int) -> Array:
        for voice in self.voices:
            voice.begin = max(voice.begin, self.stream.seconds(first - first % 441))
        return before(self, first, count)

    patch.setattr(curves.Player, "samples", samples)


def old_items_after_the_fade(patch: pytest.MonkeyPatch) -> None:
    def crossing(begin: Any, end: Any, over: Any, graph: Graph) -> Any:
        return real(begin, begin, over, graph)

    real = transition.Crossing
    patch.setattr(performance, "Crossing", crossing)


FAULTS: list[Patch] = [
    state_by_name, a_swap_at_the_next_block, a_control_an_item_late, events_dropped_that_come_late,
    items_before_the_beginning_are_seen, queues_lost, a_fade_that_begins_again_in_every_block, a_swap_that_does_not_wait,
    a_sound_that_begins_at_the_block, old_items_after_the_fade,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    # An item that is lost is found by the engine itself.
    with pytest.raises((DspgraphError, ValueError, IndexError)):
        check_twelve()


def check_twelve() -> None:
    for number in range(12):
        score = random_score(number)
        check_performance(score.graph, score.recording, score.events, score.controls, LATENCY, [random_cut(number)])


# ---- what they do ---------------------------------------------------------------------------------------------------


def test_the_outputs_are_late_by_the_latency_and_as_long_as_the_recording() -> None:
    y = perform(scaled(2, late=100), {"x": X})["y"]
    assert len(y) == len(X)
    assert not y[:100].any()
    assert_array_equal(y[100:], 2 * X[:-100])
    assert_array_equal(perform(scaled(2, late=100), {"x": X}, latency="0.01")["y"][160:], 2 * X[:-160])


def test_a_swap_fades_after_it_has_settled() -> None:
    y = perform(scaled(1), {"x": np.ones(8000)}, [Swap(scaled(3), "0.05", "0.02", at="0.1")])["y"][1:]
    begin, end = 1600 + 800, 1600 + 800 + 320
    assert_array_equal(y[:begin], 1)
    np.testing.assert_allclose(y[begin:end], 1 + 2 * np.arange(320) / 320, rtol=1e-14)
    assert_array_equal(y[end:], 3)


def test_two_quick_swaps_are_made_one_after_the_other() -> None:
    events = [Swap(scaled(3), 0, "0.02", at="0.1"), Swap(scaled(5), 0, "0.02", at="0.101")]
    y = perform(scaled(1), {"x": np.ones(8000)}, events)["y"][1:]
    # The second begins when the last item of the first fade is known: 1 sample of latency, and 2 more.
    second = 1600 + 320 + 3
    assert_array_equal(y[1920:second], 3)
    np.testing.assert_allclose(y[second : second + 320], 3 + 2 * np.arange(320) / 320, rtol=1e-14)
    assert_array_equal(y[second + 320 :], 5)


def test_a_swap_makes_no_click() -> None:
    """A swap halves a sine of 440 Hz at a peak; the energy above 3 kHz, relative to the sine, is then -92 dB.

    If the samples jumped, it would be -38 dB.
    """
    n = np.arange(RATE)
    x = np.sin(2 * np.pi * 440 * n / RATE)

    def above(z: Array) -> float:
        spectrum = np.abs(np.fft.rfft(z[6000:10000] * np.blackman(4000))) ** 2
        return float(10 * np.log10(spectrum[750:].sum() / spectrum.sum()))

    y = perform(scaled(1), {"x": x}, [Swap(scaled(0.5), 0, at=Fraction(8009, RATE))])["y"]
    assert above(y) < -85 < -45 < above(np.where(n < 8009, x, x / 2))


def played(dtype: str = "float64") -> Graph:
    audio = Audio(RATE, dtype=dtype)
    return Graph({"sum": ToyScale(factor=1)}, {"sum.x": "music"}, {"music": audio, "x": audio}, {"y": "sum"})


def test_a_sound_is_played_from_its_time_and_as_often_as_asked() -> None:
    sound = np.arange(1.0, 101)
    y = perform(played(), {"x": X[:1000]}, [Play("music", sound, 3, at=Fraction(50, RATE))])["y"]
    assert_array_equal(y[:50], 0)
    assert_array_equal(y[50:350], np.tile(sound, 3))
    assert_array_equal(y[350:], 0)


def test_a_sound_without_an_end_is_stopped_within_5_ms() -> None:
    y = perform(played(), {"x": X[:4000]}, [Play("music", np.ones(7), None, at=0), Stop("music", at="0.1")])["y"]
    assert_array_equal(y[:1601], 1)
    np.testing.assert_allclose(y[1600:1680], 1 - np.arange(80) / 80, atol=1e-14)
    assert_array_equal(y[1680:], 0)


def test_a_sound_that_takes_the_place_of_another_fades_in() -> None:
    events = [Play("music", np.ones(7), None, at=0), Play("music", np.full(9, 3.0), None, at="0.1")]
    y = perform(played(), {"x": X[:4000]}, events)["y"]
    np.testing.assert_allclose(y[1600:1680], 1 + 2 * np.arange(80) / 80, atol=1e-14)
    assert_array_equal(y[1680:], 3)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("line", lambda t: 1 + 3 * t),
        ("exponential", lambda t: 4**t),
        ("target", lambda t: 4 - 3 * np.exp(-t)),
    ],
)
def test_a_control_follows_its_formula(shape: Any, expected: Callable[[Array], Array]) -> None:
    control = Frames(100, "control", 1)
    graph = Graph({"s": ToyScale(factor=1)}, {"s.x": "x"}, {"x": Audio(RATE), "c": control}, {"y": "s", "c": "c"})
    c = perform(graph, {"x": X[:8000]}, [Set("c", 4, "0.1", shape, at="0.2")], {"c": 1.0})["c"][:, 0]
    delay = Performance(graph).lateness("c")
    time = np.arange(len(c) - delay) / 100
    np.testing.assert_allclose(
        c[delay:],
        np.where(time < 0.2, 1, np.where((time < 0.3) | (shape == "target"), expected((time - 0.2) / 0.1), 4)),
        rtol=1e-12,
    )


def test_an_event_without_a_time_is_now_and_is_recorded_with_it() -> None:
    live = Performance(scaled(1))
    live.push(x=X[:777])
    event = live.add(Swap(scaled(2)))
    assert event.at == Fraction(777, RATE)
    live.push(x=X[777:])
    assert live.events == [event]
    assert live.graph == scaled(2)


def test_all_inputs_can_be_played() -> None:
    graph = Graph({"s": ToyScale(factor=2)}, {"s.x": "music"}, {"music": Audio(RATE)}, {"y": "s"})
    live = Performance(graph, [Play("music", X[:1000], at=0)])
    y = np.concatenate([live.advance("0.01")["y"] for _ in range(10)])
    assert_array_equal(y[:1000], 2 * X[:1000])
    assert len(y) == 1600
    with pytest.raises(SignalError, match=r"call advance"):
        live.push()
    with pytest.raises(RequestError, match="advance takes 0 seconds or more; found -1"):
        live.advance(-1)


def two_inputs(node: Node) -> Graph:
    inputs = {"a": Audio(RATE), "b": Audio(RATE)}
    return Graph({"n": node}, {"n.x": ["a", "b"]}, inputs, {"y": "n"})


def test_inputs_that_are_missing_or_uneven_are_refused() -> None:
    graph, a = two_inputs(ToySum()), X[:1600]
    with pytest.raises(SignalError, match=r"takes 'b', Audio.*not given: give its samples, or name it in `played`"):
        perform(graph, {"a": a})
    with pytest.raises(SignalError, match=r"'a' has 1600 items .*'b' has 1500 items"):
        perform(graph, {"a": a, "b": a[:1500]})
    with pytest.raises(UnknownName, match="no recording of 'c'"):
        perform(graph, {"a": a, "b": a, "c": a})
    assert_array_equal(perform(graph, {"a": a}, played=["b"])["y"], a)
    check_performance(graph, {"a": a}, played=["b"])


def test_a_performance_without_recorded_inputs_lasts_as_long_as_is_said() -> None:
    graph, sounds = two_inputs(ToySum()), [Play("a", X[:1000], 2, at=0), Play("b", X[:300], at="0.01")]
    expected = np.concatenate((X[:1000], X[:600]))
    expected[160:460] += X[:300]
    assert_array_equal(check_performance(graph, {}, sounds, seconds=0.1)["y"], expected)
    with pytest.raises(SignalError, match="give `seconds`"):
        perform(graph, {}, sounds)
    with pytest.raises(SignalError, match="leave out `seconds`"):
        perform(scaled(1), {"x": X}, seconds=1)


# ---- what is refused ------------------------------------------------------------------------------------------------


def other_inputs() -> Graph:
    return Graph({"s": ToyScale()}, {"s.x": "x"}, {"x": Audio(8000)}, {"y": "s"})


def refusals() -> Iterator[tuple[Callable[[], Any], type[Exception], str]]:
    whole = Graph({"p": ToyPeak()}, {"p.x": "x"}, {"x": Audio(RATE)}, {"y": "p"})
    yield lambda: Performance(whole), RequestError, "p needs the whole signal"
    yield lambda: Performance(scaled(1, 160), latency=0.001), RequestError, "latency of 10 ms; found 1 ms"
    yield lambda: perform(scaled(1), {"x": X}, [Swap(other_inputs(), at=0)]), RequestError, "the same inputs: x: Audio"
    yield lambda: perform(scaled(1), {"x": X}, [Swap(scaled(1, 160), at=0)]), RequestError, "begin it with latency=0.01"
    yield lambda: perform(scaled(1), {"x": X}, [Swap(scaled(1))]), ParameterError, "Swap has no time"
    yield lambda: perform(scaled(1), {"x": X}, [Set("volume", 1, at=0)]), UnknownName, "no control 'volume'"
    yield lambda: Performance(scaled(1)).add(Play("x", X)), UnknownName, "name it in `played`"
    yield lambda: Performance(scaled(1)).push(z=X), UnknownName, "no blocks of 'z'"
    yield lambda: Set("c", float("nan")), ParameterError, "Set.value is a number"
    yield lambda: Set("c", 1, over=-1), ParameterError, "Set.over is a time in seconds"
    yield lambda: Play("x", X, 0), ParameterError, "Play.loops is a whole number"
    yield lambda: Swap("whisper"), ParameterError, "Swap.graph is a graph"  # type: ignore[arg-type]


@pytest.mark.parametrize(("call", "error", "message"), list(refusals()))
def test_what_does_not_fit_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_event_in_the_past_is_refused() -> None:
    live = Performance(scaled(1))
    live.push(x=X[:800])
    with pytest.raises(SessionError, match=r"Swap at 0\.01 s: the signal has reached 0\.05 s"):
        live.add(Swap(scaled(2), at="0.01"))


def test_a_control_cannot_cross_0_by_equal_ratios() -> None:
    graph = vocoder(np.random.default_rng(0), RATE, "float64")
    with pytest.raises(ParameterError, match="by equal ratios"):
        Performance(graph, [Set("volume", 1, shape="exponential", at=0), Stop("music", 0)])


def test_the_error_names_the_law_and_the_first_item() -> None:
    error = PerformanceError("law 2, blocks of [1]: 3 of 4 items of 'y' differ, the first is number 1")
    assert "law 2" in str(error)
