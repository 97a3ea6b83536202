"""Live graphs in a process of their own, on the fake device."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import (
    Array,
    Audio,
    FileInput,
    FrameInput,
    FrameOutput,
    Frames,
    Graph,
    Live,
    LiveError,
    NodeError,
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
from dspgraph.live.device import DeviceFormat, DeviceRequest
from dspgraph.live.engine import Engine
from dspgraph.live.events import time_of
from dspgraph.testing.devices import FakeDevice
from dspgraph_nodes.mix.fade import Fade
from helpers.commands import dspgraph
from helpers.speech import speech
from helpers.toys import ToyFailing, ToyLate, ToyScale, ToySum

RATE = 16000
X = (0.4 * speech(40000)[8000:]).astype(np.float32)
AUDIO = Audio(RATE)

PIPELINE = """
inputs:
  speech: {audio: 16000}
  music: {audio: 16000}
  volume: {control: 0.5}
nodes:
  echo:  {node: delay, x: speech, samples: 400}
  voice: {node: fade, x: echo, gain: volume}
  out:   {node: mix, x: [voice, music]}
outputs: {y: out}
variants:
  echo:
    long: {node: delay, x: speech, samples: 4000}
"""


def scaled(factor: float, late: int = 37) -> Graph:
    nodes = {"late": ToyLate(samples=late), "scale": ToyScale(factor=factor)}
    return Graph(nodes, {"late.x": "x", "scale.x": "late"}, {"x": AUDIO}, {"y": "scale"})


def endless_of(x: Array) -> FakeDevice:
    return FakeDevice(x, threads=True, repeat=True)


def endless() -> FakeDevice:
    return endless_of(X)


def wait_for_error(live: Live) -> None:
    with live._changed:
        assert live._changed.wait_for(lambda: live.error is not None, 60)


def test_a_take_can_be_rendered_again_with_the_same_bytes(tmp_path: Path) -> None:
    """A take is the recording of a live graph; it is rendered again by `perform` and by the command `render`.

    It has two swaps at nearly the same time, a third one, a control that moves, and a sound with a seek. `render`
    refuses it for another graph.
    """
    pipeline, take = tmp_path / "mine.yaml", tmp_path / "take"
    pipeline.write_text(PIPELINE)
    soundfile.write(tmp_path / "music.wav", 0.3 * speech()[:8000], RATE, "DOUBLE")
    graph, other = load(pipeline), load(pipeline, swap={"echo": "long"})
    controls, music = {"volume": 0.5}, FileInput(tmp_path / "music.wav", start="0.1", loops=None)
    with Live(graph, controls=controls, played=["music"], record=take, device=endless(), latency="0.01") as live:
        assert live.quantum == Fraction(1, 100)
        first = live.play("music", music)
        quick = [live.swap(other), live.swap(graph)]
        assert live.seek("music", "0.3").skip == 0.2 * RATE
        both = live.add(Set("volume", 1, 0.01), Swap(other))
        live.wait(0.2)
        stats = live.stats
    assert first.at is not None
    assert all(
        event.at is not None and Fraction(event.at).denominator in (1, 2, 4, 5, 10, 20, 25, 50, 100)
        for event in live.events
    )
    assert quick[0].at <= quick[1].at <= both[0].at == both[1].at  # type: ignore[operator]
    assert stats.silent == stats.lost == 0
    assert live.stats.seconds >= stats.seconds > 0.2
    heard, out = (soundfile.read(take / name, dtype="float32")[0] for name in ("speech.wav", "out.wav"))
    y = perform(graph, {"speech": heard}, live.events, controls, live.setup.latency, played=["music"])["y"]
    assert_array_equal(y.astype(np.float32), out)
    again = tmp_path / "again"
    done = dspgraph("render", pipeline, take / "speech.wav", "--events", take / "events.jsonl", "-o", again, "--format", "wav")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (again / "speech.wav").read_bytes() == (take / "out.wav").read_bytes()
    assert json.loads((take / "stats.json").read_text())["silent"] == 0
    # With another graph the samples would be others.
    done = dspgraph("render", pipeline, take / "speech.wav", "--events", take / "events.jsonl", "-o", again, "--set", "echo.samples=3")  # fmt: skip
    assert done.exit_code == 2
    assert "was recorded with" in done.output


@pytest.mark.parametrize("kind", [np.int16, np.complex128, bool])
def test_samples_that_are_no_floats_are_refused(kind: type) -> None:
    """Integers would be taken for samples of up to 32768 times full scale."""
    with Live(scaled(1), x=FrameInput(), out=FrameOutput()) as live, pytest.raises(SignalError):
        live.push(x=np.zeros(100, kind))


def test_a_program_pushes_and_pulls_and_there_is_no_error_for_too_much() -> None:
    graph = Graph({"sum": ToySum()}, {"sum.x": ["a", "b"]}, {"a": AUDIO, "b": AUDIO}, {"y": "sum"})
    frames = FrameInput(Fraction(1, 10))
    with Live(graph, a=frames, b=frames, out=FrameOutput()) as live:
        assert live.wanted("a") == 1600
        live.push(b=X[:800])
        assert live.wanted("b") == 800
        pusher = threading.Thread(target=lambda: live.push(a=X[:8000]))
        pusher.start()
        live.push(b=X[800:8000])
        pusher.join()
        in_time(lambda: live.push(a=X[8000:16000], b=X[8000:16000]))  # both are longer than the limit
        y = live.pull("y", 16000, timeout=60)
        assert_array_equal(y, 2 * X[:16000].astype(float))
        assert len(live.pull("y")) == 0
        with pytest.raises(RequestError, match="'y' takes no items|no input 'y'"):
            live.push(y=X)
        with pytest.raises(RequestError, match="cannot be pulled"):
            live.pull("a")
    with pytest.raises(LiveError, match="has ended"):
        live.push(a=X)


@pytest.mark.slow
def test_nothing_is_dropped_without_a_device_however_late_it_is_pulled(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", X, RATE, "DOUBLE")
    with Live(scaled(1, late=1), x=FileInput(tmp_path / "a.wav"), out=FrameOutput(Fraction(1, 10))) as live:
        with pytest.raises(RequestError, match=r"'y' keeps 1600 items, 0\.1 s; found 1601"):
            live.pull("y", 1601)
        y = np.concatenate([live.pull("y", 1600, timeout=60) for _ in range(10)])
    assert_array_equal(y, np.concatenate((np.zeros(1), X[:15999])))


def test_wait_for_sounds_returns_when_none_is_left(tmp_path: Path) -> None:
    """`wait` returns when the sound has ended by itself or by `stop`.

    If another sound has replaced it, `wait` returns when the other sound has ended. A sound that is to begin later has
    not ended: `wait` returns after its timeout.
    """
    soundfile.write(tmp_path / "a.wav", X[:160], RATE, "DOUBLE")
    inputs = {"x": AUDIO, "music": AUDIO}
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "music"]}, inputs, {"y": "sum"})
    with Live(graph, music=FileInput(tmp_path / "a.wav"), out=None, device=endless()) as live:
        in_time(lambda: live.wait(completed="music"))
        in_time(lambda: live.wait(completed="music"))  # it has ended already
        first = live.play("music", X, None)
        live.stop("music")
        in_time(lambda: live.wait(completed="music"))
        live.play("music", X, None)
        last = live.play("music", X[:8000])
        in_time(lambda: live.wait(60, completed="music"))
        assert live.stats.seconds >= float(time_of(last) + Fraction(8000, RATE))
        assert first.at is not None
        assert [name for name, _ in live.completed] == ["music"] * 4
        live.play("music", X, at=10**6)
        with pytest.raises(UnknownName, match="no input 'speech'"):
            live.wait(completed="speech")
        live.stop("music")  # is before the sound, which therefore is still to come
        before = len(live.completed)
        live.wait(0.01, completed="music")
        assert len(live.completed) == before


def in_time(work: Any) -> None:
    """Run a function; fail if it takes more than 15 s. Raises the exception of the function."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(15)
    assert not thread.is_alive(), "it hangs"
    if raised:
        raise raised[0]


@pytest.mark.slow
def test_an_error_raises_in_a_push_that_waits_and_in_every_later_one() -> None:
    x = np.full(16000, 0.5)
    x[100] = 2000
    graph = Graph({"n": ToyFailing()}, {"n.x": "x"}, {"x": AUDIO}, {"y": "n"})
    live = Live(graph, x=FrameInput(), out=FrameOutput())

    def run() -> None:
        with live:
            for _ in range(2):
                with pytest.raises(NodeError, match="failed in the block that ends at"):
                    in_time(lambda: live.push(x=x))

    with pytest.raises(NodeError):
        run()


@pytest.mark.slow
def test_a_pull_that_waits_ends_with_the_device() -> None:
    with Live(scaled(1), out=FrameOutput(), device=FakeDevice(X, threads=True)) as live:
        in_time(lambda: live.pull("y", len(X) + 1))
        assert live.ended


@pytest.mark.slow
def test_a_sound_that_is_refused_leaves_the_file_that_is_played(tmp_path: Path) -> None:
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", X[: 16000 if name == "a" else 160], RATE, "DOUBLE")
    with Live(scaled(1), x=FileInput(tmp_path / "a.wav", loops=None), out=None, device=endless()) as live:
        live.wait(0.1)
        with pytest.raises(SessionError, match="the signal has reached"):
            live.play("x", FileInput(tmp_path / "b.wav"), at=0)
        with pytest.raises(SessionError, match="the signal has reached"):
            live.play("x", X, at=0)
        assert live.seek("x", "0.5").skip == 8000
        live.add(Play("x", X[:160]))
        with pytest.raises(RequestError, match="no file is played"):
            live.seek("x", 0)


def test_seek_concerns_the_file_that_is_playing(tmp_path: Path) -> None:
    """Sounds that are planned for later do not count; seeking is refused after a stop, the end, or another sound."""
    soundfile.write(tmp_path / "a.wav", X[:16000], RATE, "FLOAT")
    soundfile.write(tmp_path / "b.wav", X[:8000], RATE, "FLOAT")
    a, b = (FileInput(tmp_path / name, loops=loops) for name, loops in (("a.wav", None), ("b.wav", 1)))
    graph = Graph({"sum": ToySum()}, {"sum.x": ["x", "y", "p"]}, dict.fromkeys("xyp", AUDIO), {"z": "sum"})

    def run(items: int) -> None:
        live.push(p=np.zeros(items))
        assert len(live.pull("z", items, 60)) == items

    begin = [Play("y", X[:160], None, at="0.3")]
    with Live(graph, x=a, y=b, p=FrameInput(), out={"z": FrameOutput()}, events=begin) as live:
        live.play("x", X[:160], at=100)
        live.play("x", b, at=200)
        live.stop("x", at=50)
        assert live.seek("x", "0.75").skip == 12000  # b has no 0.75 s
        assert live.seek("y", "0.25").skip == 4000
        run(6400)
        with pytest.raises(RequestError, match="no file is played into 'y'"):
            live.seek("y", 0)
        live.play("y", b)
        run(7840)
        assert live.seek("y", "0.25").at == Fraction(14240, RATE)
        run(4000)
        with pytest.raises(RequestError, match=r"b\.wav has ended in 'y': play it again"):
            live.seek("y", 0)
        assert len(live.seek("x", "0.75").sound) == 16000
        live.stop("x")
        with pytest.raises(RequestError, match="no file is played into 'x'"):
            live.seek("x", 0)


@pytest.mark.slow
def test_an_error_of_a_node_is_raised_by_wait_with_its_time(tmp_path: Path) -> None:
    x = np.full(16000, 0.5)
    x[4800] = 2000
    graph = Graph({"n": ToyFailing()}, {"n.x": "x"}, {"x": AUDIO}, {"y": "n"})
    with Live(graph, device=endless_of(x), record=tmp_path / "take") as live:
        with pytest.raises(NodeError, match=r"failed in the block that ends at 0\.310 s"):
            live.wait(60)
        with pytest.raises(LiveError, match="has stopped after an error"):
            live.set("c", 1)
    assert len(soundfile.read(tmp_path / "take" / "out.wav")[0]) == 4800
    with pytest.raises(NodeError), Live(graph, device=endless_of(x)) as live:  # the end of `with` raises it
        wait_for_error(live)


@pytest.mark.slow
def test_what_is_refused_leaves_the_graph_running() -> None:
    with Live(scaled(1), device=endless()) as live:
        with pytest.raises(UnknownName, match="no control 'volume'"):
            live.set("volume", 1)
        with pytest.raises(RequestError, match="begin it with latency="):
            live.swap(scaled(1, late=400))
        with pytest.raises(RequestError, match="no file is played"):
            live.seek("x", 0)
        live.swap(scaled(2))
        assert len(live.events) == 1


@pytest.mark.slow
def test_a_file_is_played_from_start_to_end_and_its_end_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", X[:8000], RATE, "DOUBLE")
    file = FileInput(tmp_path / "a.wav", start="0.1", end="0.2", loops=2)
    with Live(scaled(1), x=file, out=None, device=endless(), record=tmp_path / "take") as live:
        live.wait(60, completed="x")
        assert live.completed == [("x", Fraction(1, 5))]
        live.play("x", np.zeros(160))
        live.wait(60, completed="x")  # the graph is 37 samples late
    out, _ = soundfile.read(tmp_path / "take" / "out.wav", dtype="float32")
    assert_array_equal(out[37:3237], np.tile(X[1600:3200], 2))
    assert not out[3237:].any()


@pytest.mark.parametrize("writes", [True, False])
def test_a_process_is_not_killed_while_it_completes_its_recording(
    writes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that reports every 10 s that it writes may take 100 s; one that reports nothing is killed after 30 s.

    The clock is advanced only by `join`. writes: whether the process reports that it writes.
    """
    live, now, killed = Live(scaled(1), device=endless()), [0.0], [False]

    def join(seconds: float) -> None:
        now[0] += seconds
        live._closed = True
        if writes and now[0] % 10 == 0:
            live._take("writing")

    process = SimpleNamespace(
        is_alive=lambda: now[0] < 100 and not killed[0], join=join, kill=lambda: killed.__setitem__(0, True)
    )
    monkeypatch.setattr("dspgraph.live.live.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(live, "_process", process)
    monkeypatch.setattr(live, "_pipe", SimpleNamespace(send=lambda _: None, close=lambda: None))
    live._stop()
    assert (killed[0], now[0]) == ((False, 100) if writes else (True, 30))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_is_an_error(number: signal.Signals, tmp_path: Path) -> None:
    with Live(scaled(1), device=endless(), record=tmp_path / "take") as live:
        assert live._process is not None
        assert live._process.pid is not None
        live.wait(0.2)
        os.kill(live._process.pid, number)
        with pytest.raises(LiveError, match=r"has died|ended by SIGTERM"):
            live.wait(60)
    # Ended in good order, the recording is whole; killed, there is none with its name.
    names = {path.name for path in (tmp_path / "take").iterdir()}
    assert ("out.wav" in names) == (number == signal.SIGTERM)


def test_a_file_has_a_part_a_position_and_a_speed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), RATE, "DOUBLE")
    file = FileInput(tmp_path / "a.wav", start="0.25", end="0.75", speed=2)
    sound = file.sound(AUDIO)
    assert len(sound) == RATE // 4
    crossings = np.count_nonzero(np.diff(np.signbit(sound)))
    assert crossings == pytest.approx(2 * 880 / 4, abs=2)  # an octave higher
    event = file.event("x", AUDIO, position="0.5", at=0)
    assert event.skip == RATE // 8
    for wrong in ("0.2", "0.75"):
        with pytest.raises(RequestError, match=r"is played from 0.25 s to 0.75 s; found the position"):
            file.event("x", AUDIO, position=wrong)
    with pytest.raises(SignalError, match="the part from 2 s"):
        FileInput(tmp_path / "a.wav", start=2).sound(AUDIO)
    with pytest.raises(SignalError, match="begins at 0 or later, and before its end"):
        FileInput(tmp_path / "a.wav", start=1, end=1).sound(AUDIO)
    with pytest.raises(RequestError, match=r"FileInput.speed is above 0"):
        FileInput(tmp_path / "a.wav", speed=0)


SCRIPT = """
import os, signal
from dspgraph import Audio, FrameInput, FrameOutput, Graph, Live

def run():
    with Live(Graph({}, {}, {"x": Audio(16000)}, {"y": "x"}), x=FrameInput(), out=FrameOutput()) as live:
        print("runs", signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def run_script(path: Path, lines: str) -> subprocess.CompletedProcess[str]:
    path.write_text(SCRIPT + lines)
    return subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=100, check=False)


class Hangs(FakeDevice):
    """A device that hangs when it opens or, if `dies` is given, when it starts."""

    def open(self, request: DeviceRequest) -> DeviceFormat:
        if self.dies is None:
            time.sleep(1000)
        return super().open(request)

    def run(self, engine: Engine, stop: threading.Event) -> None:
        time.sleep(1000)


@pytest.mark.parametrize("dies", [None, 0])
def test_a_device_that_hangs_as_it_opens_or_starts_is_an_error(
    dies: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dspgraph.live.live._OPEN", 0.5)
    live = Live(scaled(1), device=Hangs(X, dies=dies), record=tmp_path / "take")
    with pytest.raises(LiveError, match=r"has not opened within 0.5 s: is another program using it"):
        in_time(live.__enter__)
    assert live._process is not None
    assert not live._process.is_alive()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no masks of signals")
def test_ctrl_c_while_the_process_starts_does_not_end_it(tmp_path: Path) -> None:
    """A signal that comes while the process imports the script has no effect, and nothing prints a traceback.

    The script itself does not block the signal afterwards.
    """
    interrupt = 'if __name__ == "__mp_main__":\n    os.kill(os.getpid(), signal.SIGINT)\n'
    done = run_script(tmp_path / "script.py", interrupt + 'if __name__ == "__main__":\n    run()\n')
    assert (done.returncode, done.stdout, done.stderr) == (0, "runs False\n", "")


@pytest.mark.slow
def test_a_script_without_a_main_part_is_told_what_to_do(tmp_path: Path) -> None:
    done = run_script(tmp_path / "script.py", "run()\n")
    assert done.returncode == 1
    assert "in a script, start the graph below `if __name__ == '__main__':`" in done.stderr


def refusals() -> list[tuple[Any, str]]:
    control = Frames(100, "control", 1)
    faded = Graph({"n": Fade()}, {"n.x": "x", "n.gain": "c"}, {"x": AUDIO, "c": control}, {"y": "n"})
    two = Graph({"n": ToyScale()}, {"n.x": "x"}, {"x": AUDIO}, {"y": "n", "z": "x"})
    return [
        (lambda: Live(scaled(1), ahead=0), "ahead is a number of quanta from 1 to 1000; found 0"),
        (lambda: Live(scaled(1), quantum=2), "a quantum lasts more than 0 and at most 1 s; found 2"),
        (lambda: Live(scaled(1), speech="mic"), "no input 'speech'"),
        (lambda: Live(faded, c="mic"), "'c' is a control: move it with set"),
        (lambda: Live(scaled(1), x="mic", events=[Stop("x", at=0)]), "no sound is played into it"),
        (lambda: Live(two), r"say where each goes, as in out=\{'y': 'default:1'\}"),
        (lambda: Live(two, out={"w": "default"}), "no output 'w'"),
        (lambda: Live(scaled(1), x="mic:0"), "channels of a device are counted from 1"),
        (lambda: Live(scaled(1), events=[Play("y", X, at=0)]), "no input 'y'"),
        (lambda: Live(scaled(1), {"x": "mic"}, x="mic"), "the input 'x' is given twice"),
        (lambda: Live(scaled(1), record="t", events=[Swap(scaled(2), at=1)]), "was not loaded from a pipeline file"),
        (lambda: Live(scaled(1)).set("c", 1), "the graph does not run"),
        (lambda: Live(scaled(1)).quantum, "the device is not open"),
    ]


@pytest.mark.parametrize(("call", "message"), refusals(), ids=[str(k) for k in range(len(refusals()))])
def test_what_does_not_fit_is_refused_before_a_process_starts(call: Any, message: str) -> None:
    with pytest.raises((RequestError, UnknownName), match=message):
        call()
