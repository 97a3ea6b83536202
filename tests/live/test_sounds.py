"""Long files, which are read while they are played: the same samples as their arrays, in bounded memory."""

import gc
import pickle
import threading
import time
import tracemalloc
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import (
    Array,
    Audio,
    FileError,
    FileInput,
    Graph,
    Live,
    LiveError,
    ParameterError,
    Performance,
    Play,
    Set,
    Stop,
    load,
    perform,
)  # fmt: skip
from dspgraph.io.decoding import Decoder
from dspgraph.live import sounds
from dspgraph.live.engine import Engine, Setup
from dspgraph.live.events import Event
from dspgraph.live.ports import DevicePort
from dspgraph.live.process import Control, device_request
from dspgraph.live.recorder import Recorder
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


@pytest.mark.parametrize(
    ("rate", "channels", "speed"), [(16000, 1, "1"), (48000, 2, "1"), (44100, 1, "1.1"), (8000, 1, "1.2345")]
)
def test_what_is_skipped_is_not_read_and_changes_no_sample(
    tmp_path: Path, rate: int, channels: int, speed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From four positions on, the samples are those of the whole, and at most 13 s of the file before them are decoded.

    The whole agrees to 3e-7 with the file that is resampled at once.
    """
    noise = 0.1 * np.random.default_rng(0).standard_normal((33 * rate, channels))
    soundfile.write(tmp_path / "a.wav", noise, rate, "FLOAT")
    sound = FileSound(tmp_path / "a.wav", Audio(RATE, channels), Fraction(1, 3), None, Fraction(speed), rounds=False)
    whole = sound.read()
    assert len(whole) == len(sound)
    # The other way is to resample the whole file at once: soxr computes in float32, about 1e-7 of 0.5.
    np.testing.assert_allclose(whole, sound._source().read(), rtol=0, atol=3e-7)
    read: list[int] = []
    blocks = Decoder.blocks

    def counted(self: Decoder, first: int, length: int, rows: int) -> Iterator[Array]:
        for block in blocks(self, first, length, rows):
            read.append(len(block))
            yield block

    monkeypatch.setattr(Decoder, "blocks", counted)
    for skip in (1, len(sound) // 3, 2 * len(sound) // 3 + 7, len(sound) - 1):
        read.clear()
        assert_array_equal(np.concatenate([*sound.blocks(skip)]), whole[skip:])
        assert sum(read) <= (len(sound) - skip) / RATE * float(speed) * rate + 13 * rate


def test_a_file_lies_ready_before_the_engine_gets_its_event(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file cannot be read yet, other requests are answered and quanta are computed.

    The engine gets the event as soon as the file is read ahead. An error of the file is only an answer to the request:
    the engine goes on.
    """
    monkeypatch.setattr(sounds, "READ_WHOLE", 1)
    held, opened, passes = threading.Event(), threading.Event(), FileSound.passes

    def slow(self: FileSound, loops: int | None, skip: int) -> Iterator[Array]:
        opened.set()
        assert held.wait(60)
        yield from passes(self, loops, skip)

    monkeypatch.setattr(FileSound, "passes", slow)
    setup = Setup(mixing(), {"x": DevicePort()}, {"y": DevicePort()}, Fraction(1, 100), 2, Fraction(0), {}, ("music",))
    device = FakeDevice(X[:16000])
    engine = Engine(setup, device.open(device_request(setup)), lambda *_: None)
    control, answers = Control(engine, None), SimpleQueue[Any]()
    play = FileInput(file).event("music", AUDIO)
    control._do("events", [(play,), ({},)], answers.put)
    assert opened.wait(60)
    control._do("events", [(Stop("music"),), ({},)], answers.put)
    device.run(engine, threading.Event())
    assert answers.get(timeout=60) == [0]
    assert engine.stats().silent == 0
    assert_array_equal(device.played[320:, 0], X[: len(device.played) - 320])
    assert answers.empty()
    held.set()
    ask = engine.asked.get(timeout=60)
    assert isinstance(ask.events[0], Play)
    assert isinstance(ask.events[0].sound, ReadAhead)
    soundfile.write(file, X[:38000], RATE, "FLOAT")
    control._do("events", [(play,), ({},)], answers.put)
    assert isinstance(answers.get(timeout=60), FileError)
    assert engine.error is None


def test_all_events_of_a_short_file_share_its_samples(file: Path) -> None:
    """An event that is sent to the process has no samples; in the process, all events of a file share one array.

    The position of an event, in seconds, becomes the number of samples that are skipped.
    """
    setup = Setup(mixing(), {"x": DevicePort()}, {"y": DevicePort()}, Fraction(1, 100), 2, Fraction(0), {}, ("music",))
    engine = Engine(setup, FakeDevice(X).open(device_request(setup)), lambda *_: None)
    control, found = Control(engine, None), list[Any]()
    for k in range(3):
        event = FileInput(file).event("music", AUDIO, position=Fraction(k, 2))
        assert len(pickle.dumps(event)) < 4000
        control._do("events", [(event,), ({},)], lambda _: None)
        found.append(engine.asked.get(timeout=60).events[0])
    assert [event.skip for event in found] == [0, 8000, 16000]
    assert_array_equal(found[0].sound, X[:37000])
    assert found[1].sound is found[0].sound
    assert found[2].sound is found[0].sound


def test_a_sound_that_was_played_keeps_no_blocks(file: Path) -> None:
    ahead = ReadAhead(FileSound(file, AUDIO), None, 0)
    kept = weakref.ref(ahead._ready[-1])
    forward = Forward(ahead.passes(None, 0))
    forward.take(100)
    del forward
    gc.collect()
    assert kept() is None
    assert not ahead._ready and ahead._queue.empty()


def test_a_file_that_is_gone_is_a_file_error(file: Path) -> None:
    sound = FileSound(file, AUDIO)
    file.unlink()
    with pytest.raises(FileError, match=r"a\.wav cannot be read any more: No such file"):
        sound.read()


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
    with pytest.raises(FileError, match="has changed"):
        ReadAhead(sound, 1, 0)


def test_a_file_is_copied_once_and_nobody_waits_for_the_copy(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Recorder.sound` returns before the file is read. Here, the file cannot be read before `close` waits for it.

    Of four sounds, three are the same part of the file: there are two copies. After `close`, a sound is refused.
    """
    held, blocks = threading.Event(), FileSound.blocks

    def slow(self: FileSound, skip: int = 0) -> Iterator[Array]:
        assert held.wait(20)
        yield from blocks(self, skip)

    monkeypatch.setattr(FileSound, "blocks", slow)
    monkeypatch.setattr("dspgraph.live.recorder._PULSE", 0.01)
    recorder = Recorder(tmp_path / "take", {}, {}, {"begin": None})
    half = FileSound(file, AUDIO, Fraction(1))
    given = [FileSound(file, AUDIO), FileSound(file, AUDIO), half, FileSound(file, AUDIO)]
    names = [recorder.sound("music", sound, AUDIO) for sound in given]
    assert names == [f"sounds/music_{k}.wav" for k in (1, 1, 2, 1)]
    for name in names:
        recorder.line({"play": "music", "file": name})
    recorder.close({}, held.set)
    whole, part = (soundfile.read(tmp_path / "take" / name, dtype="float32")[0] for name in names[1:3])
    assert_array_equal(whole, X[:37000])
    assert_array_equal(part, X[16000:37000])
    assert len([*(tmp_path / "take" / "sounds").iterdir()]) == 2
    with pytest.raises(LiveError, match="has ended"):
        recorder.sound("music", half, AUDIO)


def test_a_file_that_cannot_be_copied_stops_the_recording(file: Path, tmp_path: Path) -> None:
    sound = FileSound(file, AUDIO)
    soundfile.write(file, X[:38000], RATE, "FLOAT")
    recorder = Recorder(tmp_path / "take", {}, {}, {"begin": None})
    recorder.line({"play": "music", "file": recorder.sound("music", sound, AUDIO)})
    with pytest.raises(FileError, match="has changed"):
        recorder.close({})
    assert sorted(path.name for path in (tmp_path / "take").iterdir()) == ["events.jsonl", "stats.json"]


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
