"""The ledger: its file, two runs at a time, going on after any end of a run, results of another run, a full disk."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dspgraph import Array, Audio, Field, Graph, Input, Node, Output, State, render
from dspgraph.closure import SourceFile, closure, read_source
from dspgraph.errors import FileError, RequestError
from dspgraph.rendering.command import Command
from dspgraph.rendering.ledger import Ledger, sweep
from dspgraph.rendering.result import Rendered
from helpers.speech import speech
from helpers.surroundings import files_no_larger_than, no_longer_than
from helpers.toys import ToyScale

STARTED: list[float] = []
"""The factor of `Scale`, once for each signal that the node was started for since the fixture `clips` was made."""

GUILTY = 0.125
"""The first sample of a block at which the node `Scale` fails."""


class Scale(Node):
    """Multiply a signal by a factor, which is added to STARTED for each signal; fail if a block begins with GUILTY."""

    x = Input(Audio)
    y = Output(Audio)

    factor: float = Field(0.5, ge=-10, le=10, description="what to multiply by")

    def start(self, x: Audio) -> State:
        STARTED.append(self.factor)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == GUILTY:
            raise ValueError("guilty")
        return state, x * x.dtype.type(self.factor)


def graph(factor: float = 0.5) -> Graph:
    return Graph({"end": Scale(factor=factor)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Empty STARTED; return a folder with a.wav, b.wav and c.wav, 0.1 s at 16 kHz each. `Scale` fails at b.wav."""
    STARTED.clear()
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate("abc"):
        samples = speech()[8000 + 1600 * number :][:1600]
        samples[0] = GUILTY if name == "b" else 0
        soundfile.write(folder / f"{name}.wav", samples, 16000)
    return folder


def resumed(clips: Path, factor: float = 0.5, **options: Any) -> list[str]:
    """Render the clips into the folder `out` beside theirs; return the ids of the items that are computed in this run.

    Items that fail are among them. factor: the gain of the graph; options: arguments of `render` in addition to
    `resume=True`, or in its place.
    """
    rows = render(graph(factor), [clips], clips.with_name("out"), **{"resume": True, **options})
    assert [row.id for row in rows] == ["a", "b", "c"]
    return [row.id for row in rows if not row.cached]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- the file itself ------------------------------------------------------------------------------------------------


def row(name: str, status: str = "done") -> dict[str, str]:
    return {"id": name, "status": status}


def rows_of(ledger: Ledger) -> dict[str, Any]:
    return {name: ledger.row(name) for name in ledger.ids()}


def test_the_last_line_of_an_id_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert rows_of(ledger) == {}
        for one in row("a", "failed"), row("b"), row("a"):
            ledger.append(one)
    with Ledger(tmp_path) as ledger:
        assert rows_of(ledger) == {"a": row("a"), "b": row("b")}
    assert lines(tmp_path) == [row("a", "failed"), row("b"), row("a")]


def test_a_line_is_in_the_file_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(row("a"))
        assert lines(tmp_path) == [row("a")]


@pytest.mark.thorough
def test_a_row_takes_less_than_300_bytes_of_memory(tmp_path: Path) -> None:
    """An open ledger takes less than 300 bytes of memory per row, and returns four rows as their lines have them.

    Only the id of a row and its place in the file are in memory: about 170 bytes.
    """
    n = 20_000
    common = {"status": "done", "notes": ["resampled from 44100 Hz to 16000 Hz"] * 3, "digest": "a" * 64}
    with (tmp_path / "ledger.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": f"reader{k % 300}/{k:09}", **common, "size": k}) + "\n" for k in range(n))
    tracemalloc.start()
    try:
        with Ledger(tmp_path) as ledger:
            taken, _ = tracemalloc.get_traced_memory()
            assert taken / n < 300
            for k in 0, 1, n // 2, n - 1:
                assert ledger.row(f"reader{k % 300}/{k:09}") == {"id": f"reader{k % 300}/{k:09}", **common, "size": k}
            assert ledger.row("reader0") is None
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", range(1, len(json.dumps(row("b")).encode())))
def test_half_a_line_is_taken_away_wherever_it_ends(tmp_path: Path, kept: int) -> None:
    whole = json.dumps(row("a")) + "\n"
    (tmp_path / "ledger.jsonl").write_text(whole + json.dumps(row("b"))[:kept])
    with Ledger(tmp_path) as ledger:
        assert rows_of(ledger) == {"a": row("a")}
        ledger.append(row("c"))
    assert lines(tmp_path) == [row("a"), row("c")]


@pytest.mark.parametrize(
    "line", ["nonsense", "[1]", "3", "{}", '{"id": "a"}', '{"id": ["a"], "status": "done"}', '{"id": "a", "status": "?"}', "\0" * 40, "[" * 99_999, '"\xff"', ""]
)  # fmt: skip
def test_a_broken_line_is_named_and_the_file_is_left_as_it_is(tmp_path: Path, line: str) -> None:
    content = (json.dumps(row("a")) + "\n" + line + "\n" + "half").encode("latin-1")
    (tmp_path / "ledger.jsonl").write_bytes(content)
    with pytest.raises(RequestError, match=r"ledger.jsonl, line 2: is not a line of a ledger: move the file away"):
        Ledger(tmp_path)
    assert (tmp_path / "ledger.jsonl").read_bytes() == content


def test_a_line_without_an_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "ledger.jsonl").open("wb") as file:
        file.truncate(2**40)  # 1 TiB of zeros, none of which is on the disk
    with no_longer_than(10), pytest.raises(RequestError, match=r"ledger.jsonl, line 1: is not a line of a ledger"):
        Ledger(tmp_path)
    assert (tmp_path / "ledger.jsonl").stat().st_size == 2**40


WRONG: dict[str, list[Any]] = {
    "a text": ["source", 7, None, ["a"], {}],
    "a list of texts": ["notes", 5, "resampled", {"a": 1}, ["a", 1], None],
    "a number of seconds": ["audio_seconds", "1", None, [1], True, -1, float("nan"), float("inf"), 10**400],
    "a whole number": ["mtime_ns", 1.5, "1", None, True, 10**400],
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_field_of_another_type_is_named(tmp_path: Path, rule: str) -> None:
    field, *values = WRONG[rule]
    for value in values:
        (tmp_path / "ledger.jsonl").write_text(
            json.dumps(row("a")) + "\n" + json.dumps({**row("b"), field: value}) + "\n"
        )
        with pytest.raises(RequestError) as refused:
            Ledger(tmp_path)
        message = str(refused.value)
        assert f"ledger.jsonl, line 2: '{field}' must be {rule}; found " in message
        assert message.endswith(": move the file away") and len(message) < 300


def linked(folder: Path) -> None:
    (folder / "elsewhere").write_text("")
    (folder / "ledger.jsonl").symlink_to("elsewhere")


def linked_to_nothing(folder: Path) -> None:
    (folder / "ledger.jsonl").symlink_to("nothing")


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link": (linked, "cannot be written: Too many levels of symbolic links: choose another folder"),
    "a link to nothing": (linked_to_nothing, "cannot be written: Too many levels of symbolic links"),
    "a folder": (lambda folder: (folder / "ledger.jsonl").mkdir(), "cannot be written: Is a directory"),
    "a pipe": (lambda folder: os.mkfifo(folder / "ledger.jsonl"), "is not a regular file: move it away"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_ledger_that_is_not_a_regular_file_is_refused(tmp_path: Path, what: str) -> None:
    make, message = UNUSABLE[what]
    make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RequestError, match=f"ledger.jsonl {message}"):
        Ledger(tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    assert all(path.stat().st_size == 0 for path in before if path.is_file())


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(RequestError, match=r"ledger.jsonl cannot be locked: No locks available"):
        Ledger(tmp_path)


def test_only_unfinished_files_are_swept_away(tmp_path: Path) -> None:
    kept = ["a.part", ".a.part", ".0123456789abcdeg.part", "0123456789abcdef.part", ".0123456789abcdef.part.flac"]
    (tmp_path / "sub").mkdir()
    for name in [*kept, ".0123456789abcdef.part", "sub/.fedcba9876543210.part"]:
        (tmp_path / name).touch()
    (tmp_path / "sub" / ".0000000000000000.part").mkdir()  # a folder is not a file of a run
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*kept, "sub", ".0000000000000000.part"])


def test_the_unfinished_files_of_a_killed_run_are_swept_away_and_a_folder_without_a_ledger_is_not(
    tmp_path: Path,
) -> None:
    part = tmp_path / ".0123456789abcdef.part"
    part.touch()
    Ledger(tmp_path).__exit__(None, None, None)
    assert part.exists()  # no run has written here before
    Ledger(tmp_path).__exit__(None, None, None)
    assert not part.exists()


# ---- two runs at a time ---------------------------------------------------------------------------------------------


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield another process, once it has the ledger of a folder open and has begun, but not finished, a file beside it.

    The process is killed at the end of the context.
    """
    code = (
        f"import sys, time; sys.path[:0] = {sys.path!r}\nfrom pathlib import Path\nfrom dspgraph.io.atomic import AtomicFile\n"
        f"from dspgraph.rendering.ledger import Ledger\nledger = Ledger(Path({str(folder)!r}))\nAtomicFile(Path({str(folder / 'a')!r}))\n"
        "print('open', flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def test_of_two_runs_into_one_folder_the_second_is_refused_until_the_first_has_ended(
    tmp_path: Path, clips: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with holder(out) as process:
        there = sorted(out.iterdir())
        assert len(there) == 2  # the ledger, and the unfinished file
        with pytest.raises(
            RequestError, match=r"another run is writing to .*out: wait for it, or choose another folder"
        ):
            render(graph(), [clips], out)
        assert sorted(out.iterdir()) == there
        process.send_signal(signal.SIGKILL)
        process.wait()
        render(graph(), [clips], out)
        assert sorted(path.name for path in out.iterdir()) == ["a.flac", "a.json", "c.flac", "c.json", "ledger.jsonl"]


# ---- going on -------------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again_and_what_failed_is_listed(clips: Path) -> None:
    out, seen, counts = clips.with_name("out"), list[Rendered](), list[tuple[int, int]]()
    first = render(graph(), [clips], out)
    assert [bool(row.error) for row in first] == [False, True, False]
    before = everything(out)
    rows = render(
        graph(), [clips], out, done=seen.append, resume=True, started=lambda due, done: counts.append((due, done))
    )
    assert len(STARTED) == 3
    assert everything(out) == before
    assert counts == [(0, 3)]
    assert seen == rows
    assert all(row.cached for row in rows)
    for then, now in zip(first, rows, strict=True):
        assert (now.id, now.source, now.targets, now.error) == (then.id, then.source, then.targets, then.error)
        assert now.audio_seconds == then.audio_seconds


def test_what_failed_is_tried_again_when_asked_for(clips: Path) -> None:
    resumed(clips)
    assert resumed(clips, resume=False, retry_failed=True) == ["b"]
    assert len(STARTED) == 4
    assert [line["id"] for line in lines(clips.with_name("out"))] == ["a", "b", "c", "b"]


def test_without_resume_a_run_renders_everything(clips: Path) -> None:
    assert resumed(clips) == resumed(clips, resume=False) == ["a", "b", "c"]


def test_the_notes_of_what_was_done_are_kept(clips: Path) -> None:
    first = render(graph(10), [clips / "a.wav"], clips.with_name("out"))
    again = render(graph(10), [clips / "a.wav"], clips.with_name("out"), resume=True)
    assert "beyond full scale were clipped" in first[0].notes[0]
    assert again[0].notes == first[0].notes


def test_another_parameter_renders_all_again(clips: Path) -> None:
    resumed(clips)
    old = everything(clips.with_name("out"))
    assert resumed(clips, 0.25) == ["a", "b", "c"]
    assert resumed(clips, 0.25) == []
    assert sorted(STARTED) == [0.25] * 3 + [0.5] * 3
    assert resumed(clips, 0.5) == ["a", "b", "c"]
    now = everything(clips.with_name("out"))
    del old["ledger.jsonl"], now["ledger.jsonl"]
    assert now == old


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns - 1))


def longer(path: Path) -> None:
    status = path.stat()
    soundfile.write(path, np.zeros(1700), 16000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGED: dict[str, tuple[Callable[[Path], object], dict[str, Any], list[str]]] = {
    "nothing": (lambda path: None, {}, []),
    "the time of an input": (touch, {}, ["a"]),
    "the size of an input": (longer, {}, ["a"]),
    "the format": (lambda path: None, {"suffix": ".wav"}, ["a", "b", "c"]),
    "an output that was taken away": (lambda path: (path.parents[1] / "out" / "a.flac").unlink(), {}, ["a"]),
    "what is said of it that was taken away": (lambda path: (path.parents[1] / "out" / "a.json").unlink(), {}, ["a"]),
    "a file that had failed": (lambda path: longer(path.with_name("b.wav")), {}, ["b"]),
    "the batch it is in": (lambda path: None, {"batch": 3}, []),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_what_has_changed_is_rendered_again_and_nothing_else(clips: Path, what: str) -> None:
    change, options, again = CHANGED[what]
    assert resumed(clips) == ["a", "b", "c"]
    change(clips / "a.wav")
    assert resumed(clips, **options) == again
    assert resumed(clips, **options) == []


def test_another_version_of_what_decodes_or_resamples_renders_all_again(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resumed(clips) == ["a", "b", "c"]
    monkeypatch.setattr("dspgraph.rendering.job.library_version", lambda name: f"another {name}")
    assert resumed(clips) == ["a", "b", "c"]
    assert resumed(clips) == []


@pytest.mark.parametrize("name", ["audio", "resampling", "arrays"])
def test_other_code_that_reads_files_renders_all_again(clips: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fresh() -> list[bool]:
        toy = Graph({"a": ToyScale()}, {"a.x": "x"}, {"x": Audio(16000)}, {"y": "a"})
        digests.add(toy.digest)
        return [not row.cached for row in render(toy, [clips], clips.with_name("out"), resume=True)]

    def edited(path: Path) -> SourceFile:
        return replace(read_source(path), digest="edited") if path.stem == name else read_source(path)

    digests: set[str] = set()
    assert fresh() == [True] * 3
    closure.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("dspgraph.closure.read_source", edited)
        assert fresh() == [True] * 3
        assert fresh() == [False] * 3
    closure.cache_clear()
    assert len(digests) == 1


def test_another_file_of_the_same_name_size_and_time_is_another_file(clips: Path) -> None:
    resumed(clips)
    other = clips.with_name("other")
    shutil.copytree(clips, other)
    for one in clips.iterdir():
        assert one.stat().st_mtime_ns == (other / one.name).stat().st_mtime_ns
    rows = render(graph(), [other], clips.with_name("out"), resume=True)
    assert not any(row.cached for row in rows)


def test_another_corpus_under_the_same_relative_path_is_another_corpus(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second corpus is rendered, although its sidecars would look the same, because they have relative paths."""
    for name in ("one", "two"):
        shutil.copytree(clips, clips.with_name(name) / "in")
        monkeypatch.chdir(clips.with_name(name))
        rows = render(graph(), ["in"], clips.with_name("out"), resume=True)
        assert not any(row.cached for row in rows)


def test_a_path_written_in_another_way_is_the_same_file(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed(clips)
    monkeypatch.chdir(clips)
    rows = render(graph(), ["../in"], clips.with_name("out"), resume=True)
    assert all(row.cached for row in rows)


@pytest.mark.parametrize(
    "now", [{"start": 0.01}, {"duration": 0.05}, {"channel": 0}, {"start": "1e-2", "duration": 0.05}]
)
def test_another_part_of_a_file_is_rendered_again(clips: Path, now: dict[str, Any]) -> None:
    manifest, out = clips / "m.jsonl", clips.with_name("out")

    def run(part: dict[str, Any]) -> bool:
        manifest.write_text(json.dumps({"path": "a.wav", **part}))
        (one,) = render(graph(), [manifest], out, resume=True)
        assert not one.error
        return not one.cached

    assert [run({}), run({}), run(now), run(now), run({})] == [True, False, True, False, True]


def test_a_file_that_appears_after_it_was_missed_is_rendered(clips: Path) -> None:
    out, late = clips.with_name("out"), clips / "late.wav"
    assert "does not exist" in render(graph(), [late], out)[0].error
    assert render(graph(), [late], out, resume=True)[0].cached
    shutil.copy(clips / "a.wav", late)
    assert render(graph(), [late], out, resume=True)[0].error == ""


def forget(out: Path, name: str) -> None:
    """Remove all lines of the id `name` from the ledger, as if the run had been killed just before it wrote them."""
    kept = [line for line in (out / "ledger.jsonl").read_text().splitlines(True) if json.loads(line)["id"] != name]
    (out / "ledger.jsonl").write_text("".join(kept))


def test_finished_files_without_a_line_in_the_ledger_are_kept(clips: Path) -> None:
    out = clips.with_name("out")
    resumed(clips, 10)
    before = everything(out)
    forget(out, "a")
    assert resumed(clips, 10) == []
    (line,) = [line for line in lines(out) if line["id"] == "a"]
    assert (line["status"], len(line["notes"]), line["size"]) == ("done", 1, (clips / "a.wav").stat().st_size)
    assert {**everything(out), "ledger.jsonl": b""} == {**before, "ledger.jsonl": b""}
    assert len(STARTED) == 3


def test_finished_files_with_an_older_line_in_the_ledger_are_kept_too(clips: Path) -> None:
    out = clips.with_name("out")
    resumed(clips, 0.25)
    old = (out / "ledger.jsonl").read_text()
    resumed(clips)
    (out / "ledger.jsonl").write_text(old)
    assert resumed(clips) == ["b"]
    assert resumed(clips) == []


FOREIGN: dict[str, Callable[[Path, Path], object]] = {
    "an input of another time": lambda clips, out: os.utime(clips / "a.wav", ns=(0, (out / "a.json").stat().st_mtime_ns + 1)),
    "nothing said of it": lambda clips, out: (out / "a.json").unlink(),
    "half of it said": lambda clips, out: (out / "a.json").write_bytes((out / "a.json").read_bytes()[:-9]),
    "something else said": lambda clips, out: (out / "a.json").write_text("[]"),
    "an output missing": lambda clips, out: (out / "a.flac").unlink(),
    "another source": lambda clips, out: (out / "a.json").write_text((out / "a.json").read_text().replace("in/a.wav", "in/c.wav")),
    "another digest": lambda clips, out: (out / "a.json").write_text((out / "a.json").read_text().replace('digest": "', 'digest": "0')),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_files_that_may_be_of_another_run_are_rendered_again(clips: Path, what: str) -> None:
    out = clips.with_name("out")
    resumed(clips)
    whole = everything(out)
    FOREIGN[what](clips, out)
    forget(out, "a")
    assert resumed(clips) == ["a"]
    size, mtime_ns = (clips / "a.wav").stat().st_size, (clips / "a.wav").stat().st_mtime_ns
    assert json.loads((out / "a.json").read_text())["input"] == {"size": size, "mtime_ns": mtime_ns}
    known = {"ledger.jsonl": b"", "a.json": b""}
    assert {**everything(out), **known} == {**whole, **known}


def test_without_a_ledger_no_file_of_one_corpus_is_taken_for_that_of_another(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result is not taken for that of a file with the same relative path in another folder.

    Two folders, each with a file `in/a.wav`, are rendered into one output folder. Before the second run, which resumes,
    the ledger is deleted.
    """
    other = clips.parent / "elsewhere" / clips.name
    other.mkdir(parents=True)
    soundfile.write(other / "a.wav", np.full(800, 0.5), 16000)
    out = clips.with_name("out")
    monkeypatch.chdir(clips.parent)
    render(graph(0.5), [Path(clips.name) / "a.wav"], out)
    (out / "ledger.jsonl").unlink()
    monkeypatch.chdir(other.parent)
    (row,) = render(graph(0.5), [Path(clips.name) / "a.wav"], out, resume=True)
    assert not row.cached
    assert soundfile.read(out / "a.flac")[0] == pytest.approx(np.full(800, 0.25), abs=1e-6)


def test_after_a_kill_between_two_files_of_an_item_the_item_is_rendered_again(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item whose audio is of another run than its sidecar and its line in the ledger is rendered again.

    The audio is of the second run, which was killed; the ledger and the sidecar are still of the first.
    """
    out = clips.with_name("out")
    resumed(clips)
    whole = everything(out)
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.suffix == ".json":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        resumed(clips, 0.25)
    monkeypatch.undo()
    assert everything(out) != whole
    assert resumed(clips) == ["a"]
    assert {**everything(out), "ledger.jsonl": b""} == {**whole, "ledger.jsonl": b""}


# ---- results of another run -----------------------------------------------------------------------------------------


def part(clips: Path, **more: Any) -> Path:
    (clips / "m.jsonl").write_text(json.dumps({"id": "a", "path": "a.wav", **more}))
    return clips / "m.jsonl"


def another(clips: Path) -> Path:
    (clips / "other").mkdir()
    return Path(shutil.copy(clips / "c.wav", clips / "other" / "a.wav"))


OTHERS: dict[str, tuple[Callable[[Path], tuple[Graph, Path, str]], str]] = {
    "a setting": (lambda clips: (graph(0.25), clips / "a.wav", ".flac"), "it was made with another pipeline, swap or setting, by `dspgraph render first`"),
    "a pipeline": (lambda clips: (Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"}), clips / "a.wav", ".flac"), "it was made with another pipeline, swap or setting"),
    "a recording": (lambda clips: (graph(), another(clips), ".flac"), "it was made from {clips}/a.wav"),
    "a part": (lambda clips: (graph(), part(clips, start=0.01), ".flac"), "it was made from another part of the same file"),
    "a format": (lambda clips: (graph(), clips / "a.wav", ".wav"), "it has the format "),
}  # fmt: skip


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("what", OTHERS)
def test_the_result_of_another_run_is_replaced_only_on_request(clips: Path, what: str, resume: bool) -> None:
    make, reason = OTHERS[what]
    out = clips.with_name("out")
    render(graph(), [clips / "a.wav"], out, command=Command("dspgraph render first"))
    now, file, suffix = make(clips)
    before = everything(out)
    with pytest.raises(RequestError) as refused:
        render(now, [file], out, suffix, overwrite=False, resume=resume)
    message = str(refused.value)
    assert message.startswith(f"{out} holds results of another run, which this run would replace: 'a': ")
    assert reason.format(clips=clips) in message
    assert message.endswith(": choose another folder, or give --overwrite to replace them")
    assert everything(out) == before
    assert not render(now, [file], out, suffix, overwrite=True, resume=resume)[0].cached
    assert everything(out) != before


@pytest.mark.parametrize("what", ["a setting", "a pipeline", "a format"])
def test_the_sidecar_says_what_a_result_is_if_the_ledger_is_gone(clips: Path, what: str) -> None:
    out = clips.with_name("out")
    render(graph(), [clips / "a.wav"], out)
    (out / "ledger.jsonl").unlink()
    now, file, suffix = OTHERS[what][0](clips)
    with pytest.raises(
        RequestError, match=r"out holds results of another run, .*: 'a': it (was made with|has the format)"
    ):
        render(now, [file], out, suffix, overwrite=False)
    assert not render(graph(), [clips / "a.wav"], out, overwrite=False)[0].error


@pytest.mark.parametrize("name", ["a.flac", "a.json"])
def test_a_file_that_no_run_has_recorded_is_replaced_only_on_request(clips: Path, name: str) -> None:
    out = clips.with_name("out")
    out.mkdir()
    (out / name).write_bytes(b"mine")
    with pytest.raises(
        RequestError, match=rf"'a': .*{name} is there, and no run has recorded it: choose another folder"
    ):
        render(graph(), [clips / "a.wav"], out, overwrite=False)
    assert (out / name).read_bytes() == b"mine"
    assert not render(graph(), [clips / "a.wav"], out, overwrite=False, resume=True)[0].error  # as after a kill


def test_the_same_result_may_be_made_again(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `overwrite`, a result may be made again with other code, and from a file that has changed.

    Results of other recordings with other settings may lie beside it. An item without results, because it has failed or
    its files have been removed, may be made with other settings.
    """
    out = clips.with_name("out")
    render(graph(), [clips / "a.wav"], out)
    monkeypatch.setattr("dspgraph.rendering.job.library_version", lambda name: f"another {name}")
    longer(clips / "a.wav")
    assert not render(graph(), [clips / "a.wav"], out, overwrite=False)[0].error
    assert not render(graph(0.25), [clips / "c.wav"], out, overwrite=False)[0].error
    assert render(graph(0.25), [clips / "b.wav"], out)[0].error
    assert render(graph(0.125), [clips / "b.wav"], out, overwrite=False)[0].error  # there is no result of b
    (out / "c.flac").unlink()
    (out / "c.json").unlink()
    assert not render(graph(0.125), [clips / "c.wav"], out, overwrite=False)[0].error  # nor of c, any more


def test_the_command_line_is_in_the_ledger_whole_and_in_the_sidecar_without_the_way_it_was_run(clips: Path) -> None:
    said = Command("dspgraph render p a.wav -o out -j 2", "dspgraph render p -s order=24")
    out = clips.with_name("out")
    render(graph(), [clips / "a.wav"], out, command=said)
    assert [line["command"] for line in lines(out)] == [said.line]
    assert json.loads((out / "a.json").read_text())["command"] == said.settings
    forget(out, "a")
    assert render(graph(), [clips / "a.wav"], out, resume=True, command=said)[0].cached
    assert [line["command"] for line in lines(out)] == [said.line]


# ---- no room --------------------------------------------------------------------------------------------------------


def test_a_ledger_without_room_keeps_its_lines_and_the_run_ends(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(row("a"))
        size = ledger.path.stat().st_size
        for room in range(size, size + len(json.dumps(row("b"))) + 1):
            with (
                files_no_larger_than(room),
                pytest.raises(FileError, match=r"ledger.jsonl cannot be written: File too"),
            ):
                ledger.append(row("b"))
            assert lines(tmp_path) == [row("a")]
        ledger.append(row("c"))
    assert lines(tmp_path) == [row("a"), row("c")]


@pytest.mark.parametrize("room", [0, 100, 400, 1000, 2000, 3000, 4000])
def test_a_run_without_room_leaves_nothing_in_part_and_goes_on_later(clips: Path, room: int) -> None:
    """All files that are left, the ledger apart, are complete, and a later run completes the results.

    room: the number of bytes that a file can have. An output has 3 kB and the whole ledger 1.5 kB, so the ledger can
    have no line, some lines, or lines of failed items only.
    """
    out = clips.with_name("out")
    whole = everything_of(clips)
    with files_no_larger_than(room), suppress(FileError):
        for row in render(graph(), [clips], out):
            assert not row.error or row.id == "b" or "cannot be written" in row.error
    left = {name for name in everything(out) if name != "ledger.jsonl"}
    assert all(everything(out)[name] == whole[name] for name in left)
    resumed(clips, retry_failed=True)
    assert {**everything(out), "ledger.jsonl": b""} == {**whole, "ledger.jsonl": b""}


def everything_of(clips: Path) -> dict[str, bytes]:
    """Render the clips into the folder `undisturbed` beside theirs; return path -> content of all files of the run."""
    render(graph(), [clips], clips.with_name("undisturbed"))
    return everything(clips.with_name("undisturbed"))


def test_a_folder_that_cannot_be_written_to_is_a_wrong_request(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder as on a read-only file system is refused, and stays unchanged.

    Permissions cannot be used, because the tests may run as root.
    """
    out = clips.with_name("out")
    resumed(clips)
    before = everything(out)
    opens = os.open

    def read_only(path: Any, flags: int, *mode: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opens(path, flags, *mode, **more)

    monkeypatch.setattr("os.open", read_only)
    with pytest.raises(RequestError, match=r"out cannot be written to: Read-only file system: choose another"):
        resumed(clips)
    monkeypatch.undo()
    assert everything(out) == before
