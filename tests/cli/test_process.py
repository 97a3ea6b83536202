"""Commands in a bad environment: closed and full streams, few file descriptors, signals, and warnings of numpy."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dspgraph.cli.process import report_system_error
from helpers import deadly
from helpers.speech import speech
from helpers.surroundings import in_a_shell

pytestmark = pytest.mark.process

SLOW = """
inputs: {x: {audio: 16000}}
nodes: {end: {node: deadly, x: x, seconds: 0.2}}
outputs: {y: end}
"""

NOISY = """
import os
from contextlib import suppress
import numpy as np
from dspgraph import Audio, Input, Node, Output

class Noisy(Node):
    \"\"\"Print, as a library in C does, and divide by zero.\"\"\"
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state, x):
        with suppress(OSError):
            os.write(2, b"noise")
        return state, x / np.zeros(1) if x[0] == 0.125 else x
"""


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a folder with two files of 2 s of speech, and one from which the node `Noisy` makes infinite numbers."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", speech()[:32000], 16000)
    soundfile.write(folder / "infinite.wav", np.full(4000, 0.125), 16000)
    return folder


@pytest.fixture
def noisy(tmp_path: Path, clips: Path) -> list[object]:
    """Return the arguments of the command that renders the clips with the node `Noisy` into `tmp_path`/out."""
    (tmp_path / "noisy.py").write_text(NOISY)
    (tmp_path / "noisy.yaml").write_text(
        "{inputs: {x: {audio: 16000}}, nodes: {n: {node: noisy, x: x}}, outputs: {y: n}}"
    )
    return ["render", tmp_path / "noisy.yaml", clips, "-o", tmp_path / "out", "--plugin", tmp_path / "noisy.py"]


def statuses(out: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    return {line["id"]: line["status"] for line in lines}


ONE_FAILS = {"a": "done", "b": "done", "infinite": "failed"}


@pytest.mark.parametrize(
    ("closed", "jobs"),
    [("2>&-", "1"), pytest.param(">&- 2>&- <&-", "1", marks=pytest.mark.slow), (">&- 2>&- <&-", "2")],
)
def test_with_closed_streams_files_are_rendered_and_no_print_gets_into_one(
    tmp_path: Path, noisy: list[object], closed: str, jobs: str
) -> None:
    done = in_a_shell(f"DSPGRAPH {closed}", *noisy, "-j", jobs)
    assert done.returncode == 1
    assert statuses(tmp_path / "out") == ONE_FAILS
    for name in ("a", "b"):
        assert soundfile.info(tmp_path / "out" / f"{name}.flac").frames == 32000


@pytest.mark.parametrize("jobs", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_a_result_that_is_not_finite_is_a_sentence_without_a_line_of_code(
    tmp_path: Path, noisy: list[object], jobs: str
) -> None:
    done = in_a_shell("DSPGRAPH", *noisy, "-j", jobs)
    lines = done.stderr.replace("noise", "").splitlines()
    assert [line.split(":")[0] for line in lines if " rendered in " not in line] == ["failed", "dspgraph"]
    assert "is not finite from sample 0" in done.stderr and "RuntimeWarning" not in done.stderr


def test_with_the_option_traceback_the_warnings_of_numpy_are_shown(tmp_path: Path, noisy: list[object]) -> None:
    done = in_a_shell("DSPGRAPH", "--traceback", *noisy)
    assert "RuntimeWarning: divide by zero" in done.stderr


@pytest.mark.slow
def test_a_picture_is_drawn_whatever_the_backend_of_matplotlib(tmp_path: Path, clips: Path) -> None:
    target = tmp_path / "a.png"
    done = in_a_shell("MPLBACKEND=nonsense DSPGRAPH", "plot", clips / "a.wav", "--spectrogram", "-o", target)
    assert (done.returncode, done.stdout) == (0, f"{target}\n"), done.stderr


def test_names_beyond_ascii_are_readable_in_a_locale_of_ascii(tmp_path: Path, clips: Path) -> None:
    (clips / "a.wav").rename(clips / "b\u00fcro.wav")
    command = ["render", "mulaw_bits", clips / "b\u00fcro.wav", clips / "n\u00f6.wav", "-o", tmp_path / "\u00f6ut"]
    done = in_a_shell("LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii DSPGRAPH", *command)
    assert done.returncode == 1
    assert "\u00f6ut/b\u00fcro.flac" in done.stdout
    assert "n\u00f6.wav does not exist" in done.stderr


@pytest.mark.parametrize("arguments", [["nodes"], ["--help"], ["schema"]])
def test_a_full_disk_behind_stdout_is_one_sentence(arguments: list[str]) -> None:
    done = in_a_shell("DSPGRAPH > /dev/full", *arguments)
    assert done.returncode == 1
    assert done.stderr == (
        "dspgraph: the output cannot be printed: No space left on device: make room, or print to another place\n"
    )


def test_a_full_disk_behind_stdout_keeps_what_is_rendered(tmp_path: Path, noisy: list[object]) -> None:
    done = in_a_shell("DSPGRAPH > /dev/full", *noisy)
    assert done.returncode == 1
    assert "the output cannot be printed: No space left on device" in done.stderr and "Traceback" not in done.stderr
    assert statuses(tmp_path / "out") == {"a": "done"}
    assert in_a_shell("DSPGRAPH 2> /dev/full", *noisy, "--resume").returncode == 1  # nowhere to say that one failed
    assert statuses(tmp_path / "out") == ONE_FAILS


@pytest.mark.parametrize("files", [8, 14, pytest.param(18, marks=pytest.mark.slow)])
def test_too_few_open_files_for_workers_is_one_sentence(noisy: list[object], files: int) -> None:
    done = in_a_shell(f"ulimit -n {files}; DSPGRAPH", *noisy, "-j", "4")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "Too many open files" in done.stderr
    if files > 10:
        assert done.stderr.startswith("dspgraph: a worker process cannot be started: Too many open files: use fewer")


# ---- signals --------------------------------------------------------------------------------------------------------


def started(tmp_path: Path, clips: Path, *options: str, hangup: Any = signal.SIG_DFL) -> subprocess.Popen[str]:
    """Start to render `clips` slowly into `tmp_path`/out; return the process when an output is half written.

    At the latest, it is returned after a minute. It runs in a session of its own. options: further options of `render`;
    hangup: what the process does on SIGHUP when it starts; the tests may run under nohup, which ignores it.
    """
    (tmp_path / "slow.yaml").write_text(SLOW)
    line = ["render", tmp_path / "slow.yaml", clips, "-o", tmp_path / "out", "--plugin", deadly.__file__, *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "dspgraph", *map(str, line)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hangup),
    )  # fmt: skip
    end = time.monotonic() + 60
    while not parts(tmp_path / "out") and time.monotonic() < end:
        time.sleep(0.01)
    return process


def parts(out: Path) -> list[str]:
    return [path.name for path in out.rglob("*.part")] if out.exists() else []


def children(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(one) for one in tasks.read_text().split()]


def exists(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


SAID = {
    signal.SIGINT: "dspgraph: interrupted; finished files are kept: the same command with --resume continues\n",
    signal.SIGTERM: "dspgraph: stopped by SIGTERM; finished files are kept: the same command with --resume continues\n",
    signal.SIGHUP: "dspgraph: stopped by SIGHUP; finished files are kept: the same command with --resume continues\n",
}


@pytest.mark.parametrize(
    ("number", "jobs", "to_all"),
    [
        (signal.SIGTERM, "1", False),  # each signal once, with and without workers: all together are slow
        pytest.param(signal.SIGHUP, "1", False, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "2", False, marks=pytest.mark.slow),
        (signal.SIGINT, "2", True),
        pytest.param(signal.SIGTERM, "2", True, marks=pytest.mark.slow),
        (signal.SIGHUP, "2", True),
    ],
)
def test_a_signal_ends_the_run_with_a_sentence_and_leaves_nothing(
    tmp_path: Path, clips: Path, number: signal.Signals, jobs: str, to_all: bool
) -> None:
    """After a signal, the exit code is 128 + the number of the signal, and no unfinished file and no worker is left.

    jobs: the option `-j`; with 1 there are no workers. to_all: whether the signal goes to the workers too, as it does
    from a terminal.
    """
    process = started(tmp_path, clips, "-j", jobs)
    below = children(process)
    os.killpg(process.pid, number) if to_all else process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (128 + number, SAID[number])
    assert parts(tmp_path / "out") == []
    end = time.monotonic() + 10  # a helper of multiprocessing ends a moment after the program
    while (left := [one for one in below if exists(one)]) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left


def test_workers_end_with_a_program_that_is_killed(tmp_path: Path, clips: Path) -> None:
    """Workers end even inside a call that holds Python's interpreter lock, as calls of compiled code do."""
    for name in ("a", "b"):
        samples = speech()[:32000]
        samples[16000] = deadly.STUCK  # the first sample of the second block
        soundfile.write(clips / f"{name}.wav", samples, 16000)
    with started(tmp_path, clips, "-j", "2") as process:
        below = children(process)
        time.sleep(1)  # until the workers are in the second block; if they are not, the test proves nothing
        process.kill()
    end = time.monotonic() + 10
    while (left := [one for one in below if exists(one)]) and time.monotonic() < end:
        time.sleep(0.01)
    for one in left:
        os.kill(one, signal.SIGKILL)
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.01, 0.2])
def test_signals_that_follow_do_not_interrupt_the_cleaning_up(tmp_path: Path, clips: Path, pause: float) -> None:
    process = started(tmp_path, clips, "-j", "2")
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGINT):
        if process.poll() is None:
            os.killpg(process.pid, number)
        time.sleep(pause)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (130, SAID[signal.SIGINT])
    assert parts(tmp_path / "out") == []


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path: Path, clips: Path) -> None:
    """A program that starts with SIGHUP ignored, as under nohup, completes its run after a SIGHUP."""
    process = started(tmp_path, clips, hangup=signal.SIG_IGN)
    os.killpg(process.pid, signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert set(statuses(tmp_path / "out").values()) == {"done"}


def test_a_second_signal_is_raised_if_cleaning_up_takes_too_long() -> None:
    code = """
import signal, time
from dspgraph.cli import process
process.GRACE = 0.2
with process.signals_raised():
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            signal.raise_signal(number)
        except process.Stopped as stop:
            print(stop.number)
        signal.raise_signal(number)
        time.sleep(0.3)
signal.raise_signal(signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("15\n2\n", "", 0)


def test_what_fails_because_of_a_signal_is_not_printed() -> None:
    """A signal interrupts `__init__` of an object, whose `__del__` then fails: this error is not printed."""
    code = """
import signal
from dspgraph.cli import process

class Half:
    def __init__(self):
        signal.raise_signal(signal.SIGTERM)
        self.handle = 1
    def __del__(self):
        self.handle

with process.signals_raised():
    try:
        Half()
    except process.Stopped as stop:
        print(stop.number)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("15\n", "", 0)


def test_an_error_that_a_library_words_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    report_system_error(OSError("a cache needs a folder"))
    assert capsys.readouterr().err == "dspgraph: a cache needs a folder\n"
