"""Executors: their results are those of one process, even if workers die or items never end."""

import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import soundfile

from dspgraph import Array, Audio, Graph, Input, Node, Output, State, load, render
from dspgraph.errors import RequestError
from dspgraph.rendering.executors.process import CRASH_ADVICE, THREAD_VARIABLES, TIMEOUT_ADVICE, Processes
from dspgraph.rendering.executors.ray import LOST_ADVICE, Ray
from dspgraph.rendering.executors.scheduling import ItemQueue
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor
from dspgraph.rendering.render import RenderJob
from helpers import deadly
from helpers.deadly import Deadly, DeadlyResult, DeadlyStart, Deeds, opened
from helpers.paths import TESTS
from helpers.speech import speech

pytestmark = pytest.mark.process

PATIENCE = 300
"""Seconds after which a test fails because it hangs: no test takes that long on the slowest machine."""


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


def named(*names: str) -> list[Item]:
    return [Item(name, Path(name)) for name in names]


def plain(n: int) -> list[Item]:
    return named(*(f"plain-{k}" for k in range(n)))


def failed(rows: Sequence[DeadlyResult]) -> dict[str, str]:
    return {row.id: row.error for row in rows if row.error}


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it never came"
        time.sleep(0.02)


EXITED = f"its worker process ended with exit code 3, 2 times: {CRASH_ADVICE}"
KILLED = f"its worker process was killed by SIGKILL, 2 times: {CRASH_ADVICE}"


# ---- one result for each item, even if its worker dies --------------------------------------------------------------

KILLERS = named("exit-first", *(f"plain-{k}" for k in range(12)), "kill-1", "exit-2", "plain-x", "kill-last")
FATES = {"exit-first": EXITED, "kill-1": KILLED, "exit-2": EXITED, "kill-last": KILLED}


@pytest.mark.parametrize(("jobs", "n"), [(2, 0), (2, 1), (1, 4), (5, 4)])
def test_every_item_has_one_row_for_any_number_of_jobs(log: Path, jobs: int, n: int) -> None:
    rows = list(Processes(jobs).run(Deeds(log), plain(n)))
    assert sorted(row.id for row in rows) == sorted(item.id for item in plain(n)) == sorted(opened(log))
    assert len({row.pid for row in rows}) <= min(jobs, n) and os.getpid() not in {row.pid for row in rows}


def test_an_item_that_kills_its_worker_is_a_row_that_says_how_and_no_other_item_is_started_again(log: Path) -> None:
    rows = list(Processes(2).run(Deeds(log), KILLERS))
    assert failed(rows) == FATES
    assert sorted(row.id for row in rows) == sorted(item.id for item in KILLERS)
    assert Counter(opened(log)) == {item.id: 2 if item.id in FATES else 1 for item in KILLERS}


@pytest.mark.slow
def test_of_items_that_are_open_together_the_one_that_kills_the_worker_is_found_by_halves(log: Path) -> None:
    items = [*plain(7), *named("exit-now"), *plain(40)[7:]]
    rows = list(Processes(1).run(Deeds(log, open_items=16), items))
    assert failed(rows) == {"exit-now": EXITED}
    assert sorted(row.id for row in rows) == sorted(item.id for item in items)
    counts = Counter(opened(log))
    assert counts.pop("exit-now") <= 6  # among 16, 8, 4 and 2 at most, and twice by itself
    assert max(counts.values()) <= 5  # with it among 16, 8, 4 and 2, and once more
    assert sum(counts.values()) - len(counts) <= 15 + 7 + 3 + 1


@pytest.mark.slow
def test_two_items_that_kill_workers_and_are_open_together_are_both_found(log: Path) -> None:
    items = named("exit-0", *(f"plain-{k}" for k in range(14)), "kill-15")
    rows = list(Processes(2).run(Deeds(log, open_items=16), items))
    assert failed(rows) == {"exit-0": EXITED, "kill-15": KILLED}
    assert sorted(row.id for row in rows) == sorted(item.id for item in items)


def test_the_only_item_may_kill_its_worker(log: Path) -> None:
    assert failed(list(Processes().run(Deeds(log), named("exit-0")))) == {"exit-0": EXITED}


def test_a_worker_loads_once_for_all_its_items(log: Path) -> None:
    rows = list(Processes(2).run(Deeds(log, ask=deadly.when_loaded), plain(40)))
    assert len({row.facts for row in rows}) == len({row.pid for row in rows}) <= 2


@pytest.mark.slow
def test_a_worker_has_one_thread_and_the_main_process_keeps_its_environment(log: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(THREAD_VARIABLES[0], "7")
    before = dict(os.environ)
    (row,) = Processes(1).run(Deeds(log, ask=deadly.threads), plain(1))
    assert row.facts == (1, 1)
    assert dict(os.environ) == before


def test_chunks_are_small_enough_that_every_worker_gets_one(log: Path) -> None:
    sizes = []
    queue = ItemQueue(Deeds(log, open_items=16), plain(20), 2)
    while chunk := queue.next_chunk():
        sizes.append(len(chunk))
    assert sizes == [10, 5, 3, 1, 1]  # half of what is left for each of two, though 16 would fit
    queue = ItemQueue(Deeds(log), plain(1000), 2)
    assert len(queue.next_chunk()) == 64 and len(queue._new) == 936


@pytest.mark.parametrize("jobs", [0, -1])
@pytest.mark.parametrize("executor", [Processes, Ray])
def test_there_is_at_least_one_job(executor: Any, jobs: int) -> None:
    with pytest.raises(RequestError, match=f"the number of jobs is at least 1; found {jobs}"):
        executor(jobs)


# ---- jobs that cannot be sent ---------------------------------------------------------------------------------------


class Attached(Deeds):
    """A job that cannot be pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {"it": lambda: 0}


UNDOABLE = {
    Attached: r"the graph cannot be sent to another process: .*: put node classes into a file that can be imported",
    deadly.Elsewhere: "a worker cannot do this job: other code here",
    deadly.Unloaded: "a worker cannot do this job: ModuleNotFoundError: No module named 'mine': put node classes into a",
    deadly.Fatal: "a worker process ended with exit code 7 as it started",
}


@pytest.mark.parametrize("kind", UNDOABLE)
def test_a_job_that_a_worker_cannot_do_is_refused_before_any_item_is_opened(log: Path, kind: type[Deeds]) -> None:
    with pytest.raises(RequestError, match=UNDOABLE[kind]):
        list(Processes(2).run(kind(log), plain(4)))
    assert not opened(log)


def test_a_graph_with_a_node_class_made_in_a_function_cannot_be_sent(tmp_path: Path) -> None:
    class Local(Node):
        """Return the signal. No other process can import this class."""

        x = Input(Audio)
        y = Output(Audio)

        def step(self, state: State, x: Array) -> tuple[State, Array]:
            return state, x

    work = RenderJob(Graph({"end": Local()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"}), tmp_path)
    with pytest.raises(RequestError, match="cannot be sent to another process: .*Local"):
        list(Processes(1).run(work, plain(1)))


def toy(seconds: float = 0.0) -> Graph:
    return Graph({"end": Deadly(seconds=seconds)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


def test_a_worker_with_other_code_is_refused(tmp_path: Path) -> None:
    work = RenderJob(toy(), tmp_path, digest="of other code")
    with pytest.raises(RequestError, match="a worker cannot do this job: code, weights or library versions differ"):
        list(Processes(2).run(work, plain(3)))
    assert not list(tmp_path.iterdir())


def test_a_plugin_that_is_removed_before_a_worker_starts_is_named(tmp_path: Path) -> None:
    from dspgraph.registry import find

    plugin = Path(shutil.copy(deadly.__file__, tmp_path / "mine.py"))
    kind = find("deadly", [plugin])
    work = RenderJob(Graph({"end": kind()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"}), tmp_path)
    plugin.unlink()
    with pytest.raises(RequestError, match=r"a worker cannot do this job: the plugin .*mine\.py does not exist"):
        list(Processes(1).run(work, plain(1)))


# ---- workers end ----------------------------------------------------------------------------------------------------


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_closing_a_run_early_leaves_no_worker(log: Path) -> None:
    run = Processes(2).run(Deeds(log), named(*(f"slow-{k}" for k in range(40))))
    pids = {row.pid for row in islice(run, 6)}
    run.close()
    assert not [pid for pid in pids if is_alive(pid)]
    assert len(opened(log)) < 40


@pytest.mark.slow
def test_a_node_that_kills_the_process_as_it_starts_is_a_row(tmp_path: Path, clips: Path) -> None:
    graph = Graph({"end": DeadlyStart()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})
    rows = render(graph, sorted(clips.iterdir())[:2], tmp_path / "out", executor=Processes(2))
    assert [row.error for row in rows] == [f"{clips / name}: {EXITED}" for name in ("00.wav", "01.wav")]


# ---- the same bytes -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 30 clips of speech, 00.wav to 29.wav, of 0.2 to 0.6 s."""
    folder = tmp_path_factory.mktemp("clips")
    for k in range(30):
        begin = 1900 * k
        soundfile.write(folder / f"{k:02}.wav", speech()[begin : begin + 3200 + (k * 1171) % 6400], 16000)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Return path -> content for all files in a folder except the ledger."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "ledger.jsonl")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of the ledger by id, without the id, the measured time and the command line.

    The test fails if an id has several lines.
    """
    rows = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows)
    own = ("id", "seconds", "command")
    return {row["id"]: {name: value for name, value in row.items() if name not in own} for row in rows}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """Return the output folder of the clips, rendered one at a time in one process, with noise as excitation."""
    out = tmp_path_factory.mktemp("alone")
    render(load("lpc_vocoder", swap={"excitation": "whisper"}), [clips], out)
    return out


def assert_the_same(executor: Executor, batch: int, clips: Path, alone: Path, out: Path) -> None:
    rows = render(load("lpc_vocoder", swap={"excitation": "whisper"}), [clips], out, executor=executor, batch=batch)
    assert [row.id for row in rows] == [f"{k:02}" for k in range(30)] and not [row for row in rows if row.error]
    assert tree(out) == tree(alone) and len(tree(out)) == 60
    assert ledger(out) == ledger(alone)


@pytest.mark.parametrize(
    ("executor", "batch"),
    [
        pytest.param(Serial(), 16, id="serial"),
        pytest.param(Processes(2), 1, id="1"),
        pytest.param(Processes(2), 16, id="16", marks=pytest.mark.slow),  # the two others together
    ],
)
def test_every_executor_writes_the_same_bytes(
    executor: Executor, batch: int, clips: Path, alone: Path, tmp_path: Path
) -> None:
    assert_the_same(executor, batch, clips, alone, tmp_path)


# ---- a timeout ------------------------------------------------------------------------------------------------------

LATE = f"took longer than 1 s, 2 times: {TIMEOUT_ADVICE}"


@pytest.fixture
def clips_and_hang(tmp_path: Path, clips: Path) -> Path:
    """Return a folder with six clips, and a seventh, 025.wav, for which the node `Deadly` never returns."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted(clips.iterdir())[:6]:
        shutil.copy(path, folder)
    soundfile.write(folder / "025.wav", np.concatenate([[deadly.HANG], speech()[8000:9600]]), 16000)
    return folder


def assert_one_is_late(executor: Executor, batch: int, source: Path, out: Path) -> None:
    """Render the folder `source` to `out`; assert that clip 025, which never ends, fails, and that all others succeed.

    The files of the others must have the bytes that a run in this process gives. executor: one that gives up an item
    after 1 s; batch: of the run; source: a folder such as that of `clips_and_hang`.
    """
    render(toy(), sorted(source.glob("??.wav")), out.with_name("others"))
    rows = render(toy(), [source], out, executor=executor, batch=batch)
    assert {row.id: row.error for row in rows if row.error} == {"025": f"{source / '025.wav'}: {LATE}"}
    assert len(rows) == 7
    assert tree(out) == tree(out.with_name("others")) and len(tree(out)) == 12
    rows_of = ledger(out)
    assert rows_of.pop("025")["error"] == f"{source / '025.wav'}: {LATE}"
    assert rows_of == ledger(out.with_name("others"))


@pytest.mark.parametrize(
    ("executor", "batch"),
    [
        # test_the_command_line_gives_up_a_file_after_its_timeout is the fast test of `Serial`
        pytest.param(Serial(1), 1, id="serial-1", marks=pytest.mark.slow),
        pytest.param(Processes(2, 1), 4, id="processes-4"),
        pytest.param(Serial(1), 4, id="serial-4", marks=pytest.mark.slow),
        pytest.param(Processes(2, 1), 1, id="processes-1", marks=pytest.mark.slow),
    ],
)
def test_an_item_that_never_ends_is_a_row_after_its_timeout(
    executor: Executor, batch: int, clips_and_hang: Path, tmp_path: Path
) -> None:
    assert_one_is_late(executor, batch, clips_and_hang, tmp_path / "out")


def test_an_item_that_hangs_in_native_code_is_killed(log: Path) -> None:
    rows = list(Processes(1, 1).run(Deeds(log), named("plain-0", "stuck-0", "plain-1")))
    assert failed(rows) == {"stuck-0": LATE}
    assert Counter(opened(log)) == {"plain-0": 1, "stuck-0": 2, "plain-1": 1}


def test_the_error_of_a_late_item_names_its_causes_and_the_way_out() -> None:
    for words in (
        "does not end on this item",
        "compiling, in the first item of a worker, counts",
        "a longer --timeout",
    ):
        assert words in TIMEOUT_ADVICE


@pytest.mark.parametrize("batch", [1, 2, 5, 8, 16])
def test_an_item_that_never_ends_costs_at_most_twice_its_batch(batch: int, log: Path) -> None:
    """To find the item costs at most 2 * batch timeouts, and 2 more if the batch is odd and has no equal halves.

    An attempt costs one timeout for each open item.
    """
    for guilty in range(batch):
        queue, cost, rows = ItemQueue(Deeds(log, batch), plain(batch), 1), 0, list[Any]()
        while chunk := queue.next_chunk():
            if f"plain-{guilty}" in {item.id for item in chunk}:
                cost += len(chunk)
                rows += queue.worker_failed(chunk, "late", TIMEOUT_ADVICE)
        assert [row.id for row in rows] == [f"plain-{guilty}"] and cost <= 2 * batch + 2 * (batch % 2)


def test_the_time_of_an_item_counts_from_its_own_opening(log: Path) -> None:
    """No item fails if each takes less than the timeout, even if all items of a chunk together take longer.

    The chunk has eight items of 0.4 s, and the timeout is 2.5 s.
    """
    assert len(ItemQueue(Deeds(log), plain(32), 1).next_chunk()) == 8
    rows = list(Processes(1, 2.5).run(Deeds(log), [*named(*(f"nap-{k}" for k in range(8))), *plain(24)]))
    assert len(rows) == 32 and not failed(rows)
    assert len(opened(log)) == 32


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
@pytest.mark.parametrize("executor", [Serial, Processes, Ray])
def test_a_timeout_is_a_time(executor: Any, timeout: float) -> None:
    with pytest.raises(RequestError, match=f"a timeout is a number of seconds above 0; found {timeout:g}"):
        executor(timeout=timeout)


# ---- summaries of workers -------------------------------------------------------------------------------------------


def gathered(executor: Executor, log: Path) -> Counter[str]:
    """Run the job `Counted` on 21 items, one of which kills its worker.

    Returns how often each item occurs in the summaries that reach this process. log: the folder `Deeds.log`.
    """
    deadly.Counted.gathered.clear()
    items = named(*(f"plain-{k}" for k in range(10)), "exit-0", *(f"plain-{k}" for k in range(10, 20)))
    assert failed(list(executor.run(deadly.Counted(log), items))) == {"exit-0": EXITED}
    return Counter(deadly.Counted.gathered)


ALL_BUT_ONE = Counter(f"plain-{k}" for k in range(20))


@pytest.mark.parametrize("executor", [Serial(60), Processes(2)], ids=["serial", "processes"])
def test_summaries_of_workers_reach_the_main_process_even_if_workers_die(executor: Executor, log: Path) -> None:
    assert gathered(executor, log) == ALL_BUT_ONE


# ---- by the command line, with real signals -------------------------------------------------------------------------

PIPELINE = """
about: Half as loud, and not always alive.
inputs: {x: {audio: 16000}}
nodes:
  end: {node: deadly, x: x, seconds: 0.0}
outputs: {y: end}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    (tmp_path / "half.yaml").write_text(PIPELINE)
    return tmp_path / "half.yaml"


def command(pipeline: Path, files: Sequence[Path], out: Path, *options: str) -> list[str]:
    line = [sys.executable, "-m", "dspgraph", "render", str(pipeline), *map(str, files), "-o", str(out)]
    return [*line, "--plugin", deadly.__file__, *options]


def run(pipeline: Path, files: Sequence[Path], out: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        command(pipeline, files, out, *options), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stderr


@pytest.fixture
def corpus(tmp_path: Path) -> list[Path]:
    """Return the paths of seven good clips, and of five that cannot be rendered.

    The first path, `exit.wav`, is that of a clip that kills its process; the last, `missing.wav`, does not exist. A
    folder `unreadable.wav`, which cannot be rendered either, lies beside them.
    """
    folder = tmp_path / "in"
    folder.mkdir()
    clip = speech()[8000:12000]
    for k in range(7):
        soundfile.write(folder / f"good-{k}.wav", clip[k * 400 :], 16000)
    for name, first in (("exit", deadly.EXIT), ("raise", deadly.RAISE)):
        soundfile.write(folder / f"{name}.wav", np.concatenate([[first], clip]), 16000)
    soundfile.write(folder / "nan.wav", np.where(np.arange(4000) == 99, np.nan, clip), 16000, subtype="FLOAT")
    whole = folder / "whole.flac"
    soundfile.write(whole, clip, 16000)
    (folder / "truncated.flac").write_bytes(whole.read_bytes()[:2000])
    whole.unlink()
    (folder / "unreadable.wav").mkdir()
    return [*sorted(path for path in folder.iterdir() if path.is_file()), folder / "missing.wav"]


SIX = ["exit", "missing", "nan", "raise", "truncated", "unreadable"]


def assert_six_fail(corpus: list[Path], pipeline: Path, tmp_path: Path, *options: str) -> None:
    """Render the corpus and the folder `unreadable.wav` by the command line; assert that six of 13 items fail.

    The exit code must be 1. All files, and the lines of the ledger except that of the clip that kills its process, must
    be those of a run in one process without this clip. options: of the command `render`.
    """
    unreadable = corpus[0].with_name("unreadable.wav")
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"id": "unreadable", "path": str(unreadable)}))
    files = [*corpus, tmp_path / "manifest.jsonl"]
    alone = run(pipeline, [path for path in files if path.stem != "exit"], tmp_path / "alone")
    assert alone[0] == 1 and "dspgraph: 5 of 12 files failed" in alone[1]
    code, errors = run(pipeline, files, tmp_path / "out", *options)
    assert code == 1 and "dspgraph: 6 of 13 files failed" in errors, errors
    assert "Traceback" not in errors
    rows, others = ledger(tmp_path / "out"), ledger(tmp_path / "alone")
    assert sorted(name for name, row in rows.items() if row["status"] == "failed") == SIX
    assert rows.pop("exit")["error"] == f"{corpus[0]}: {EXITED}"
    assert rows == others
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")


@pytest.mark.parametrize("batch", ["1", pytest.param("16", marks=pytest.mark.slow)])
def test_six_bad_files_are_six_rows_and_exit_code_1_in_processes(
    corpus: list[Path], pipeline: Path, tmp_path: Path, batch: str
) -> None:
    assert_six_fail(corpus, pipeline, tmp_path, "-j", "2", "--batch", batch)


@pytest.mark.slow
def test_the_command_line_gives_up_a_file_after_its_timeout(
    pipeline: Path, clips_and_hang: Path, tmp_path: Path
) -> None:
    code, errors = run(pipeline, [clips_and_hang], tmp_path / "out", "--timeout", "1", "--batch", "4")
    assert code == 1 and "dspgraph: 1 of 7 files failed" in errors and "Traceback" not in errors
    assert f"failed: {clips_and_hang / '025.wav'}: {LATE}\n" in errors
    assert len(tree(tmp_path / "out")) == 12


def start(pipeline: Path, clips: Path, out: Path) -> subprocess.Popen[str]:
    """Start a run with two workers and 0.1 s per clip; return its main process when it has rendered three clips."""
    line = command(pipeline, [clips], out, "-j", "2", "-s", "end.seconds=0.1")
    lead = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: (out / "ledger.jsonl").exists() and (out / "ledger.jsonl").read_bytes().count(b"\n") > 2)
    return lead


def group(leader: int) -> list[int]:
    """Return the ids of the living processes of a run. leader: the id of its main process, which is one of them."""
    found = []
    for pid in [int(path.name) for path in Path("/proc").glob("[0-9]*")]:
        with suppress(FileNotFoundError, ProcessLookupError):
            if is_alive(pid) and os.getpgid(pid) == leader:
                found.append(pid)
    return found


def assert_it_goes_on(pipeline: Path, clips: Path, out: Path, before: int) -> None:
    code, errors = run(pipeline, [clips], out, "-s", "end.seconds=0.1", "--resume")
    assert code == 0, errors
    assert 3 <= before < 30 and len(ledger(out)) == 30
    samples, _ = soundfile.read(out / "29.flac")
    original, _ = soundfile.read(clips / "29.wav")
    assert np.array_equal(samples, 0.5 * original)  # exact: half of 16 bit in 24
    assert len(tree(out)) == 60


def test_ctrl_c_leaves_no_worker_and_nothing_half_written(pipeline: Path, clips: Path, tmp_path: Path) -> None:
    lead = start(pipeline, clips, tmp_path / "out")
    os.killpg(lead.pid, signal.SIGINT)  # as a terminal does: everybody of the group
    _, errors = lead.communicate(timeout=30)
    assert lead.returncode == 130
    assert errors == "dspgraph: interrupted; finished files are kept: the same command with --resume continues\n"
    wait_until(lambda: not group(lead.pid), 5)  # multiprocessing has a process of its own, which ends late
    assert not list((tmp_path / "out").glob(".*"))
    assert_it_goes_on(pipeline, clips, tmp_path / "out", len(ledger(tmp_path / "out")))


def test_ctrl_c_while_workers_start_gives_one_message(pipeline: Path, clips: Path, tmp_path: Path) -> None:
    lead = subprocess.Popen(
        command(pipeline, [clips], tmp_path / "out", "-j", "2"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: len(group(lead.pid)) > 2)  # multiprocessing's own is the second
    time.sleep(0.2)  # Python is up, the imports are not done
    os.killpg(lead.pid, signal.SIGINT)
    _, errors = lead.communicate(timeout=30)
    assert lead.returncode == 130
    assert errors == "dspgraph: interrupted; finished files are kept: the same command with --resume continues\n"
    wait_until(lambda: not group(lead.pid), 5)


ENDLESS = """
import sys
from pathlib import Path
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.item import Item
from helpers.deadly import Deeds
list(Processes(1).run(Deeds(Path(sys.argv[1])), [Item(sys.argv[2], Path("x"))]))
"""


@pytest.mark.parametrize("item", ["endless-0", "stuck-0"])  # the second lets no thread of Python run
def test_a_worker_does_not_go_on_with_its_item_when_the_run_is_killed(log: Path, item: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    lead = subprocess.Popen([sys.executable, "-c", ENDLESS, str(log), item], env=environment, start_new_session=True)
    wait_until(lambda: opened(log))
    lead.kill()
    lead.communicate(timeout=30)
    wait_until(lambda: not group(lead.pid), 5)


def test_workers_end_by_themselves_when_the_run_is_killed(pipeline: Path, clips: Path, tmp_path: Path) -> None:
    lead = start(pipeline, clips, tmp_path / "out")
    lead.kill()
    lead.communicate(timeout=30)
    wait_until(lambda: not group(lead.pid), 5)
    assert_it_goes_on(pipeline, clips, tmp_path / "out", len(ledger(tmp_path / "out")))


# ---- a cluster ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a Ray cluster with two machines of one core each, both simulated here; this process is on the first.

    The cluster ends with the module.
    """
    environment = pytest.MonkeyPatch()
    environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
    environment.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    from ray.cluster_utils import Cluster

    ray: Any = importlib.import_module("ray")
    one: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    one.add_node(num_cpus=1)
    one.wait_for_nodes()
    ray.init(address=one.address, log_to_driver=False, logging_level=logging.ERROR)
    yield one
    ray.shutdown()
    one.shutdown()
    environment.undo()


@pytest.fixture
def unconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it look as if this process did not belong to a cluster."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)


def test_without_ray_the_error_says_how_to_install_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RequestError, match=r"Ray is not installed: pip install 'dspgraph\[ray\]'"):
        list(Ray(2).run(Deeds(log), plain(2)))


@pytest.mark.parametrize(
    ("address", "why"),
    {
        "127.0.0.1:1": "Connection refused",
        "no-such-host.invalid:6379": "",
        "nonsense": "Invalid address format",
        "ray://127.0.0.1:10001": "cannot stream results",
    }.items(),
)
@pytest.mark.usefixtures("unconnected")
def test_an_address_without_a_cluster_is_refused_within_seconds(log: Path, address: str, why: str) -> None:
    begun = time.monotonic()
    with pytest.raises(RequestError, match=f"there is no Ray cluster at {address}: .*{why}.*: give the HOST:PORT"):
        list(Ray(2, address).run(Deeds(log), plain(2)))
    assert time.monotonic() - begun < 30  # Ray itself would try for more than two minutes


def test_auto_asks_the_environment_for_the_address(log: Path, unconnected: None, monkeypatch: Any) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RequestError, match="there is no Ray cluster at auto: .*Connection refused"):
        list(Ray(2, "auto").run(Deeds(log), plain(2)))


def test_an_empty_run_asks_for_no_cluster(log: Path) -> None:
    assert not list(Ray(2, "127.0.0.1:1").run(Deeds(log), []))


def test_both_machines_of_a_cluster_work_and_each_worker_loads_once(log: Path, cluster: Any) -> None:
    items = named(*(f"meet-{k}" for k in range(60)))
    rows = list(Ray(8).run(Deeds(log, ask=deadly.when_loaded), items))  # more jobs than cores
    assert sorted(row.id for row in rows) == sorted(item.id for item in items) == sorted(opened(log))
    assert len({row.machine for row in rows}) == len({row.pid for row in rows}) == 2
    assert len({row.facts for row in rows}) == 2


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 16])
def test_a_cluster_writes_the_same_bytes(cluster: Any, batch: int, clips: Path, alone: Path, tmp_path: Path) -> None:
    assert_the_same(Ray(), batch, clips, alone, tmp_path)


def test_a_cluster_reports_items_that_kill_workers_as_processes_do(log: Path, cluster: Any) -> None:
    rows = list(Ray().run(Deeds(log), KILLERS))
    assert failed(rows) == FATES
    assert sorted(row.id for row in rows) == sorted(item.id for item in KILLERS)
    assert Counter(opened(log)) == {item.id: 2 if item.id in FATES else 1 for item in KILLERS}


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 4])
def test_an_item_that_never_ends_is_a_row_of_a_cluster_too(
    cluster: Any, batch: int, clips_and_hang: Path, tmp_path: Path
) -> None:
    assert_one_is_late(Ray(timeout=1), batch, clips_and_hang, tmp_path / "out")


@pytest.mark.slow
def test_summaries_of_a_cluster_reach_the_main_process(log: Path, cluster: Any) -> None:
    assert gathered(Ray(), log) == ALL_BUT_ONE


@pytest.mark.slow
def test_an_item_that_kills_the_actor_itself_is_found_too(log: Path, cluster: Any) -> None:
    items = [*plain(3), *named("actor-0"), *plain(6)[3:]]
    rows = list(Ray(1).run(Deeds(log), items))
    assert failed(rows) == {"actor-0": f"its worker was lost with its machine, 2 times: {LOST_ADVICE}"}
    assert sorted(row.id for row in rows) == sorted(item.id for item in items)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Attached, deadly.Elsewhere, deadly.Fatal])
def test_a_job_that_a_machine_cannot_do_is_refused_with_the_name_of_the_machine(
    log: Path, cluster: Any, kind: type[Deeds]
) -> None:
    on = "" if kind is Attached else ".*; on the machine "
    with pytest.raises(RequestError, match=UNDOABLE[kind] + on):
        list(Ray().run(kind(log), plain(4)))
    assert not opened(log)


@pytest.mark.slow
def test_actors_that_cannot_start_end_the_run(log: Path, cluster: Any) -> None:
    with pytest.raises(RequestError, match="Ray actors die as they start, 3 times: "):
        list(Ray(1).run(deadly.FatalThere(log), plain(4)))
    assert not opened(log)


@pytest.mark.slow
def test_a_run_does_not_wait_forever_for_a_busy_cluster(
    log: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dspgraph.rendering.executors import ray as ray_executor

    ray: Any = importlib.import_module("ray")
    monkeypatch.setattr(ray_executor, "FREE_CORE_WAIT", 0.5)
    others = [ray.remote(Counter).options(num_cpus=1).remote() for _ in range(2)]
    assert ray.get([other.total.remote() for other in others]) == [0, 0]
    with pytest.raises(RequestError, match=r"no core of the cluster was free within 0\.5 s"):
        list(Ray().run(Deeds(log), plain(4)))
    for other in others:
        ray.kill(other)


@pytest.mark.slow
def test_a_machine_that_is_lost_costs_no_item(log: Path, cluster: Any) -> None:
    third = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    items = named(*(f"slow-{k}" for k in range(200)))
    rows, machines = [], set()
    for row in Ray().run(Deeds(log), items):
        rows.append(row)
        machines.add(row.machine)
        if len(machines) == 3 and third:
            cluster.remove_node(third, allow_graceful=False)
            third = None
    assert third is None
    assert sorted(row.id for row in rows) == sorted(item.id for item in items) and not failed(rows)


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["1", "16"])
def test_six_bad_files_are_six_rows_and_exit_code_1_in_a_cluster_of_its_own(
    corpus: list[Path], pipeline: Path, tmp_path: Path, batch: str
) -> None:
    assert_six_fail(corpus, pipeline, tmp_path, "--executor", "ray", "-j", "2", "--batch", batch)


@pytest.mark.slow
def test_two_actors_of_this_machine_write_the_same_bytes(clips: Path, alone: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from rendering.test_executors import *; clips, alone, out = map(Path, sys.argv[1:]); assert_the_same(Ray(2), 1, clips, alone, out)"
    tests = str(TESTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(clips), str(alone), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
