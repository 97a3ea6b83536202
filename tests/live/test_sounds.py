"""Long files, which are read while they are played: the same samples as their arrays, in bounded memory."""

import threading
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import (
    Audio,
    FileError,
    FileInput,
    Graph,
    Live,
    ParameterError,
    Performance,
    Play,
    Set,
    Stop,
    load,
    perform,
)  # fmt: skip
from dspgraph.live import sounds
from dspgraph.live.events import Event
from dspgraph.live.sounds import FileSound, Forward, ReadAhead
from dspgraph.testing.devices import FakeDevice
from dspgraph.testing.performances import check_performance
from helpers.commands import dspgraph
from helpers.speech import speech
from helpers.toys import ToyScale, ToySum

RATE = 16000
AUDIO = Audio(RATE)
X = (0.4 * speech(40000)).astype(np.float32)


def mixing() -> Graph:
    inputs = {"x": AUDIO, "music": AUDIO}
    return Graph({"sum": ToySum()}, {"sum.x": ["x", "music"]}, inputs, {"y": "sum"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", X[:37000], RATE, "FLOAT")
    return tmp_path / "a.wav"


@pytest.mark.parametrize(("start", "duration", "speed"), [(0, None, 1), ("0.3", "1.1", 1), ("0.3", None, "1.5")])
@pytest.mark.parametrize(("loops", "skip"), [(1, 0), (3, 0), (2, 20001)])
def test_a_file_gives_the_samples_of_its_array(
    file: Path, start: object, duration: object, speed: object, loops: int, skip: int
) -> None:
    part = None if duration is None else Fraction(str(duration))
    sound = FileSound(file, AUDIO, Fraction(str(start)), part, Fraction(str(speed)))
    whole = np.asarray(sound)
    assert len(sound) == len(whole)
    if speed == 1:
        first = int(Fraction(str(start)) * RATE)
        assert_array_equal(whole, X[first : first + len(whole)])
    skip = min(skip, len(whole) - 1)
    assert_array_equal(np.concatenate([*sound.passes(loops, skip)]), np.tile(whole, loops)[skip:])
    ahead = ReadAhead(sound, loops, skip)
    forward = Forward(ahead.passes(loops, skip))
    found = np.concatenate([forward.take(n) for n in (1, 441, 7, loops * len(whole) - skip - 449)])
    assert_array_equal(found, np.tile(whole, loops)[skip:])


def test_a_performance_with_a_file_keeps_the_laws_and_is_that_with_its_array(file: Path) -> None:
    found = []
    for sound in (FileSound(file, AUDIO), np.asarray(FileSound(file, AUDIO))):
        events: list[Event] = [
            Play("music", sound, None, at="0.1", skip=300),
            Play("music", sound, 2, at="0.5"),
            Stop("music", at=1),
        ]
        found.append(check_performance(mixing(), {"x": X[:24000]}, events)["y"])
    assert_array_equal(found[0], found[1])


def test_a_long_file_is_played_live_and_renders_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "READ_WHOLE", 1)
    pipeline, take = tmp_path / "mine.yaml", tmp_path / "take"
    pipeline.write_text(
        "inputs: {x: {audio: 16000}, music: {audio: 16000}, volume: {control: 1.0}}\n"
        "nodes: {soft: {node: fade, x: music, gain: volume}, out: {node: mix, x: [x, soft]}}\noutputs: {y: out}\n"
    )
    source = FileInput(file, start=Fraction(1, 10), loops=2)
    assert isinstance(source.sound(AUDIO), FileSound)
    device, given = FakeDevice(np.tile(X, 3)), {"controls": {"volume": 1.0}, "events": [Set("volume", 0.2, 1, at=1)]}
    with Live(load(pipeline), music=source, device=device, record=take, **given) as live:  # type: ignore[arg-type]
        live.wait()
    x, out = (soundfile.read(take / name, dtype="float32")[0] for name in ("x.wav", "out.wav"))
    y = perform(load(pipeline), {"x": x}, live.events, {"volume": 1.0})["y"]
    assert_array_equal(y.astype(np.float32), out)
    assert_array_equal(soundfile.read(take / "sounds" / "music_1.wav", dtype="float32")[0], X[1600:37000])
    done = dspgraph("render", pipeline, take / "x.wav", "--events", take / "events.jsonl", "-o", tmp_path / "again", "--format", "wav")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again" / "x.wav").read_bytes() == (take / "out.wav").read_bytes()
    assert live.completed == [("music", Fraction(2 * 35400, RATE))]


def test_an_hour_is_played_in_the_memory_of_some_seconds(tmp_path: Path) -> None:
    rate = 8000
    stream = Audio(rate)
    with soundfile.SoundFile(tmp_path / "hour.wav", "w", rate, 1, "PCM_16") as out:
        for k in range(60):
            out.write(np.full(60 * rate, k / 100))
    graph = Graph({"scale": ToyScale(factor=1)}, {"scale.x": "x"}, {"x": stream}, {"y": "scale"})
    sound = FileInput(tmp_path / "hour.wav").sound(stream)
    assert len(sound) == 3600 * rate
    performance = Performance(graph, [Play("x", sound, at=0)])
    tracemalloc.start()
    last = [float(performance.advance(1)["y"][-1]) for _ in range(3600)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(np.round(last, 3), np.repeat(np.arange(60) / 100, 60))
    # A second has 64 kB as float64; the whole file would have 230 MB.
    assert peak < 4e6


def test_a_file_that_changes_is_not_played(file: Path) -> None:
    sound = FileSound(file, AUDIO)
    soundfile.write(file, X[:38000], RATE, "FLOAT")
    with pytest.raises(FileError, match="has changed since it was to be played: play it again"):
        sound.read()
    ahead = ReadAhead(sound, 1, 0)
    with pytest.raises(FileError, match="has changed"):
        next(ahead.passes(1, 0))


def test_a_file_for_another_stream_is_refused(file: Path) -> None:
    with pytest.raises(ParameterError, match="'music' is Audio.*; found a file for Audio"):
        perform(mixing(), {"x": X}, [Play("music", FileSound(file, Audio(8000)), at=0)])


@pytest.mark.parametrize("used", [False, True])
def test_the_thread_of_a_file_ends_with_its_sound(file: Path, used: bool) -> None:
    def threads() -> int:
        return sum(one.name == "file" for one in threading.enumerate())

    before = threads()
    ahead = ReadAhead(FileSound(file, AUDIO), None, 0)
    forward = Forward(ahead.passes(None, 0))
    if used:
        assert len(forward.take(200_000)) == 200_000
    assert threads() == before + 1
    del ahead, forward
    end = time.monotonic() + 20
    while threads() > before:
        assert time.monotonic() < end
        time.sleep(0.01)
