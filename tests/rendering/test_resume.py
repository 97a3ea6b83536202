"""A run that is killed, at any moment and several times, and then resumed ends with the files of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

from dspgraph.io.atomic import is_part
from helpers.paths import TOYS
from helpers.speech import speech

pytestmark = pytest.mark.process

SLOW = """
import time
from dspgraph import Audio, Input, Node, Output

class Slow(Node):
    'Take a moment for every signal: there is time to be killed in.'
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x):
        time.sleep(0.01)

    def step(self, state, x):
        return state, x
"""

NOISY = """
inputs: {x: {audio: 16000}}
nodes:
  noise: {node: toy_noise, like: x, seed: 3}
  late: {node: toy_late, x: noise}
  end: {node: toy_sum, x: [late, x]}
  slow: {node: slow, x: end}
  half: {node: toy_scale, x: slow, factor: 0.25}
outputs: {y: half}
"""


def corpus(folder: Path, n: int) -> Path:
    """Write n clips of real speech, 0.1 to 0.14 s at 16 kHz, to the subfolders s0 to s2 of a folder, and return it."""
    for number in range(n):
        path = folder / f"s{number % 3}" / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech()[number * 150 :][: 1600 + number * 97 % 640], 16000)
    return folder


class Runs:
    """A command `render --resume`, run several times, each time in a new process. options: more words of it."""

    def __init__(self, pipeline: str | Path, source: Path, out: Path, *options: str) -> None:
        self.out = out
        request = ["render", str(pipeline), str(source), "-o", str(out), "--resume", *options]
        self.command = [sys.executable, "-m", "dspgraph", *request]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def finish(self) -> None:
        process = self.start()
        _, errors = process.communicate()
        assert process.returncode == 0, errors

    def interrupted(self, how: signal.Signals, done: int, delay: float) -> tuple[int, str]:
        """Start the command, send it a signal, and return the exit code and the standard error.

        how: the signal, which is sent `delay` seconds after `done` more items are in the ledger; SIGINT goes to the
        processes of the command too.
        """
        before = len(self.lines())
        with self.start() as process:
            while process.poll() is None and (not self.out.exists() or len(self.lines()) < before + done):
                time.sleep(0.001)
            time.sleep(delay)
            if how == signal.SIGINT:
                os.killpg(process.pid, how)  # as a terminal does: to all that belong to the run
            else:
                process.send_signal(how)
            _, errors = process.communicate()
            return process.returncode, errors

    def lines(self) -> list[bytes]:
        path = self.out / "ledger.jsonl"
        return path.read_bytes().splitlines(keepends=True) if path.exists() else []

    def check(self, wanted: dict[str, bytes], n: int) -> None:
        """Assert that the output files are `wanted`, path -> content, and that the ledger has n items, each done once.

        No unfinished file may be left.
        """
        found = written(self.out)
        assert found.keys() == wanted.keys()
        assert [name for name in wanted if found[name] != wanted[name]] == []
        assert not [path for path in self.out.rglob("*") if is_part(path.name)]
        rows = [json.loads(line) for line in self.lines()]
        done = Counter((row["id"], row["digest"]) for row in rows if row["status"] == "done")
        assert (len(rows), len(done), set(done.values())) == (n, n, {1})


def written(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "ledger.jsonl"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "noisy.yaml"
    path.write_text(NOISY)
    path.with_name("slow.py").write_text(SLOW)
    return path


def plugins(noisy: Path) -> tuple[str, ...]:
    return "--plugin", str(TOYS), "--plugin", str(noisy.with_name("slow.py"))


CLIPS = 60


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, noisy: Path) -> tuple[Path, dict[str, bytes]]:
    """Return the folder of the clips, and the output files of a run that is not interrupted: path -> content."""
    folder = tmp_path_factory.mktemp("undisturbed")
    runs = Runs(noisy, corpus(folder / "in", CLIPS), folder / "out", *plugins(noisy))
    runs.finish()
    wanted = written(runs.out)
    assert len(wanted) == 2 * CLIPS
    runs.check(wanted, CLIPS)
    return folder / "in", wanted


def moments(draw: random.Random, n: int) -> list[int]:
    """Return how many of n items come before each of three kills, after the kill before: 0, then two that are drawn.

    n // 5 or more items are left.
    """
    middle = draw.randrange(n // 4, n // 2)
    return [0, middle, n - middle - draw.randrange(n // 5, n // 4)]


@pytest.mark.parametrize(
    ("jobs", "batch"), [(1, 5), *(pytest.param(jobs, 1, marks=pytest.mark.slow) for jobs in (1, 2))]
)
def test_killed_three_times_and_resumed_a_run_is_as_if_undisturbed(
    tmp_path: Path, noisy: Path, undisturbed: tuple[Path, dict[str, bytes]], jobs: int, batch: int
) -> None:
    draw, (source, wanted) = random.Random(100 * jobs + batch), undisturbed
    who = ("--jobs", str(jobs), "--batch", str(batch))
    runs = Runs(noisy, source, tmp_path / "out", *plugins(noisy), *who)
    for done in moments(draw, CLIPS):
        code, errors = runs.interrupted(signal.SIGKILL, done, draw.uniform(0, 0.02))
        assert code == -signal.SIGKILL, errors  # a fifth is left: a tenth of a second and more
    assert len(runs.lines()) >= CLIPS // 4
    runs.finish()
    runs.check(wanted, CLIPS)


def test_a_kill_before_anything_is_written_harms_nothing(tmp_path: Path, noisy: Path) -> None:
    draw = random.Random(5)
    source = corpus(tmp_path / "in", 3)
    runs = Runs(noisy, source, tmp_path / "out", *plugins(noisy))
    for _ in range(4):
        with runs.start() as process:
            time.sleep(draw.uniform(0, 0.3))
            process.kill()
    runs.finish()
    runs.check(written(runs.out), 3)


@pytest.mark.parametrize(
    "options",
    # test_ctrl_c_leaves_no_worker_and_nothing_half_written of test_executors.py is the fast test with processes
    [pytest.param((), id="serial"), pytest.param(("--jobs", "2"), id="processes", marks=pytest.mark.slow)],
)
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    tmp_path: Path, noisy: Path, undisturbed: tuple[Path, dict[str, bytes]], options: Sequence[str]
) -> None:
    source, wanted = undisturbed
    runs = Runs(noisy, source, tmp_path / "out", *plugins(noisy), *options)
    code, errors = runs.interrupted(signal.SIGINT, 5, 0.005)
    assert code == 130
    assert errors == "dspgraph: interrupted; finished files are kept: the same command with --resume continues\n"
    assert not [path for path in runs.out.rglob("*") if is_part(path.name)]
    assert 5 <= len(runs.lines()) < CLIPS
    runs.finish()
    runs.check(wanted, CLIPS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_300_clips_through_a_vocoder_with_noise_survive_three_kills(tmp_path: Path, seed: int) -> None:
    draw, n = random.Random(seed), 300
    source = corpus(tmp_path / "in", n)
    undisturbed = Runs("lpc_vocoder", source, tmp_path / "undisturbed")
    undisturbed.finish()
    wanted = written(undisturbed.out)
    runs = Runs("lpc_vocoder", source, tmp_path / "out", "--jobs", str(seed))
    for done in moments(draw, n):
        assert runs.interrupted(signal.SIGKILL, done, draw.uniform(0, 0.05))[0] == -signal.SIGKILL
    runs.finish()
    runs.check(wanted, n)
    other = Runs("lpc_vocoder", source, tmp_path / "out", "-s", "order=20", "--overwrite")
    other.finish()
    rows = [json.loads(line) for line in other.lines()]
    assert Counter(row["digest"] for row in rows).most_common() == [
        (digest, n) for digest in dict.fromkeys(row["digest"] for row in rows)
    ]
    assert not any(written(other.out)[name] == content for name, content in wanted.items())
