"""Rendering files: every file has a result, and a file that fails costs no other file its result."""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, File, Graph, Input, Node, Output, State, render
from dspgraph.closure import closure
from dspgraph.errors import RequestError
from dspgraph.io.arrays import ArraySource
from dspgraph.registry import load_all
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.item import Item
from dspgraph.rendering.render import RenderJob, render_file
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.targets import make_folder
from helpers.paths import TOYS
from helpers.speech import speech
from helpers.surroundings import no_longer_than
from helpers.toys import ToyEnergy, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum

MARK = 0.25
"""The first sample of a bad file: the nodes below misbehave on it."""


class Divides(Node):
    """Divide by the difference between the first sample of a block and the mark."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        with np.errstate(all="ignore"):
            return state, x / (x[0] - MARK)


class Interrupted(Node):
    """Raise KeyboardInterrupt, as Ctrl-C does, in a marked file."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == MARK:
            raise KeyboardInterrupt
        return state, x


class Unprepared(Node):
    """Fail as it starts, because a file is missing."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        raise FileNotFoundError("weights.safetensors")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


def graph(node: Node | None = None) -> Graph:
    return Graph({"end": node or ToyScale(factor=0.5)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


def names(folder: Path) -> list[str]:
    """Return the names in a folder, without the ledger and the sidecars."""
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".json", ".jsonl"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "good.wav", speech()[8000:16000], 16000)
    return tmp_path / "in" / "good.wav"


@pytest.fixture
def marked(tmp_path: Path, good: Path) -> Path:
    soundfile.write(good.with_name("bad.wav"), np.array([MARK, 0.5, -MARK]), 16000)
    return good.with_name("bad.wav")


def copied(good: Path, name: str) -> Path:
    return Path(shutil.copy(good, good.with_name(name)))


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
    """The file of the first output turns out short when it is closed, after the second one was written whole."""
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
    """Above 200 kHz libvorbis ends the process."""
    high = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(250_000)}, {"y": "end"})
    (row,) = render(high, [good], tmp_path / "out", ".ogg")
    assert re.search("good.ogg cannot be written: ogg:VORBIS holds up to 200000 Hz", row.error)
    assert names(tmp_path / "out") == []


# ---- all that can go wrong, at once ---------------------------------------------------------------------------------


def guilty(good: Path) -> Path:
    samples = speech()[:8000]
    samples[0] = MARK
    soundfile.write(good.with_name("raises.wav"), samples, 16000)
    return good.with_name("raises.wav")


class Raises(Node):
    """Fail at a marked file, in its second block."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == MARK:
            raise ValueError("not this one")
        return state, x


def not_finite(good: Path) -> Path:
    samples = speech()[:8000]
    samples[4000] = np.nan
    soundfile.write(good.with_name("nan.wav"), samples, 16000, "FLOAT")
    return good.with_name("nan.wav")


def truncated(good: Path) -> Path:
    good.with_name("truncated.wav").write_bytes(good.read_bytes()[:-100])
    return good.with_name("truncated.wav")


def unreadable(good: Path) -> Path:
    """A folder: permissions would not do, because root may read every file."""
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
    "piped": (piped, "piped.wav is no regular file: copy what it gives to a file"),
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


# ---- what an earlier run has left -----------------------------------------------------------------------------------


def spoilt(good: Path) -> None:
    """The file as it was, but marked, so that the node `Raises` fails."""
    soundfile.write(good, np.concatenate([[MARK], speech()[8001:16000]]), 16000)


def with_rows(node: Node) -> Graph:
    """Two audio outputs, and rows in an .npz file."""
    nodes = {"end": node, "rows": ToyFrames()}
    wires = {"end.x": "x", "rows.x": "x"}
    return Graph(nodes, wires, {"x": Audio(16000)}, {"y": "end", "z": "x", "rows": "rows"})


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_an_item_that_fails_leaves_no_older_output_of_its_name(
    tmp_path: Path, good: Path, resume: bool, batch: int
) -> None:
    out, other = tmp_path / "out", copied(good, "other.wav")
    render(with_rows(Raises()), [good, other], out)
    assert sorted(everything(out)) == sorted(
        f"{name}.{end}" for name in ("good", "other") for end in ("json", "npz", "y.flac", "z.flac")
    )
    whole = everything(out)
    (out / "good.txt").write_text("mine")
    spoilt(good)
    row, _ = render(with_rows(Raises()), [good, other], out, resume=resume, batch=batch)
    assert "not this one" in row.error and "removed" not in row.error
    assert everything(out) == {"good.txt": b"mine"} | {
        name: content for name, content in whole.items() if name.startswith("other")
    }


def test_another_graph_that_fails_leaves_no_older_output_either(tmp_path: Path, good: Path) -> None:
    render(graph(), [good], tmp_path / "out")
    render(graph(Unprepared()), [good], tmp_path / "out")
    assert everything(tmp_path / "out") == {}


FOREIGN: dict[str, Callable[[Path], object]] = {
    "no sidecar": lambda out: (out / "good.json").unlink(),
    "a sidecar of something else": lambda out: (out / "good.json").write_text('{"outputs": {"y": {"file": "good.flac"}}}'),
    "a sidecar that is not JSON": lambda out: (out / "good.json").write_text("mine"),
    "a sidecar of another item": lambda out: (out / "good.json").write_text((out / "good.json").read_text().replace('"id": "good"', '"id": "a"')),
    "a list": lambda out: (out / "good.json").write_text("[1]"),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_a_file_that_no_run_has_written_stays(tmp_path: Path, good: Path, what: str) -> None:
    out = tmp_path / "out"
    render(graph(), [good], out)
    FOREIGN[what](out)
    before = everything(out)
    assert render(graph(Unprepared()), [good], out)[0].error
    assert everything(out) == before


def test_a_file_of_another_name_in_a_sidecar_stays(tmp_path: Path, good: Path) -> None:
    """A sidecar that was changed by hand removes nothing outside its folder."""
    out = tmp_path / "out"
    render(graph(), [good], out, ".wav")
    (tmp_path / "voice.flac").write_text("mine")
    text = (out / "good.json").read_text()
    (out / "good.json").write_text(text.replace('"file": "good.wav"', '"file": "../voice.flac"'))
    render(graph(Unprepared()), [good], out)
    assert (tmp_path / "voice.flac").read_text() == "mine"
    assert list(everything(out)) == ["good.wav"]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_older_outputs_of_other_names_are_removed_with_their_sidecar(tmp_path: Path, good: Path, suffix: str) -> None:
    """The earlier run had another format or other outputs."""
    out = tmp_path / "out"
    render(with_rows(Raises()), [good, copied(good, "other.wav")], out, ".wav")
    others = {name: content for name, content in everything(out).items() if name.startswith("other")}
    (out / "good.aiff").write_text("mine")
    spoilt(good)
    (row,) = render(graph(Raises()), [good], out, suffix)
    assert row.error and everything(out) == {"good.aiff": b"mine", **others}


def test_an_older_output_that_another_item_has_replaced_stays(tmp_path: Path, good: Path) -> None:
    """`good` with two outputs, and `good.y` with one, have a file of the same name."""
    out, other = tmp_path / "out", copied(good, "good.y.wav")
    render(with_rows(Raises()), [good], out)
    render(graph(), [other], out)
    spoilt(good)
    render(graph(Raises()), [good], out)
    assert sorted(everything(out)) == ["good.y.flac", "good.y.json"]


def test_an_older_output_that_is_an_input_stays(tmp_path: Path, good: Path) -> None:
    """`first.json` speaks of two files from which the second run reads: that of its own item, and of another item."""
    out, lines = tmp_path / "out", tmp_path / "m.jsonl"
    for name in ("first", "second"):
        render(graph(), [copied(good, f"{name}.wav")], out, ".wav")
    before = everything(out)
    items = [{"id": "first", "path": "out/second.wav"}, {"id": "second", "path": "out/second.wav"}, {"id": "third", "path": "out/first.wav"}]  # fmt: skip
    lines.write_text("\n".join(map(json.dumps, items)))
    assert all(row.error for row in render(graph(Unprepared()), [lines], out))
    assert everything(out) == {name: content for name, content in before.items() if name.endswith(".wav")}


def test_nothing_goes_through_a_link_out_of_the_folder(tmp_path: Path, good: Path) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"id": "sub/good", "path": str(good)}))
    render(graph(), [manifest], out)
    (out / "sub").rename(elsewhere)
    (out / "sub").symlink_to(elsewhere)
    before = everything(elsewhere)
    assert len(before) == 2 and render(graph(Unprepared()), [manifest], out)[0].error
    assert everything(elsewhere) == before


def test_the_outputs_of_an_input_that_is_not_there_stay(tmp_path: Path, good: Path) -> None:
    """A disk that is not mounted must not cost a corpus."""
    out = tmp_path / "out"
    render(graph(), [good], out)
    before = everything(out)
    good.rename(good.with_name("elsewhere.wav"))
    (row,) = render(graph(), [good], out, resume=True)
    assert "does not exist" in row.error and everything(out) == before
    good.with_name("elsewhere.wav").rename(good)
    assert not render(graph(), [good], out, retry_failed=True)[0].error


def test_an_older_output_that_cannot_be_removed_is_said(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    render(graph(), [good], out)
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".flac":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    (row,) = render(graph(Unprepared()), [good], out)
    assert row.error.endswith(f"; {out}/good.flac, of an earlier run, cannot be removed: Permission denied")
    assert sorted(everything(out)) == ["good.flac", "good.json"]


# ---- batch --------------------------------------------------------------------------------------------------------


class Together(Node):
    """A node whose `step_many` fails for all signals if one of them is marked."""

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


def noisy() -> Graph:
    """Noise, a node that holds back, one that waits for the whole signal, and rows beside audio."""
    noise = {"noise": ToyNoise(seed=3), "soft": ToyScale(factor=0.1), "late": ToyLate()}
    nodes = {**noise, "sum": ToySum(), "end": ToyPeak(), "rows": ToyFrames(hop=100)}
    wires: dict[str, Any] = {"noise.like": "x", "soft.x": "noise", "late.x": "soft", "sum.x": ("x", "late")}
    wires |= {"end.x": "sum", "rows.x": "noise"}
    return Graph(nodes, wires, {"x": Audio(16000)}, {"y": "end", "z": "late", "rows": "rows"}, seed=7)


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "ledger.jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty clips of different lengths and three rates."""
    (tmp_path / "many").mkdir()
    for k in range(20):
        rate = (16000, 22050, 48000)[k % 3]
        soundfile.write(tmp_path / "many" / f"{k}.wav", speech()[k * 500 :][: 1600 + 1733 * k % 9000], rate)
    return tmp_path / "many"


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
    """At the end as many files are open as before, and never more than the batch needs."""
    begun, most = len(os.listdir("/proc/self/fd")), []
    render(noisy(), [many], tmp_path / "out", batch=2, done=lambda row: most.append(len(os.listdir("/proc/self/fd"))))
    assert len(os.listdir("/proc/self/fd")) == begun
    assert max(most) <= begun + 1 + 2 * 4  # the ledger; an input, two outputs and the rows of each


# ---- sidecars -------------------------------------------------------------------------------------------------------


class Tabled(Node):
    """A node with a file as parameter."""

    x = Input(Audio)
    y = Output(Audio)

    table: File

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


def said(out: Path, name: str) -> Any:
    return json.loads((out / f"{name}.json").read_text())


def test_the_sidecar_says_what_the_outputs_are_and_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "v.wav", np.stack([speech()[:44100], speech()[:44100]], axis=1), 44100, "DOUBLE")
    manifest = tmp_path / "in" / "m.jsonl"
    manifest.write_text('{"id": "s/v", "path": "v.wav", "start": 0.25, "duration": "0.5", "channel": 1}')
    (row,) = render(noisy(), [manifest], tmp_path / "out")
    found = said(tmp_path / "out", "s/v")
    assert list(found) == [
        "id",
        "source",
        "input",
        "digest",
        "reader",
        "format",
        "start",
        "duration",
        "channel",
        "notes",
        "outputs",
        "graph",
    ]
    assert (found["id"], found["source"], found["format"]) == ("s/v", f"{tmp_path}/in/v.wav", "flac:PCM_24")
    assert (found["start"], found["duration"], found["channel"]) == ("1/4", "1/2", 1)
    assert found["digest"] == noisy().digest
    source = closure("dspgraph.io.audio", "dspgraph.io.arrays").digest
    assert found["reader"] == {"source": source, **{name: version(name) for name in ("numpy", "soundfile", "soxr")}}
    assert tuple(found["notes"]) == row.notes == ("resampled from 44100 Hz to 16000 Hz", "took channel 1 of 2")
    assert {name: (one["file"], one["items"]) for name, one in found["outputs"].items()} == {
        "y": ("v.y.flac", 8000), "z": ("v.z.flac", 8000), "rows": ("v.npz", 80)
    }  # fmt: skip
    assert {"stream": "Frames", "rate": "160", "kind": "wave", "width": 100}.items() <= found["outputs"]["rows"].items()
    audio = {
        "stream": "Audio",
        "rate": "16000",
        "channels": 1,
        "dtype": "float64",
        "subtype": "PCM_24",
        "dither": "none",
    }
    assert audio.items() <= found["outputs"]["y"].items()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_hash_is_of_the_samples_as_they_were_computed(tmp_path: Path, dtype: type) -> None:
    """So it is the same for every file format."""
    soundfile.write(tmp_path / "v.wav", speech()[:20000], 16000)
    x = soundfile.read(tmp_path / "v.wav")[0].astype(dtype)
    whole = noisy()
    exact = Graph(whole.nodes, whole.wires, {"x": Audio(16000, dtype=dtype)}, whole.origins, seed=7)
    wanted = {name: hashlib.sha256(samples.tobytes()).hexdigest() for name, samples in exact(x=x).items()}
    for suffix in ".flac", ".ogg":
        render(exact, [tmp_path / "v.wav"], tmp_path / "out", suffix)
        found = said(tmp_path / "out", "v")["outputs"]
        assert {name: one["sha256"] for name, one in found.items()} == wanted


def test_the_sidecar_is_the_same_in_every_run(tmp_path: Path, good: Path) -> None:
    for out in "a", "b":
        render(noisy(), [good], tmp_path / out)
    assert (tmp_path / "a" / "good.json").read_bytes() == (tmp_path / "b" / "good.json").read_bytes()


def test_the_sidecar_is_enough_to_make_the_graph_again(tmp_path: Path, good: Path) -> None:
    """From the file alone, and the classes of the nodes by their names: the outputs are the same bytes."""
    render(noisy(), [good], tmp_path / "out")
    found = said(tmp_path / "out", "good")["graph"]
    classes = load_all([TOYS])
    by_name = {kind.type_name: kind for kind in (ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum)}
    assert by_name.keys() <= classes.keys()
    nodes = {name: by_name[node["type"]](**node["parameters"]) for name, node in found["nodes"].items()}
    wires = {
        f"{name}.{port}": origin if isinstance(origin, str) else tuple(origin)
        for name, node in found["nodes"].items()
        for port, origin in node["wires"].items()
    }
    inputs = {
        name: Audio(Fraction(one["rate"]), one["channels"], one["dtype"]) for name, one in found["inputs"].items()
    }
    again = Graph(nodes, wires, inputs, found["outputs"], seed=found["seed"])
    assert again.digest == noisy().digest
    render(again, [good], tmp_path / "again")
    assert everything(tmp_path / "again") == everything(tmp_path / "out")


def test_the_sidecar_holds_the_sources_of_the_graph(tmp_path: Path, good: Path) -> None:
    (tmp_path / "table").write_text("1")
    one = graph(Tabled(table=str(tmp_path / "table")))
    render(one, [good], tmp_path / "out")
    found = said(tmp_path / "out", "good")["graph"]
    assert found == json.loads(json.dumps(one.description))
    assert found["versions"]["numpy"] == np.__version__
    assert list(found["sources"].values()) == [["tabled"]]


def test_outputs_without_audio_have_a_sidecar_too(tmp_path: Path, good: Path) -> None:
    nodes = {"f": ToyFrames(), "e": ToyEnergy()}
    rows = Graph(nodes, {"f.x": "x", "e.frames": "f"}, {"x": Audio(16000)}, {"level": "e.level", "sign": "e.sign"})
    render(rows, [good], tmp_path / "out")
    found = said(tmp_path / "out", "good")["outputs"]
    (blocks,) = ArraySource(tmp_path / "out" / "good.npz", rows.outputs).blocks(Fraction(10))
    for name, array in blocks.items():
        assert found[name]["sha256"] == hashlib.sha256(array.tobytes()).hexdigest()
        assert (found[name]["file"], found[name]["items"]) == ("good.npz", 50)


def test_render_file_writes_no_sidecar(tmp_path: Path, good: Path) -> None:
    row = render_file(graph(), good, {"y": tmp_path / "voice.flac"})
    assert (row.error, row.targets) == ("", (tmp_path / "voice.flac",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "voice.flac"]


# ---- systems --------------------------------------------------------------------------------------------------------


def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)


def no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("signal.pthread_sigmask")


@pytest.mark.parametrize("lacks", [no_locks, no_masks])
def test_a_system_that_is_not_supported_is_a_wrong_request(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, lacks: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """As on Windows, which has neither."""
    monkeypatch.setattr("platform.system", lambda: "Windows")
    lacks(monkeypatch)
    with pytest.raises(RequestError, match="renders and compares on Linux and macOS; this system is Windows: use one"):
        render(graph(), [good], tmp_path / "out")
    with pytest.raises(RequestError, match="this system is Windows"):
        list(Processes(1).run(RenderJob(graph(), tmp_path), [Item("good", good)]))
    assert not (tmp_path / "out").exists()


# ---- requests -------------------------------------------------------------------------------------------------------


def test_an_output_name_that_is_no_file_name_is_refused(tmp_path: Path, good: Path) -> None:
    two = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y/z": "end", "c": "x"})
    with pytest.raises(RequestError, match="the output 'y/z' is part of a file name: rename it"):
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
    """A process that is killed at that moment leaves no file behind, as a named file would be."""
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
