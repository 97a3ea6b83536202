"""Rendering of a recording with a file of events."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dspgraph import FileError, Live, Play, RequestError, Set, Stop, Swap, load, perform
from dspgraph.live.events import Event
from dspgraph.rendering.performing import EventFile, render_events
from dspgraph.testing.devices import FakeDevice
from helpers.commands import dspgraph
from helpers.speech import speech

RATE = 16000
PIPELINE = """
inputs:
  speech: {audio: 16000}
  music: {audio: 16000}
  volume: {control: 0.5}
  echo_on: {control: 0}
nodes:
  echo:  {node: delay, x: speech, samples: 400}
  heard: {node: blend, dry: speech, wet: echo, position: echo_on}
  voice: {node: fade, x: heard, gain: volume}
  out:   {node: mix, x: [voice, music]}
outputs: {y: out}
variants:
  echo:
    long: {node: delay, x: speech, samples: 4000}
"""
LINES: list[dict[str, Any]] = [
    {"at": 0.1, "set": "volume", "value": 1, "over": 0.1},
    {"at": "1/5", "set": "echo_on", "value": 1},
    {"at": 0.4, "swap": {"echo": "long"}, "settle": 0.3},
    {"at": 0.5, "play": "music", "file": "music.wav", "loops": 2},
    {"at": 0.8, "stop": "music"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(PIPELINE)
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, LINES)) + "\n\n")
    soundfile.write(tmp_path / "a.wav", speech()[8000:24000], RATE, "DOUBLE")
    soundfile.write(tmp_path / "music.wav", speech()[:3000], RATE, "DOUBLE")
    return tmp_path


def test_the_file_has_the_samples_of_the_performance(folder: Path) -> None:
    graph, other = load(folder / "mine.yaml"), load(folder / "mine.yaml", swap={"echo": "long"})
    music = speech()[:3000]
    events: list[Event] = [
        Set("volume", 1, 0.1, at=0.1), Set("echo_on", 1, at=0.2), Swap(other, 0.3, at=0.4),
        Play("music", music, 2, at=0.5), Stop("music", 0.8),
    ]  # fmt: skip
    expected = perform(graph, {"speech": speech()[8000:24000]}, events, {"volume": 0.5, "echo_on": 0.0})["y"]
    done = dspgraph(
        "render", folder / "mine.yaml", folder / "a.wav", "--events", folder / "events.jsonl", "-o", folder / "out",
        "--format", "wav",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.output == f"{folder / 'out' / 'a.wav'}\n"
    found, rate = soundfile.read(folder / "out" / "a.wav")
    assert rate == RATE
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_the_latency_is_that_of_the_slowest_variant(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech()[8000:20000], RATE)
    (tmp_path / "e.jsonl").write_text('{"at": 0.3, "swap": {"excitation": "pulse_noise"}}\n')
    events = EventFile(tmp_path / "e.jsonl", "lpc_vocoder", (), {"excitation": "residual"}, (), [tmp_path / "a.wav"])
    (path,) = render_events(events, tmp_path, ".flac")
    first, _ = soundfile.read(path)
    late = int(np.ceil(float(load("lpc_vocoder").latency().seconds) * RATE))
    assert not first[:late].any()
    assert first[late + 100 : late + 4000].any()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"at": 0.1, "set": "volmue", "value": 1}',
            "line 1: the graph has no control 'volmue'; did you mean 'volume'",
        ),
        ('{"at": 0.1, "set": "volume", "value": -1, "shape": "exponential"}', "line 1: the control 'volume' is 0.5"),
        ('{"at": 0.1, "stop": "musik"}', "line 1: the graph has no input 'musik'"),
        ('{"at": 0.1, "stop": "volume"}', "line 1: 'volume' is a control"),
        ("nothing", "line 1: it is no JSON: Expecting value"),
        ('{"set": "volume", "value": 1}', "line 1: an event is a mapping with 'at' and one of set, swap, play, stop"),
        ('{"at": 1, "set": "volume", "valeu": 1}', "line 1: 'valeu' is no key of the event 'set'"),
        ('{"at": 1, "swap": {"echo": "short"}}', "line 1: .*no variant"),
        ('{"at": 1, "play": "volume", "file": "music.wav"}', "line 1: 'play' names an audio input"),
        ('{"at": 1, "set": "volume", "value": "loud"}', "line 1: Set.value is a number"),
        ('{"at": 1, "set": "volume", "value": 1e400}', "line 1: Set.value is a number"),
        ('{"at": 1, "set": "volume"}', "line 1: the event 'set' has no 'value'"),
        ('{"at": 1, "play": "music"}', "line 1: the event 'play' has no 'file'"),
        ('{"at": 1, "set": 5, "value": 1}', "line 1: 'set' is a name; found 5"),
        ('{"at": null, "stop": "music"}', "line 1: 'at' is a time in seconds; found None"),
        ('{"at": 1, "swap": {"echo": 5}}', "line 1: 'swap' is a mapping, slot to variant"),
        ('{"at": 1, "swap": {}, "overrides": 5}', r"line 1: 'overrides' is a list of texts, as in \["),
        ('{"at": 1, "swap": {}, "overrides": "seed=3"}', r"line 1: 'overrides' is a list of texts, as in \["),
        ('{"at": 1, "set": "volume", "value": ' + "1" * 5000 + "}", "line 1: a number has too many digits"),
        ("[" * 100_000, "line 1: it is nested too deeply"),
    ],
    ids=lambda text: text[:60],
)
def test_a_line_that_cannot_be_understood_is_named(folder: Path, line: str, message: str) -> None:
    (folder / "events.jsonl").write_text(line)
    events = EventFile(folder / "events.jsonl", folder / "mine.yaml", (), {}, (), [folder / "a.wav"])
    with pytest.raises(FileError, match=message):
        render_events(events, folder / "out", ".flac")


def test_what_cannot_be_rendered_with_events_is_refused(folder: Path) -> None:
    events = EventFile(folder / "events.jsonl", folder / "mine.yaml", (), {}, (), [folder / "a.wav"])
    render_events(events, folder / "out", ".flac")
    with pytest.raises(RequestError, match=r"is there already: give another folder, or --overwrite"):
        render_events(events, folder / "out", ".flac")
    render_events(events, folder / "out", ".flac", overwrite=True)
    (folder / "none.jsonl").write_text("")
    with pytest.raises(RequestError, match="events are for audio outputs; found f0"):
        render_events(EventFile(folder / "none.jsonl", "f0", (), {}, (), [folder / "a.wav"]), folder / "out", ".flac")
    frames = "inputs: {m: {frames: mel, rate: 100, width: 4}}\nnodes: {s: {node: log, x: m}}\noutputs: {y: s}\n"
    (folder / "frames.yaml").write_text(frames)
    with pytest.raises(
        RequestError, match="events are for a pipeline with recorded audio inputs .* found .*a.wav for m"
    ):
        render_events(
            EventFile(folder / "none.jsonl", folder / "frames.yaml", (), {}, (), [folder / "a.wav"]),
            folder / "x",
            ".flac",
        )
    for more in (["--jobs", 2], ["--batch", 2], ["--executor", "serial"], ["--timeout", 9]):
        files = [folder / "mine.yaml", folder / "a.wav", "--events", folder / "none.jsonl", "-o", folder / "more"]
        done = dspgraph("render", *files, *more)
        assert done.exit_code == 2, done.output
        assert f"found {more[0]}" in " ".join(done.output.split())
    two = dspgraph("render", "lpc_vocoder", "a.wav", "b.wav", "--events", folder / "none.jsonl", "-o", folder)
    assert two.exit_code == 2
    assert "found a.wav, b.wav for speech: give speech=FILE" in " ".join(two.output.split())


@pytest.mark.parametrize("replaced", ["a.wav", "music.wav", "events.wav"])
def test_no_file_that_is_read_is_overwritten(folder: Path, replaced: str) -> None:
    recording, name = folder / "a.wav", folder / "events.jsonl"
    if replaced == "events.wav":
        name = name.rename(folder / "events.wav")
    if replaced != "a.wav":
        (folder / "in").mkdir()
        recording = recording.rename(folder / "in" / replaced)
    before = (folder / replaced).read_bytes()
    events = EventFile(name, folder / "mine.yaml", (), {}, (), [recording])
    with pytest.raises(RequestError, match=f"{replaced} would overwrite an input file"):
        render_events(events, folder, ".wav", overwrite=True)
    assert (folder / replaced).read_bytes() == before


def test_a_pipeline_with_controls_is_rendered_with_events(folder: Path) -> None:
    (folder / "one.yaml").write_text(
        PIPELINE.replace("  music: {audio: 16000}\n", "").replace("[voice, music]", "voice")
    )
    for files in (["a.wav"], ["speech=a.wav"]):
        done = dspgraph("render", folder / "one.yaml", *files, "-o", folder / "out")
        assert done.exit_code == 2, done.output
        assert "'volume' is a control: give --events FILE, which may be empty" in " ".join(done.output.split())
    (folder / "none.jsonl").write_text("")
    done = dspgraph(
        "render", folder / "one.yaml", folder / "a.wav", "--events", folder / "none.jsonl", "-o", folder / "out"
    )
    assert done.exit_code == 0, done.output


TWO = """
inputs:
  voice: {audio: 16000}
  guitar: {audio: 8000}
  volume: {control: 1.0}
nodes:
  up:    {node: resample, x: guitar, rate: 16000}
  soft:  {node: fade, x: voice, gain: volume}
  out:   {node: mix, x: [soft, up]}
outputs: {y: out, soft: soft}
"""


def test_a_take_with_two_recorded_inputs_is_rendered_again(tmp_path: Path) -> None:
    """A take (the recording of a live graph) with two inputs of different rates is rendered to the recorded bytes.

    The inputs come from two channels of one device. An empty line at the head of the file of events changes nothing.
    `render` refuses an input without a file, a file without the name of its input, and a file for a control.
    """
    (tmp_path / "two.yaml").write_text(TWO)
    x = (0.4 * np.stack((speech()[:40000], speech()[8000:48000]), axis=1)).astype(np.float32)
    graph, take = load(tmp_path / "two.yaml"), tmp_path / "take"
    ins, outs = {"voice": "fake:1", "guitar": "fake:2"}, {"y": "fake:1", "soft": "fake:1"}
    move, device = Set("volume", 0.2, 0.3, at="0.7"), FakeDevice(x)
    with Live(graph, ins, out=outs, device=device, controls={"volume": 1.0}, events=[move], record=take) as live:
        live.wait()
    (take / "events.jsonl").write_text("\n" + (take / "events.jsonl").read_text())
    named = [f"{name}={take / name}.wav" for name in ("guitar", "voice")]
    events = ["--events", take / "events.jsonl", "--format", "wav", "-o", tmp_path / "again"]
    done = dspgraph("render", tmp_path / "two.yaml", *named, *events)
    assert done.exit_code == 0, done.output
    for name in ("y", "soft"):
        again = tmp_path / "again" / f"voice.{name}.wav"
        assert again.read_bytes() == (take / f"out_{name}.wav").read_bytes()
    assert "note" not in done.output
    for files, message in (
        (named[:1], "the input 'voice' has no file: write voice=FILE too"),
        ([take / "voice.wav"], "voice.wav for voice, guitar: give voice=FILE guitar=FILE"),
        ([*named, "volume=a.wav"], "'volume' is a control, or sounds are played into it: it takes no file"),
    ):
        done = dspgraph("render", tmp_path / "two.yaml", *files, *events, "--overwrite")
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())


def test_the_path_of_a_pipeline_in_an_event_is_relative_to_the_file_of_events(folder: Path) -> None:
    """The path begins in the folder of the file of events, even if the first pipeline has the same file name."""
    (folder / "other").mkdir()
    (folder / "other" / "mine.yaml").write_text(PIPELINE.replace("samples: 400", "samples: 800"))
    (folder / "events.jsonl").write_text(
        json.dumps({"at": 0.4, "swap": {}, "pipeline": "other/mine.yaml", "settle": 0.3}) + "\n"
    )
    read = EventFile(folder / "events.jsonl", folder / "mine.yaml", [], {}, [], [Path(f"speech={folder / 'a.wav'}")])
    (swap,) = read.events()
    assert isinstance(swap, Swap)
    assert swap.graph.digest == load(folder / "other" / "mine.yaml").digest
