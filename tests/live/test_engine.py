"""The engine of a live graph behind a device in virtual time: what is played, what is recorded, what is counted."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import (
    Array,
    Audio,
    Field,
    FileError,
    Frames,
    Graph,
    Input,
    LiveError,
    Node,
    NodeError,
    Output,
    Performance,
    Play,
    RequestError,
    SessionError,
    Set,
    SignalError,
    State,
    Stop,
    Swap,
    UnknownName,
    perform,
)  # fmt: skip
from dspgraph.io.formats import audio_format
from dspgraph.live.curves import SOUND_FADE
from dspgraph.live.engine import Engine, Setup
from dspgraph.live.events import Event
from dspgraph.live.exchange import Exchange, Quantum
from dspgraph.live.ports import DevicePort, FrameOutput
from dspgraph.live.process import Control, device_request
from dspgraph.live.recorder import Recorder
from dspgraph.live.running import NoDevice
from dspgraph.testing.devices import FakeDevice
from dspgraph_nodes.mix.blend import Blend
from dspgraph_nodes.mix.fade import Fade
from helpers.live import play
from helpers.speech import speech
from helpers.toys import ToyFailing, ToyLate, ToyScale, ToySum

RATE, Q = 16000, 160
X = (0.4 * speech(24000)[8000:]).astype(np.float32)  # no output below clips


def scaled(factor: float, late: int = 37) -> Graph:
    nodes = {"late": ToyLate(samples=late), "scale": ToyScale(factor=factor)}
    return Graph(nodes, {"late.x": "x", "scale.x": "late"}, {"x": Audio(RATE)}, {"y": "scale"})


def with_volume() -> Graph:
    control = Frames(100, "control", 1)
    return Graph(
        {"out": Fade()}, {"out.x": "x", "out.gain": "volume"}, {"x": Audio(RATE), "volume": control}, {"y": "out"}
    )


def wrong_quanta(played: Array, expected: Array, late: int) -> list[int]:
    """Return the indices of the quanta in which `played` differs from `expected` delayed by `late` samples.

    played: [n, channels], of which the first channel is compared, n a multiple of Q; expected: [m], m + late >= n.
    """
    there = np.concatenate((np.zeros(late), expected)).astype(np.float32)[: len(played)]
    differ = (played[: len(there), 0] != there).reshape(-1, Q).any(axis=1)
    return [int(k) for k in np.flatnonzero(differ)]


@pytest.mark.parametrize("threads", [False, True])
def test_what_is_played_is_the_performance_of_what_was_heard(threads: bool) -> None:
    asks = {20: [Swap(scaled(0.5))], 21: [Swap(scaled(2))], 40: [Swap(scaled(-1), 0, 0)]}
    device = FakeDevice(X, asks=asks, threads=threads)
    engine = play(scaled(1), device)
    events = engine.performance.events
    # A swap that is asked for begins at the next boundary; two quick swaps are made one after the other.
    assert [event.at for event in events] == [Fraction(2, 10), Fraction(21, 100), Fraction(4, 10)]
    assert wrong_quanta(device.played, perform(scaled(1), {"x": X}, events)["y"], 2 * Q) == []
    assert engine.stats().silent == 0


@pytest.mark.parametrize(("ahead", "silent"), [(2, 2), (4, 0)])
def test_an_engine_that_stalls_is_silent_and_then_exact_again(ahead: int, silent: int) -> None:
    """The engine is 35 ms late once. With two quanta ahead, two quanta are not ready in time and are silent.

    ahead: how many quanta the engine computes in advance; silent: how many quanta are silent for this number.
    """
    device = FakeDevice(X, late={30: "0.035"}, asks={31: [Swap(scaled(0.5))]})
    engine = play(scaled(1), device, ahead=ahead)
    expected = perform(scaled(1), {"x": X}, engine.performance.events)["y"]
    assert wrong_quanta(device.played, expected, ahead * Q) == [30 + ahead + k for k in range(silent)]
    assert not device.played[(30 + ahead) * Q :][: silent * Q].any()
    stats = engine.stats()
    assert stats.silent == silent * Q
    assert stats.gaps == (((0.3, 320),) if silent else ())


def test_a_stall_of_95_ms_is_8_silent_quanta() -> None:
    device = FakeDevice(X, late={30: "0.095"})
    engine = play(scaled(1), device)
    assert wrong_quanta(device.played, perform(scaled(1), {"x": X})["y"], 2 * Q) == list(range(32, 40))
    assert engine.stats().gaps == ((0.3, 8 * Q),)


def test_the_time_of_a_gap_counts_the_samples_that_were_lost_before() -> None:
    """The device loses 0.5 s at 0.1 s, so quantum 30, for which the engine is 35 ms late, is a gap at 0.8 s."""
    engine = play(scaled(1), FakeDevice(np.tile(X, 2), lost={10: 8000, 33: 100}, late={30: "0.035"}))
    stats = engine.stats()
    assert stats.gaps == ((0.8, 320),)
    assert stats.losses == ((0.1, 8000), (0.83, 100))
    assert stats.seconds == pytest.approx(0.50625 + 0.01 * engine.exchange.number)


def test_the_engine_neither_checks_nor_copies_a_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sound is checked and copied once, in the thread that takes requests, so that a long sound makes no gap."""
    inputs = {"x": Audio(RATE), "music": Audio(RATE)}
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "music"]}, inputs, {"y": "sum"})
    engine = play(graph, FakeDevice(X), played=("music",))
    answers: list[Any] = []
    Control(engine, None)._ask((Play("music", X), Play("music", X, at=5)), ({}, {}), answers.append)

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the engine checks a sound")

    monkeypatch.setattr(Audio, "validate", fail)
    engine.answer()
    assert [event.at for event in answers[0]] == [engine.performance.time, 5]


class VirtualStop(threading.Event):
    """The event that stops a device, in virtual time: waiting takes no time, and adds to `now`, in seconds.

    work: a function that is called at each wait, with this event. The 5000th call of `is_set` is an AssertionError, so
    that a loop that never ends is noticed.
    """

    def __init__(self, work: Any) -> None:
        super().__init__()
        self.now, self.work, self.looks = 0.0, work, 0

    def is_set(self) -> bool:
        self.looks += 1
        assert self.looks < 5000, "the clock runs without a brake"
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        self.work(self)
        return super().is_set()


def without_device(outputs: Any, work: Any, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Run a sound that never ends through a graph that has no device, and return the engine.

    work: a function that is called at each wait, with the engine and the `VirtualStop`, which it must set at some time.
    outputs: where outputs go. Until the test ends, `time.monotonic` gives the virtual time.
    """
    setup = Setup(scaled(1), {}, outputs, Fraction(1, 100), 2, Fraction(37, RATE), played=("x",))
    engine = Engine(setup, NoDevice().open(device_request(setup)), lambda *_: None)
    engine.performance.add(Play("x", X, None))
    stop = VirtualStop(lambda stop: work(engine, stop))
    monkeypatch.setattr("dspgraph.live.running.time.monotonic", lambda: stop.now)
    NoDevice().run(engine, stop)
    return engine


def test_without_a_device_what_is_pulled_is_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def pull(engine: Engine, stop: VirtualStop) -> None:
        seen.append(engine.performance.time)
        engine.pulled["y"] += 800
        if len(seen) == 3:
            stop.set()

    engine = without_device({"y": FrameOutput(Fraction(1, 10))}, pull, monkeypatch)
    assert seen == [Fraction(10, 100), Fraction(15, 100), Fraction(20, 100)]
    assert engine.error is None


def test_without_anything_pushed_or_pulled_the_clock_is_that_of_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = []

    def look(engine: Engine, stop: VirtualStop) -> None:
        ahead.append(float(engine.performance.time) - stop.now)
        if stop.now > 1:
            stop.set()

    engine = without_device({}, look, monkeypatch)
    assert engine.performance.time == 1
    assert -0.0101 < min(ahead) <= max(ahead) < 0.0001  # a quantum is computed at its end


def test_lost_samples_are_zeros_in_the_graph_and_in_the_recording(tmp_path: Path) -> None:
    device = FakeDevice(X, lost={10: 100, 33: 1000})
    engine = play(scaled(1), device, record=tmp_path / "take")
    heard, rate = soundfile.read(tmp_path / "take" / "x.wav", dtype="float32")
    expected = X[: len(heard)].copy()
    for first, n in ((10 * Q, 100), (33 * Q + 100, 1000)):
        expected[first : first + n] = 0
    assert rate == RATE
    assert_array_equal(heard, expected)
    stats = engine.stats()
    assert (stats.lost, stats.losses) == (1100, ((0.1, 100), (0.33625, 1000)))
    whole = perform(scaled(1), {"x": heard})["y"].astype(np.float32)
    out, _ = soundfile.read(tmp_path / "take" / "out.wav", dtype="float32")
    assert_array_equal(out, whole)
    # The time of the lost samples has passed for the loudspeaker too: what follows comes as late as before.
    assert_array_equal(device.played[12 * Q : 35 * Q, 0], whole[10 * Q + 100 : 33 * Q + 100])
    assert_array_equal(device.played[35 * Q :, 0], whole[33 * Q + 1100 :][: len(device.played) - 35 * Q])


def test_a_control_moves_while_the_graph_runs() -> None:
    device = FakeDevice(X, asks={30: [Set("volume", 0.25, 0.1)], 60: [Set("volume", 1, 0)]})
    engine = play(with_volume(), device, controls={"volume": 0.5})
    expected = perform(with_volume(), {"x": X}, engine.performance.events, {"volume": 0.5})["y"]
    assert wrong_quanta(device.played, expected, 2 * Q) == []


def test_a_sound_is_played_and_its_end_is_told() -> None:
    inputs = {"x": Audio(RATE), "music": Audio(RATE)}
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "music"]}, inputs, {"y": "sum"})
    sound = X[:3000]
    asks: dict[int, list[Event]] = {
        10: [Play("music", sound, 2, skip=1000)],
        70: [Play("music", sound, None)],
        90: [Stop("music")],
    }
    device = FakeDevice(X, asks=asks)
    engine = play(graph, device, played=("music",))
    expected = perform(graph, {"x": X}, engine.performance.events)["y"]
    assert wrong_quanta(device.played, expected, 2 * Q) == []
    assert_array_equal(device.played[12 * Q :, 0][:1000], X[10 * Q :][:1000] + sound[1000:2000])
    assert completed(engine) == [Fraction(1, 10) + Fraction(5000, RATE), Fraction(9, 10) + SOUND_FADE]


def completed(engine: Any) -> list[Fraction]:
    """Return the times, in seconds, at which sounds of the input "music" have ended."""
    return [message[2] for message in engine.messages if message[:2] == ("completed", "music")]


LATER: dict[str, tuple[dict[int, Any], list[Fraction]]] = {
    "alone": ({}, [Fraction(2, 10)]),
    "play later": ({11: [Play("music", X[:1600], at=Fraction(1, 2))]}, [Fraction(2, 10), Fraction(6, 10)]),
    "stop later": ({11: [Stop("music", at=Fraction(1, 2))]}, [Fraction(2, 10)]),
    "stop": ({11: [Stop("music")]}, [Fraction(11, 100) + SOUND_FADE]),
    "stop just before its end": ({11: [Stop("music", at=Fraction(199, 1000))]}, [Fraction(2, 10)]),
    "replaced": ({11: [Play("music", X[:1600])]}, [Fraction(11, 100) + SOUND_FADE, Fraction(21, 100)]),
    "one before one that was asked for earlier": (
        {11: [Play("music", X[:1600], None, at=Fraction(1, 2))], 12: [Play("music", X[:1600], None, at=Fraction(3, 10))],
         13: [Stop("music", at=Fraction(7, 10))]},
        [Fraction(2, 10), Fraction(1, 2) + SOUND_FADE, Fraction(7, 10) + SOUND_FADE],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LATER)
def test_every_sound_is_told_to_end_once_whatever_is_asked_for_later(name: str) -> None:
    """A sound of 0.1 s begins at 0.1 s. An event for a later time ends it only at that time, not at the request.

    name: the key in LATER of the later requests, and of the times at which sounds must end.
    """
    asks, expected = LATER[name]
    inputs = {"x": Audio(RATE), "music": Audio(RATE)}
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "music"]}, inputs, {"y": "sum"})
    engine = play(graph, FakeDevice(X, asks={10: [Play("music", X[:1600])], **asks}), played=("music",))
    assert engine.error is None
    assert completed(engine) == expected


def test_several_outputs_go_to_channels_of_their_own_and_are_recorded(tmp_path: Path) -> None:
    graph = Graph({"s": ToyScale(factor=2)}, {"s.x": "x"}, {"x": Audio(RATE)}, {"y": "s", "z": "x"})
    device = FakeDevice(X, outputs=3)
    ways = {"y": DevicePort("fake", 1), "z": DevicePort("fake", 3)}
    play(graph, device, record=tmp_path / "take", outputs=ways)
    late = 2 * Q
    assert_array_equal(device.played[late:], np.stack((2 * X, 0 * X, X), axis=1)[:-late])
    for name, expected in (("y", 2 * X), ("z", X)):
        assert_array_equal(soundfile.read(tmp_path / "take" / f"out_{name}.wav", dtype="float32")[0], expected)


def test_stereo_goes_in_and_out_and_mono_to_two_loudspeakers() -> None:
    both = np.stack((X, -X), axis=1)
    audio = Audio(RATE, 2)
    stereo = Graph({"s": ToyScale(factor=1)}, {"s.x": "x"}, {"x": audio}, {"y": "s"})
    for graph, heard, expected in ((stereo, both, both), (scaled(1, 1), X, np.stack((X, X), axis=1))):
        device = FakeDevice(heard, outputs=2)
        play(graph, device)
        late = 2 * Q + (graph is not stereo)
        assert_array_equal(device.played[late:], expected[:-late])


# ---- nothing done, and no click -------------------------------------------------------------------------------------


def mixed(dtype: str = "float64") -> Graph:
    """Return a graph that adds two copies of the input "x" and mixes in an effect.

    The controls "volume" and "other" are the gains of the copies, "on" is the share of the effect.
    """
    audio, control = Audio(RATE, dtype=dtype), Frames(100, "control", 1, dtype=dtype)
    nodes = {"first": Fade(), "second": Fade(), "sum": ToySum(), "effect": ToyScale(factor=-0.5), "out": Blend()}
    wires = {
        "first.x": "x", "first.gain": "volume", "second.x": "x", "second.gain": "other", "sum.x": ["first", "second"],
        "effect.x": "sum", "out.dry": "sum", "out.wet": "effect", "out.position": "on",
    }  # fmt: skip
    return Graph(nodes, wires, {"x": audio, "volume": control, "other": control, "on": control}, {"y": "out"})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_swap_to_an_equal_graph_controls_at_rest_and_an_effect_that_is_off_change_nothing(dtype: str) -> None:
    controls = {"volume": 0.7, "other": 0.0, "on": 0.0}
    asks: dict[int, list[Event]] = {
        20: [Swap(mixed(dtype))],
        30: [Set(name, value, 0.05) for name, value in controls.items()],
    }
    device = FakeDevice(X, asks=asks)
    play(mixed(dtype), device, controls=controls)
    rest = {name: np.full((len(X) // Q, 1), value) for name, value in controls.items()}
    late = Performance(mixed(dtype)).lateness("y")
    assert wrong_quanta(device.played, mixed(dtype)(x=X, **rest)["y"], 2 * Q + late) == []


@pytest.mark.parametrize("name", ["volume", "on", "other"])
def test_moving_a_control_makes_no_click(name: str) -> None:
    """A control moves within 20 ms; the energy above 3 kHz of a sine of 440 Hz then stays below -75 dB.

    With a jump of the gain it is above -45 dB. name: the control that moves: "volume" halves the gain of the signal,
    "on" switches to an effect that halves the signal and turns it upside down, "other" adds a second copy of it.
    """
    n = np.arange(RATE)
    x = 0.4 * np.sin(2 * np.pi * 440 * n / RATE)
    before = {"volume": 1.0, "other": 0.0, "on": 0.0}
    after = {**before, name: 0.5 if name == "volume" else 1.0}
    found = perform(mixed(), {"x": x}, [Set(name, after[name], "0.02", at="0.5007")], before)["y"]
    factors = [(one["volume"] + one["other"]) * (1 - 1.5 * one["on"]) for one in (before, after)]
    late = Performance(mixed()).lateness("y")
    hard = np.where(n < 8013, factors[0], factors[1]) * x
    assert above_3_khz(found[late:]) < -75 < -45 < above_3_khz(hard)


def above_3_khz(z: Array) -> float:
    """Return the energy above 3 kHz relative to the whole energy, in dB, in a quarter of a second of z around 0.5 s."""
    spectrum = np.abs(np.fft.rfft(z[6000:10000] * np.blackman(4000))) ** 2
    return float(10 * np.log10(spectrum[750:].sum() / spectrum.sum()))


# ---- errors ---------------------------------------------------------------------------------------------------------


def failing() -> Graph:
    return Graph({"n": ToyFailing()}, {"n.x": "x"}, {"x": Audio(RATE)}, {"y": "n"})


class ToyDivide(Node):
    """Divide the number `top` by the signal. At samples of 0 the result is infinite."""

    x = Input(Audio)
    y = Output(Audio)
    top: float = Field(1.0, description="the numerator")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        with np.errstate(divide="ignore"):
            return state, self.top / x


def dividing() -> Graph:
    return Graph({"n": ToyDivide()}, {"n.x": "x"}, {"x": Audio(RATE)}, {"y": "n"})


@pytest.mark.parametrize(
    ("graph", "bad", "error", "message"),
    [
        (failing(), 2000, NodeError, r"n \(toy_failing\) failed in the block that ends at 0\.310 s: .*too loud"),
        (dividing(), 0, SignalError, r"'y' is not finite at 0\.301 s"),
    ],
)
def test_an_error_fades_to_silence_and_is_held(
    graph: Graph, bad: float, error: type[Exception], message: str, tmp_path: Path
) -> None:
    x = np.full(16000, 0.5)
    x[30 * Q + 12] = bad
    device = FakeDevice(x, asks={40: [Swap(graph)]})
    engine = play(graph, device, record=tmp_path / "take")
    assert isinstance(engine.error, error)
    with pytest.raises(error, match=message):
        raise engine.error
    assert [message[1] for message in engine.messages[1:]] == [engine.error]  # type: ignore[attr-defined]
    y = device.played[:, 0]
    level = y[32 * Q - 1]
    assert_array_equal(y[2 * Q : 32 * Q], level)
    ramp = np.diff(y[32 * Q - 1 : 32 * Q + 80])
    np.testing.assert_allclose(ramp, -level / 80, rtol=1e-5)  # 5 ms
    assert not y[32 * Q + 80 :].any()
    # The device runs on to its end, and the recording of the output is complete up to the error.
    assert len(y) == 16000
    assert len(soundfile.read(tmp_path / "take" / "out.wav")[0]) == 30 * Q
    (answer,) = device.answers
    assert isinstance(answer, LiveError) and "has stopped after an error" in str(answer)


def test_a_graph_that_is_a_second_late_is_an_error() -> None:
    engine = play(scaled(1), FakeDevice(np.tile(X, 3), late={20: "1.5"}))
    assert isinstance(engine.error, LiveError)
    assert "takes more time than there is: no output for" in str(engine.error)


def test_a_device_that_is_lost_leaves_a_recording_up_to_there(tmp_path: Path) -> None:
    engine = play(scaled(1), FakeDevice(X, dies=25), record=tmp_path / "take")
    assert isinstance(engine.error, LiveError)
    assert len(soundfile.read(tmp_path / "take" / "x.wav")[0]) == 25 * Q


def test_what_cannot_be_done_is_answered_and_changes_nothing() -> None:
    slow, graph = scaled(1, late=500), with_volume()
    asks: dict[int, Any] = {10: [Swap(slow)], 20: [Set("x", 1)]}
    device = FakeDevice(X, asks=asks)
    play(scaled(1), device)
    first, second = device.answers
    assert isinstance(first, RequestError) and "begin it with latency=" in str(first)
    assert isinstance(second, UnknownName)
    assert wrong_quanta(device.played, perform(scaled(1), {"x": X})["y"], 2 * Q) == []
    # Events that were asked for together are added together, or none of them.
    batch: Any = {10: [Set("volume", 0), Set("volmue", 0)]}
    device = FakeDevice(X, asks=batch)
    engine = play(graph, device, controls={"volume": 1.0})
    assert isinstance(device.answers[0], UnknownName)
    assert engine.performance.events == []
    moves = [Set("volume", 0, at=1), Set("volume", 1, at=Fraction(1, 2))]
    device = FakeDevice(X, asks={10: moves})
    engine = play(graph, device, controls={"volume": 1.0})
    assert "in the order of their times" in str(device.answers[0])
    assert engine.performance.events == []


# ---- edges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [1, 2])
def test_the_latency_of_several_ports_is_that_of_one(inputs: int) -> None:
    """A pulse that all inputs record comes out after `stats.latency`, to within 1 ms."""
    names = ["x", "z"][:inputs]
    graph = Graph({"sum": ToySum()}, {"sum.x": names}, dict.fromkeys(names, Audio(RATE)), {"y": "sum", "w": "sum"})
    heard = np.zeros(3 * RATE)
    heard[RATE] = 0.5
    device = FakeDevice(heard, rate=3 * RATE, outputs=1)
    stats = play(graph, device, outputs={name: DevicePort("default", 1) for name in "yw"}).stats()
    measured = (np.argmax(np.abs(device.played[:, 0])) - RATE) / (3 * RATE)
    assert measured == pytest.approx(stats.latency, abs=0.001)


@pytest.mark.parametrize("rate", [48000, 44100, 8000])
def test_a_device_at_another_rate_is_resampled(rate: int) -> None:
    """A sine of 440 Hz comes out as a sine of 440 Hz of the same level, at a fixed delay."""
    n = np.arange(rate)
    device = FakeDevice(0.5 * np.sin(2 * np.pi * 440 * n / rate), rate=rate)
    engine = play(scaled(1, 1), device)
    assert engine.error is None
    y = device.played[:, 0]
    stats = engine.stats()
    assert stats.rate == rate
    # Two quanta lie ready; each of the two edges adds the delay of its converter, and 64 samples to spare.
    assert 0.02 < stats.latency < 0.1
    part = np.arange(rate // 4, rate // 4 + rate // 2)
    waves = np.stack((np.sin(2 * np.pi * 440 * part / rate), np.cos(2 * np.pi * 440 * part / rate)))
    a, b = 2 * waves @ y[part] / len(part)
    np.testing.assert_allclose(np.hypot(a, b), 0.5, rtol=1e-3)  # the gain of the converters
    assert np.abs(y[part] - a * waves[0] - b * waves[1]).max() < 1e-4  # what the converters add is below 3e-6 each


def test_the_edge_does_not_depend_on_the_cut() -> None:
    from dspgraph.live.edge import DeviceEdge

    x, outs = speech(8000)[:, None], []
    for sizes in ([160] * 50, [1, 7, 441, 3000, 4551]):
        edge, at, found = DeviceEdge(Fraction(RATE), Fraction(44100), 1), 0, []
        for size in sizes:
            edge.put(x[at : at + size])
            due = (at + size) * 441 // 160 - at * 441 // 160
            at += size
            found.append(edge.take(due))
        outs.append(np.concatenate(found))
    assert_array_equal(outs[0], outs[1])


def test_an_exchange_numbers_the_quanta_and_throws_away_one_that_comes_too_late() -> None:
    exchange = Exchange(4, 1, 1)
    assert not exchange.swap(np.ones((4, 1))).any()
    quanta = exchange.waiting()
    assert quanta is not None
    assert [(quantum.number, quantum.lost) for quantum in quanta] == [(0, 0)]
    exchange.swap(np.ones((4, 1)), lost=3)
    assert exchange.silent == 4
    exchange.deliver(0, np.full((4, 1), 5.0))  # comes too late, and is thrown away
    exchange.deliver(1, np.full((4, 1), 6.0))
    assert exchange.swap(np.ones((4, 1)))[0, 0] == 6
    assert isinstance(exchange.waiting()[0], Quantum)  # type: ignore[index]
    exchange.end()
    assert exchange.waiting() is None


# ---- recordings -----------------------------------------------------------------------------------------------------


def test_a_recording_is_whole_and_replaces_nothing(tmp_path: Path) -> None:
    take = tmp_path / "take"
    play(scaled(1), FakeDevice(X), record=take)
    assert sorted(path.name for path in take.iterdir()) == ["events.jsonl", "out.wav", "stats.json", "x.wav"]
    with pytest.raises(RequestError, match="is there already: record into another folder"):
        play(scaled(1), FakeDevice(X), record=take)
    header = json.loads((take / "events.jsonl").read_text())
    assert header["latency"] == "37/16000"
    assert header["begin"] is None  # no file describes this graph


def test_a_sound_replaces_no_file(tmp_path: Path) -> None:
    """The first sound of `music` and the recording of an input called `music_1` have different files.

    A folder that already has a folder `sounds` is refused.
    """
    recorder = Recorder(tmp_path, {"music_1": Audio(RATE)}, {"y": Audio(RATE)}, {})
    file = recorder.sound("music", 0.5 * X, Audio(RATE))
    recorder.line({"play": "music", "file": file})
    recorder.put("in", "music_1", X)
    recorder.close({})
    assert_array_equal(soundfile.read(tmp_path / file, dtype="float32")[0], 0.5 * X)
    assert_array_equal(soundfile.read(tmp_path / "music_1.wav", dtype="float32")[0], X)
    (tmp_path / "other" / "sounds").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"sounds is there already: record into another folder"):
        Recorder(tmp_path / "other", {"x": Audio(RATE)}, {}, {})


def test_a_sound_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    inputs = {"x": Audio(RATE), "music": Audio(RATE)}
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "music"]}, inputs, {"y": "sum"})
    engine = play(graph, FakeDevice(X), played=("music",))
    engine.recorder = recorder = Recorder(tmp_path / "take", {"x": Audio(RATE)}, {"y": Audio(RATE)}, {})
    control = Control(engine, recorder)
    answers: list[Any] = []
    late = engine.performance.time
    for at in (late + 1, late + 2):
        control._ask((Play("music", X, at=at),), ({"play": "music"},), answers.append)
    engine.performance.time = late + Fraction(3, 2)  # the time of the first has passed before the engine looks
    engine.answer()
    assert [type(answer) for answer in answers] == [SessionError, tuple]
    recorder.close({})
    assert [path.name for path in (tmp_path / "take" / "sounds").iterdir()] == ["music_2.wav"]
    assert json.loads((tmp_path / "take" / "events.jsonl").read_text())["file"] == "sounds/music_2.wav"


def recorded(folder: Path, blocks: int) -> tuple[str, list[int]]:
    """Record an input, x, and two outputs, y and z, and assert that closing the recording raises FileError.

    Returns the message of the error, and the numbers of samples in the files out_y.wav, out_z.wav and x.wav. x and y
    have the rate RATE, z is stereo at 48000 Hz. The caller makes writing fail. blocks: how many blocks of a second are
    recorded.
    """
    recorder = Recorder(folder, {"x": Audio(RATE)}, {"y": Audio(RATE), "z": Audio(48000, 2)}, {"begin": None})
    recorder.line({"set": "volume"})
    for _ in range(blocks):
        recorder.put("in", "x", np.zeros(RATE))
        recorder.put("out", "y", np.zeros(RATE))
        recorder.put("out", "z", np.zeros((48000, 2)))
    with pytest.raises(FileError) as error:
        recorder.close({})
    assert len((folder / "events.jsonl").read_text().splitlines()) == 2
    assert not list(folder.glob(".*"))
    return str(error.value), [len(soundfile.read(path)[0]) for path in sorted(folder.glob("*.wav"))]


def test_a_recording_that_is_too_long_for_wav_is_kept_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dspgraph.live.recorder._FLOAT", replace(audio_format(".wav", "FLOAT"), size=4 * 10**6))
    message, counts = recorded(tmp_path, 20)
    assert counts == [9 * RATE, 9 * 48000, 9 * RATE]  # z ends after 10.4 s, and a second is left free
    assert "record the rest into another folder" in message


def test_a_recording_on_a_disk_that_fills_up_is_kept_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([2**30] * 7 + [2**24] * 100)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(left)))
    message, counts = recorded(tmp_path, 20)
    assert counts == [7 * RATE, 7 * 48000, 7 * RATE]
    assert "has only 16 MiB left: what was recorded is kept" in message


def test_files_that_cannot_be_written_any_more_are_kept_up_to_there(tmp_path: Path) -> None:
    """The system refuses files above 1 MB: z reaches this size after 2.6 s, and what it had by then is kept."""
    code = """
        import resource
        from pathlib import Path
        from live.test_engine import recorded
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
        print(recorded(Path("take"), 10))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    message, counts = ast.literal_eval(done.stdout)
    assert "out_z.wav cannot be written: " in message
    z, y, x = (counts[k] for k in (1, 0, 2))
    assert (y, x) == (3 * RATE, 3 * RATE)  # the block of z in which it failed came after those of x and y
    assert 2 * 48000 < z < 10**6 / 8


def test_only_audio_is_recorded_and_names_do_not_meet(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="only audio can be recorded; the input 'c'"):
        Recorder(tmp_path, {"c": Frames(100, "f0", 1)}, {"y": Audio(RATE)}, {})
    with pytest.raises(RequestError, match="called as a recorded output"):
        Recorder(tmp_path, {"out": Audio(RATE)}, {"y": Audio(RATE)}, {})
