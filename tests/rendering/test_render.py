"""Rendering of files: every file has a result, and a file that fails does not affect the others."""

import gc
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Graph, Input, Node, Output, State, render
from dspgraph.errors import RequestError
from dspgraph.io.arrays import read_arrays
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.item import Item
from dspgraph.rendering.render import RenderJob
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.targets import make_folder
from helpers.renderings import MARK, Raises, Unprepared, copied, everything, graph, names, noisy, said
from helpers.speech import speech
from helpers.surroundings import no_longer_than
from helpers.toys import ToyFrames, ToyScale


class Divides(Node):
    """Divide a block by its first sample minus `MARK`: the output is not finite if the block begins with `MARK`."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        with np.errstate(all="ignore"):
            return state, x / (x[0] - MARK)


class Interrupted(Node):
    """Return each block unchanged, but raise KeyboardInterrupt, as Ctrl-C does, at a block that begins with `MARK`."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == MARK:
            raise KeyboardInterrupt
        return state, x


def link_to_itself(good: Path) -> Path:
    good.with_name("bad.wav").symlink_to("bad.wav")
    return good.with_name("bad.wav")


def taken(good: Path) -> Path:
    (good.parents[1] / "out" / "bad.flac" / "inside").mkdir(parents=True)
    return copied(good, "bad.wav")


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a target that is a folder": (taken, "bad.flac is a folder"),
    "a name with no room for a suffix": (lambda good: copied(good, "a" * 252), "File name too long"),
    "a name of 300 characters": (lambda good: good.with_name("a" * 300), "cannot be read: File name too long"),
    "a link to itself": (link_to_itself, "bad.wav cannot be read: Too many levels of symbolic links"),
    "a name that is no text": (lambda good: good.with_name(os.fsdecode(b"\xff.wav")), "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_one_row_and_costs_the_others_nothing(tmp_path: Path, good: Path, what: str) -> None:
    make, message = BAD[what]
    bad, seen = make(good), list[Rendered]()
    rows = render(graph(), [bad, good], tmp_path / "out", done=seen.append)
    assert seen == rows
    assert message in rows[0].error
    assert rows[0].targets == ()
    assert rows[1].error == ""
    assert [name for name in names(tmp_path / "out") if name != "bad.flac"] == ["good.flac"]


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_an_output_that_is_not_finite_is_a_row(tmp_path: Path, good: Path, marked: Path, suffix: str) -> None:
    rows = render(graph(Divides()), [marked, good], tmp_path / "out", suffix)
    assert f"bad.wav: the output for {tmp_path}/out/bad{suffix} is not finite from sample 0 (0.000 s)" in rows[0].error
    assert rows[1].error == ""
    assert names(tmp_path / "out") == [f"good{suffix}"]


def test_an_error_of_any_kind_is_a_row_that_names_it(tmp_path: Path, good: Path) -> None:
    (row,) = render(graph(Unprepared()), [good], tmp_path / "out")
    assert row.error.startswith(f"{good}: ")
    assert "FileNotFoundError: weights.safetensors" in row.error
    assert names(tmp_path / "out") == []


def test_a_bug_of_ours_is_a_row_that_names_it(tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, block: Array) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("dspgraph.io.audio.AudioSink.write", broken)
    (row,) = render(graph(), [good], tmp_path / "out")
    assert row.error == f"{good}: ZeroDivisionError: by zero"
    assert names(tmp_path / "out") == []


def test_an_interrupt_ends_the_run_and_leaves_nothing_half_written(tmp_path: Path, good: Path, marked: Path) -> None:
    seen: list[Rendered] = []
    with pytest.raises(KeyboardInterrupt):
        render(graph(Interrupted()), [good, marked], tmp_path / "out", done=seen.append)
    assert len(seen) == 1
    assert names(tmp_path / "out") == ["good.flac"]


@pytest.mark.parametrize("resume", [False, True])
def test_a_pipe_in_place_of_a_sidecar_is_replaced_and_not_waited_for(tmp_path: Path, good: Path, resume: bool) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "good.json")
    with no_longer_than(20):
        (row,) = render(graph(), [good], tmp_path / "out", resume=resume)
    assert row.error == ""
    assert json.loads((tmp_path / "out" / "good.json").read_text())["id"] == "good"


def test_a_folder_that_disappears_is_a_row_for_every_file(tmp_path: Path, good: Path) -> None:
    other = copied(good, "other.wav")
    rows = render(graph(), [good, other], tmp_path / "out", done=lambda row: shutil.rmtree(tmp_path / "out", True))
    assert rows[0].error == ""
    assert "other.flac cannot be written: No such file or directory" in rows[1].error


def test_a_file_of_one_sample_is_rendered(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), 48000)
    (row,) = render(graph(), [tmp_path / "one.wav"], tmp_path / "out")
    assert row.error == ""
    assert soundfile.info(row.targets[0]).frames == 1


def test_of_several_outputs_all_are_put_in_place_or_none(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file of the second output is too short, the item fails, and the file of the first is not kept either."""
    two = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"dry": "x", "wet": "end"})
    info = soundfile.info
    calls: list[object] = []

    def short(path: object) -> object:
        calls.append(path)
        found = info(path)
        found.frames -= len(calls) == 2  # the two outputs are looked at, in turn
        return found

    monkeypatch.setattr("soundfile.info", short)
    (row,) = render(two, [good], tmp_path / "out")
    assert len(calls) == 2
    assert "7999 of 8000 samples" in row.error
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize(("suffix", "subtype"), [(".wav", "PCM_16"), (".flac", "PCM_16"), (".wav", "PCM_24")])
def test_the_kind_of_samples_can_be_chosen_and_is_said(tmp_path: Path, good: Path, suffix: str, subtype: str) -> None:
    one = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})
    (row,) = render(one, [good], tmp_path / "out", suffix, subtype=subtype)
    assert soundfile.info(row.targets[0]).subtype == subtype
    found = said(tmp_path / "out", "good")
    assert found["format"] == f"{suffix[1:]}:{subtype}"
    assert found["outputs"]["y"]["subtype"] == subtype
    assert found["outputs"]["y"]["dither"] == ("TPDF" if subtype == "PCM_16" else "none")
    (again,) = render(one, [good], tmp_path / "out", suffix, subtype=subtype, resume=True)
    assert again.cached
    (other,) = render(one, [good], tmp_path / "out", suffix, resume=True)  # the default: other samples, so not the same
    assert not other.cached


def test_dither_depends_on_seed_item_and_output_and_on_nothing_else(tmp_path: Path, good: Path) -> None:
    def samples(name: str, seed: int = 0, ids: tuple[str, ...] = ("a",), batch: int = 1) -> dict[str, Array]:
        two = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"p": "end", "q": "end"}, seed=seed)
        manifest = good.with_name("m.jsonl")
        manifest.write_text("".join(json.dumps({"id": one, "path": str(good)}) + "\n" for one in ids))
        rows = render(two, [manifest], tmp_path / name, ".wav", subtype="PCM_16", batch=batch)
        return {path.name: soundfile.read(path, dtype="int16")[0] for row in rows for path in row.targets}

    first = samples("1")
    assert np.any(first["a.p.wav"] != first["a.q.wav"])
    several = samples("2", ids=("b", "a", "c"), batch=3)
    assert_array_equal(several["a.p.wav"], first["a.p.wav"])
    assert np.any(several["b.p.wav"] != several["a.p.wav"])
    assert np.any(samples("3", seed=1)["a.p.wav"] != first["a.p.wav"])


def test_an_encoder_that_would_die_costs_its_items_only(tmp_path: Path, good: Path) -> None:
    """libvorbis would end the process above 200 kHz, so such a rate is refused before libvorbis is called."""
    high = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(250_000)}, {"y": "end"})
    (row,) = render(high, [good], tmp_path / "out", ".ogg")
    assert re.search("good.ogg cannot be written: ogg:VORBIS holds up to 200000 Hz", row.error)
    assert names(tmp_path / "out") == []


# ---- all that can go wrong, at once ----------------------------------------------------------------------------------


def guilty(good: Path) -> Path:
    samples = speech()[:8000]
    samples[0] = MARK
    soundfile.write(good.with_name("raises.wav"), samples, 16000)
    return good.with_name("raises.wav")


def not_finite(good: Path) -> Path:
    samples = speech()[:8000]
    samples[4000] = np.nan
    soundfile.write(good.with_name("nan.wav"), samples, 16000, "FLOAT")
    return good.with_name("nan.wav")


def truncated(good: Path) -> Path:
    good.with_name("truncated.wav").write_bytes(good.read_bytes()[:-100])
    return good.with_name("truncated.wav")


def unreadable(good: Path) -> Path:
    """Make a folder with the name of an audio file, beside the file `good`, and return its path.

    Permissions cannot be used, because root may read every file.
    """
    good.with_name("unreadable.wav").mkdir()
    return good.with_name("unreadable.wav")


def piped(good: Path) -> Path:
    os.mkfifo(good.with_name("piped.wav"))
    return good.with_name("piped.wav")


def text(good: Path) -> Path:
    good.with_name("text.wav").write_text("This is no sound.")
    return good.with_name("text.wav")


FAILURES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "raises": (guilty, "raises.wav: end (raises) failed in the block that ends at 0.500 s: ValueError: not this one"),
    "nan": (not_finite, "nan.wav has a sample that is not a number, at 4000 (0.250 s): repair it"),
    "truncated": (truncated, "truncated.wav is truncated: its header promises 16000 bytes of samples, it has 15900"),
    "unreadable": (unreadable, "unreadable.wav is a folder, not a file"),
    "piped": (piped, "piped.wav is no regular file: save its content in a regular file"),
    "missing": (lambda good: good.with_name("missing.wav"), "missing.wav does not exist"),
    "text": (text, "text.wav is not an audio file that can be read: it is text."),
    "beyond": (lambda good: good, "has 0.5 s; the part from 9 s to its end has no samples"),
}  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_what_fails_is_a_row_with_its_reason_and_the_rest_is_there(tmp_path: Path, good: Path, batch: int) -> None:
    lines: list[dict[str, Any]] = []
    for name, (make, _) in FAILURES.items():
        lines.append({"id": f"good-{name}", "path": str(good), "start": Fraction(len(lines), 100)})
        lines.append({"id": name, "path": str(make(good)), "start": 9 if name == "beyond" else 0})
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(line, default=float) for line in lines))
    rows = render(graph(Raises()), [tmp_path / "m.jsonl"], tmp_path / "out", batch=batch)
    assert [row.id for row in rows] == [line["id"] for line in lines]
    for row in rows:
        if row.id in FAILURES:
            assert FAILURES[row.id][1] in row.error
            assert row.targets == ()
        else:
            assert row.error == ""
    assert names(tmp_path / "out") == sorted(f"good-{name}.flac" for name in FAILURES)
    rows_said = [json.loads(line) for line in (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()]
    assert {(said["id"], said["status"], said.get("error", "")) for said in rows_said} == {
        (row.id, "failed" if row.error else "done", row.error) for row in rows
    }
    alone = render(graph(Raises()), [tmp_path / "m.jsonl"], tmp_path / "alone")
    assert [row.error for row in alone] == [row.error for row in rows]


# ---- batch -----------------------------------------------------------------------------------------------------------


class Together(Node):
    """Halve the signals. If a block begins with `MARK`, `step` fails, and `step_many` fails for all signals at once."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == MARK:
            raise ValueError("guilty")
        return state, x / 2

    def step_many(self, states: Sequence[State], *inputs: Sequence[Array]) -> Any:
        if any(x[0] == MARK for x in inputs[0]):
            raise RuntimeError("one of these")
        return list(states), [x / 2 for x in inputs[0]]


def test_what_fails_for_a_whole_batch_costs_the_guilty_one_alone(tmp_path: Path, good: Path, marked: Path) -> None:
    files = [good, *(copied(good, f"{k}.wav") for k in range(5)), marked, *(copied(good, f"{k}.wav") for k in "abc")]
    rows = render(graph(Together()), files, tmp_path / "out", batch=4)
    assert [row.id for row in rows if row.error] == ["bad"]
    before, _, place = rows[6].error.partition(" (/")
    assert before == f"{marked}: end (together) failed in the block that ends at 0.000 s: RuntimeError: one of these"
    assert re.fullmatch(rf"{re.escape(__file__[1:])}, line \d+\)", place)
    assert len(names(tmp_path / "out")) == 9
    lines = (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(row.id for row in rows)  # one line each


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Return a folder with twenty clips of different lengths and three rates."""
    (tmp_path / "many").mkdir()
    for k in range(20):
        rate = (16000, 22050, 48000)[k % 3]
        soundfile.write(tmp_path / "many" / f"{k}.wav", speech()[k * 500 :][: 1600 + 1733 * k % 9000], rate)
    return tmp_path / "many"


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", [".flac", ".wav", ".ogg"])
def test_batch_changes_no_byte_of_any_file(tmp_path: Path, many: Path, suffix: str) -> None:
    for batch in 1, 3, 16:
        rows = render(noisy(), [many], tmp_path / str(batch), suffix, batch=batch)
        assert not any(row.error for row in rows)
    found = everything(tmp_path / "1")
    assert len(found) == 20 * 4
    assert everything(tmp_path / "3") == everything(tmp_path / "16") == found


def test_a_batch_that_is_none_is_refused(tmp_path: Path, good: Path) -> None:
    with pytest.raises(RequestError, match="a batch has at least 1 place; found 0"):
        render(graph(), [good], tmp_path / "out", batch=0)
    assert not (tmp_path / "out").exists()


def test_files_are_closed_as_they_are_done(tmp_path: Path, many: Path) -> None:
    """At the end no more files are open than before, and in between never more than the batch needs."""
    gc.collect()  # close the files that other tests have left open
    begun, most = len(os.listdir("/proc/self/fd")), []
    render(noisy(), [many], tmp_path / "out", batch=2, done=lambda row: most.append(len(os.listdir("/proc/self/fd"))))
    assert len(os.listdir("/proc/self/fd")) == begun
    assert max(most) <= begun + 1 + 2 * 4  # the ledger; an input, two outputs and the rows of each


# ---- systems ---------------------------------------------------------------------------------------------------------


def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)


def no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("signal.pthread_sigmask")


@pytest.mark.parametrize("lacks", [no_locks, no_masks])
def test_a_system_that_is_not_supported_is_a_wrong_request(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, lacks: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """A system without POSIX file locks or signal masks is refused before anything is written.

    Windows has neither.
    """
    monkeypatch.setattr("platform.system", lambda: "Windows")
    lacks(monkeypatch)
    with pytest.raises(RequestError, match="renders and compares on Linux and macOS; this system is Windows: use one"):
        render(graph(), [good], tmp_path / "out")
    with pytest.raises(RequestError, match="this system is Windows"):
        list(Processes(1).run(RenderJob(graph(), tmp_path), [Item("good", good)]))
    assert not (tmp_path / "out").exists()


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_slash_in_the_name_of_an_output_is_a_dot_in_the_name_of_its_file(tmp_path: Path, good: Path) -> None:
    nodes, wires = {"in/end": ToyScale(factor=0.5), "in/f0": ToyFrames()}, {"in/end.x": "x", "in/f0.x": "x"}
    two = Graph(nodes, wires, {"x": Audio(16000)}, {"in/end": "in/end", "c": "x", "in/f0": "in/f0"})
    (row,) = render(two, [good], tmp_path / "out")
    assert [path.name for path in row.targets] == ["good.in.end.flac", "good.c.flac", "good.npz"]
    np.testing.assert_allclose(2 * soundfile.read(row.targets[0])[0], soundfile.read(row.targets[1])[0], atol=2**-22)
    described = json.loads((tmp_path / "out" / "good.json").read_text())["outputs"]
    assert {name: one["file"] for name, one in described.items()} == {
        "in/end": "good.in.end.flac", "c": "good.c.flac", "in/f0": "good.npz"
    }  # fmt: skip
    assert list(read_arrays(row.targets[2])) == ["in/f0"]
    assert all(one.cached for one in render(two, [good], tmp_path / "out", resume=True))


def test_two_outputs_with_the_same_file_are_refused(tmp_path: Path, good: Path) -> None:
    two = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y/z": "end", "y.z": "x"})
    with pytest.raises(RequestError, match=r"the outputs 'y/z' and 'y\.z' would both be written to a file '\.y\.z'"):
        render(two, [good], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_only_output_may_have_any_name(tmp_path: Path, good: Path) -> None:
    one = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y/z": "end"})
    assert render(one, [good], tmp_path / "out")[0].targets == (tmp_path / "out" / "good.flac",)


def test_a_format_that_is_not_written_is_a_wrong_request(tmp_path: Path, good: Path) -> None:
    with pytest.raises(RequestError, match=r"the formats that can be written are \.flac, \.wav, \.ogg; found '\.mp3'"):
        render(graph(), [good], tmp_path / "out", ".mp3")
    assert not (tmp_path / "out").exists()


def test_a_rate_beyond_files_is_a_wrong_request(tmp_path: Path, good: Path) -> None:
    fast = Graph({}, {}, {"x": Audio(3_000_000_000)}, {"y": "x"})
    with pytest.raises(RequestError, match=r"a whole number of samples per second below 2\*\*31; .* 'y' is Audio"):
        render(fast, [good], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_looking_whether_a_folder_can_be_written_to_makes_no_name_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is tried with a file that has no name, so a process that is killed meanwhile leaves no file behind."""
    unlinked: list[object] = []
    monkeypatch.setattr("os.unlink", unlinked.append)
    make_folder(tmp_path)
    assert unlinked == []
    assert names(tmp_path) == []


def test_looking_whether_a_folder_can_be_written_to_touches_no_file_in_it(tmp_path: Path) -> None:
    (tmp_path / ".dspgraph.part").write_text("mine")
    make_folder(tmp_path)
    assert names(tmp_path) == [".dspgraph.part"]
    assert (tmp_path / ".dspgraph.part").read_text() == "mine"
