"""The commands `devices`, `live` and `play`, with a fake device in the place of the system's."""

import io
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import Audio, Graph, LiveError, RequestError
from dspgraph.cli.live_control import LiveSession, lines_of
from dspgraph.cli.live_view import View, run_view
from dspgraph.cli.main import main
from dspgraph.live import portaudio
from dspgraph.live.device import OUT, DeviceRequest, SecondFormat
from dspgraph.live.engine import Stats
from dspgraph.live.ports import DevicePort
from dspgraph.testing.devices import FakeDevice
from helpers.commands import dspgraph
from helpers.speech import speech

PIPELINE = """
inputs:
  speech: {audio: 16000}
  volume: {control: 0.5}
nodes:
  echo:  {node: delay, x: speech, samples: 40}
  out:   {node: fade, x: echo, gain: volume}
outputs: {y: out}
variants:
  echo:
    long: {node: delay, x: speech, samples: 4000}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice(0.5 * speech()[8000:40000], outputs=2, threads=True, repeat=True)
    monkeypatch.setattr("dspgraph.live.live.PortAudio", lambda: device)


def test_lines_are_commands_and_the_take_renders_again(pipeline: Path, fake: None, tmp_path: Path) -> None:
    lines = "swap echo=long\nset volume 1 over 0.01\n\nswap echo=none\nfoo\nset volume x\nquit\nswap echo=delay\n"
    take = tmp_path / "take"
    done = CliRunner().invoke(main, ["live", str(pipeline), "--in", "mic", "--out", "speakers", "--record", str(take)], lines)  # fmt: skip
    assert done.exit_code == 0, done.output
    said = done.stdout.splitlines()
    assert said[0] == "live: fake device; quantum 10 ms"
    assert said[1].endswith(" s: swap echo=long")
    assert said[2].endswith(" s: set volume 1")
    assert "no gap; a quantum of 10 ms took" in said[3]
    assert said[4] == str(take)
    assert "mine: 'echo' has no variant 'none'" in done.stderr
    assert "foo is no command; there are: swap SLOT=VARIANT" in done.stderr.replace("'", "")
    assert "'x' is not a number" in done.stderr
    assert "use headphones" in done.stderr
    again = dspgraph("render", pipeline, take / "speech.wav", "--events", take / "events.jsonl", "-o", tmp_path / "again", "--format", "wav")  # fmt: skip
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again" / "speech.wav").read_bytes() == (take / "out.wav").read_bytes()


@pytest.mark.slow
def test_a_time_ends_it_and_so_does_the_end_of_the_lines(pipeline: Path, fake: None) -> None:
    for more in (["--for", "0.2"], []):
        assert dspgraph("live", pipeline, *more).exit_code == 0


@pytest.mark.parametrize("name", ["quantum", "graph"])
def test_an_input_can_have_the_name_of_an_argument(name: str, fake: None, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"inputs: {{{name}: {{audio: 16000}}}}\nnodes: {{n: {{node: gain, x: {name}}}}}\noutputs: {{y: n}}\n"
    )
    soundfile.write(tmp_path / "a.wav", 0.3 * speech()[:800], 16000)
    for command in (["live", path, "--in", f"{name}=mic", "--for", "0.05"], ["play", tmp_path / "a.wav", path]):
        done = dspgraph(*command)
        assert done.exit_code == 0, done.output


def test_a_file_is_played_from_a_time_on_and_at_another_speed(fake: None, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.3 * speech()[:8000], 16000)
    done = dspgraph("play", tmp_path / "a.wav", "--from", "0.3", "--speed", "2")
    assert done.exit_code == 0, done.output
    assert float(done.stdout.split(" s,")[0]) >= 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--in", "a", "--in", "b"], "--in names 'speech' twice"),
        (["--in", "mic:0"], "channels of a device are counted from 1"),
        (["--ahead", "0"], "0 is not in the range"),
        (["--latency", "0.0001", "--swap", "echo=none"], "no variant 'none'"),
    ],
)
def test_live_refuses_options_that_do_not_fit(pipeline: Path, arguments: list[str], message: str) -> None:
    done = dspgraph("live", pipeline, *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_play_refuses_what_has_no_meaning(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech()[:800], 16000)
    assert "name one after FILE" in dspgraph("play", tmp_path / "a.wav", "--swap", "a=b").output
    assert "into one audio input; the pipeline has a, b" in dspgraph("play", tmp_path / "a.wav", _two(tmp_path)).output
    assert dspgraph("play", tmp_path / "none.wav").exit_code == 2


def _two(folder: Path) -> Path:
    (folder / "two.yaml").write_text(
        "inputs: {a: {audio: 8000}, b: {audio: 8000}}\nnodes: {n: {node: mix, x: [a, b]}}\noutputs: {y: n}\n"
    )
    return folder / "two.yaml"


# ---- devices --------------------------------------------------------------------------------------------------------

FOUND = [
    portaudio.Found(0, "Microphone USB", "ALSA", 1, 0, 44100.0, 0.01),
    portaudio.Found(1, "Speakers", "ALSA", 0, 2, 48000.0, 99999.0),
]


def test_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "list_devices", lambda: FOUND)
    lines = dspgraph("devices").output.splitlines()
    assert lines[1].split("  ")[1:] == ["0", "Microphone USB (ALSA)", "1 in, 0 out", "44100 Hz", "10 ms"]
    assert lines[2].endswith("48000 Hz  latency unknown")


def test_a_device_is_found_by_its_number_or_a_part_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "list_devices", lambda: FOUND)
    assert portaudio.find_device("usb", output=False) == FOUND[0]
    assert portaudio.find_device("1", output=True) == FOUND[1]
    with pytest.raises(LiveError, match=r"no device that plays is called 'usb'; there are: Speakers"):
        portaudio.find_device("usb", output=True)
    monkeypatch.setattr(portaudio, "list_devices", lambda: [FOUND[0], FOUND[0]])
    with pytest.raises(LiveError, match="give the number"):
        portaudio.find_device("usb", output=False)
    with pytest.raises(LiveError, match="no sound device plays"):
        portaudio.find_device("default", output=True)


NO_DEVICES = (  # in the place of the module, which needs PortAudio
    "import types; module = sys.modules['sounddevice'] = types.ModuleType('sounddevice'); "
    "module.query_devices = module.query_hostapis = lambda *_: []"
)
NO_PACKAGE = "sys.modules['sounddevice'] = None"


@pytest.mark.parametrize(
    ("before", "message"),
    [(NO_DEVICES, "there is no sound device: connect one"), (NO_PACKAGE, "pip install 'dspgraph[live]'")],
    ids=["device", "package"],
)
def test_without_a_device_or_the_package_devices_prints_one_line(before: str, message: str) -> None:
    code = f"import sys; {before}; from dspgraph.cli.main import main; main(['devices'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_live_without_a_device_says_so(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspgraph.live.live.PortAudio", NoSoundCard)
    done = dspgraph("live", pipeline, "--in", "usb")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "dspgraph: there is no sound device: connect one, or work without one (`dspgraph render`)\n"


class NoSoundCard:
    def open(self, request: Any) -> Any:
        raise LiveError(portaudio.NO_DEVICE)


def test_the_package_is_imported_without_sounddevice() -> None:
    code = "import dspgraph, sys; dspgraph.Live; assert 'sounddevice' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the view -------------------------------------------------------------------------------------------------------


class FakeLive:
    """A stand-in for a live graph: it computes nothing, and records what its methods are asked for in `asked`.

    `set` refuses a value above 1, and does not record it.
    """

    form = None
    ended = False
    stats = Stats(
        seconds=12.5, quantum=0.01, mean=0.001, worst=0.002, latency=0.04, silent=160, gaps=((1.0, 160),), lost=3,
        priority="normal", levels={"speech": 0.1, "out:y": 0.0, "out:z": 1.0},
    )  # fmt: skip

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def swap(self, graph: Any) -> Any:
        self.asked.append(graph)
        return type("Event", (), {"at": 1.5})

    def set(self, name: str, value: float, *over: str) -> Any:
        if value > 1:
            raise RequestError("too loud", "by far")
        self.asked.append((name, value, *over))
        return type("Event", (), {"at": 2})

    def wait(self, seconds: float) -> None:
        self.asked.append("wait")


def session(live: FakeLive) -> LiveSession:
    graph = Graph({}, {}, {"x": Audio(8000)}, {"y": "x"})
    variants: Any = [({}, graph), ({"echo": "long"}, graph)]
    return LiveSession(live, "mine", ((), {}, ()), {"volume": 0.5, "on": 0.0}, variants)  # type: ignore[arg-type]


def test_the_view_shows_levels_load_gaps_variants_and_controls() -> None:
    view = View(session(FakeLive()))
    lines = view.lines(FakeLive.stats, 90)
    assert lines[0] == "dspgraph live: mine"[:89] + "   "
    assert "load  10.0 %   worst 2.00 ms   gaps 1 (160 samples)   lost 3   normal" in lines[2]
    bars = {line.split()[0]: line.count("#") for line in lines if " dB" in line}
    assert bars == {"y": 0, "z": 60, "speech": 40}  # 60 dB are 60 letters; -20 dB
    assert " > 1  as it is in the file" in lines
    assert "   2  echo=long" in lines
    assert " > volume = 0.5" in lines
    assert max(map(len, view.lines(FakeLive.stats, 40))) == 39


def test_keys_choose_variants_and_move_controls() -> None:
    live = FakeLive()
    view = View(session(live))
    for key in "2+\t--9x":
        view.press(ord(key))
    assert live.asked[1:] == [("volume", 0.6), ("on", -0.1), ("on", -0.2)]
    assert view.session.swaps == {"echo": "long"}
    view.press(ord("1"))
    assert view.session.swaps == {}
    view.session.controls["on"] = 1
    view.press(ord("+"))
    assert view.said == "too loud"
    view.press(ord("q"))
    assert view.ended


def test_the_view_is_drawn_and_ends_with_the_key_q() -> None:
    class Screen(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.keys = [-1, ord("2"), ord("q")]

        def timeout(self, milliseconds: int) -> None: ...
        def erase(self) -> None: ...
        def refresh(self) -> None: ...
        def getmaxyx(self) -> tuple[int, int]:
            return 5, 60

        def addstr(self, row: int, column: int, text: str) -> None:
            assert row < 4 and len(text) < 60
            self.write(text)

        def getch(self) -> int:
            return self.keys.pop(0)

    live, screen = FakeLive(), Screen()
    run_view(screen, session(live), None)
    assert live.asked.count("wait") == 3
    assert "dspgraph live: mine" in screen.getvalue()


def test_lines_are_read_without_waiting() -> None:
    take, found = lines_of(io.StringIO("a\n\nb\n")), []
    while (line := take()) != "":
        if line is None:
            time.sleep(0.001)
        else:
            found.append(line)
    assert found == ["a", "b"]


@pytest.mark.parametrize(
    ("api", "outputs", "second"), [("ALSA", 0, True), ("JACK Audio Connection Kit", 0, False), ("ALSA", 2, False)]
)
def test_two_devices_have_two_clocks_but_not_those_of_one_server(
    monkeypatch: pytest.MonkeyPatch, api: str, outputs: int, second: bool
) -> None:
    """A microphone has a clock of its own, unless one JACK server or one device drives the loudspeakers too.

    The devices are a microphone of 44100 Hz and loudspeakers of 48000 Hz, or one device that does both. api: the
    interface of the devices; outputs: how many channels the microphone can also play; second: whether the recording
    device must have a clock of its own.
    """
    found = [replace(FOUND[0], api=api, outputs=outputs), replace(FOUND[1], api=api)]

    class Sounds:
        PortAudioError = RuntimeError

        def check_input_settings(self, number: int, channels: int, dtype: str, extra: None, rate: float) -> None:
            if second and rate != 44100:
                raise ValueError("invalid sample rate")

        def check_output_settings(self, number: int, channels: int, dtype: str, extra: None, rate: float) -> None:
            if rate != found[number].rate:
                raise ValueError("invalid sample rate")

    monkeypatch.setattr(portaudio, "list_devices", lambda: found)
    monkeypatch.setattr(portaudio, "_sounddevice", Sounds)
    name = "Microphone" if outputs else "Speakers"
    ports = {"x": DevicePort("Microphone"), f"{OUT}y": DevicePort(name)}
    form = portaudio.PortAudio().open(
        DeviceRequest(Fraction(16000), Fraction(1, 100), ports, {"x": Audio(16000), f"{OUT}y": Audio(16000)})
    )
    assert form.rate == (44100 if outputs else 48000)
    assert form.samples == form.rate / 100
    assert form.second == (SecondFormat(Fraction(44100), 1) if second else None)
    assert ("two clocks" in form.about) == second
