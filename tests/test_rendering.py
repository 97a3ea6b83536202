"""Rendering files: each is a row, whatever becomes of it, and no row costs another one its own."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dspgraph import Array, Audio, Graph, Input, Node, Output, State, render
from dspgraph.errors import RequestError
from dspgraph.rendering import Rendered, make_folder
from speech import speech
from toys import ToyScale

MARK = 0.25
"""A first sample that makes the nodes below misbehave: one file in a run is bad, the others are not."""


class Divides(Node):
    """Divide by how far the first sample of a block is from the mark."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        with np.errstate(all="ignore"):
            return state, x / (x[0] - MARK)


class Interrupted(Node):
    """Be interrupted, as by Ctrl-C, in a marked file."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == MARK:
            raise KeyboardInterrupt
        return state, x


class Unprepared(Node):
    """Miss a file it needs as it starts."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        raise FileNotFoundError("weights.safetensors")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


def graph(node: Node | None = None) -> Graph:
    return Graph({"end": node or ToyScale(factor=0.5)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


def names(folder: Path) -> list[str]:
    """What is in a folder, but the ledger, and what stands beside outputs about them."""
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

    monkeypatch.setattr("dspgraph.audio_io.AudioSink.write", broken)
    (row,) = render(graph(), [good], tmp_path / "out")
    assert row.error == f"{good}: ZeroDivisionError: by zero"
    assert names(tmp_path / "out") == []


def test_an_interrupt_ends_the_run_and_leaves_nothing_half_written(tmp_path: Path, good: Path, marked: Path) -> None:
    seen: list[Rendered] = []
    with pytest.raises(KeyboardInterrupt):
        render(graph(Interrupted()), [good, marked], tmp_path / "out", done=seen.append)
    assert len(seen) == 1
    assert names(tmp_path / "out") == ["good.flac"]


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
        found.frames -= len(calls) == 3  # the input and the two outputs are looked at, in turn
        return found

    monkeypatch.setattr("soundfile.info", short)
    (row,) = render(two, [good], tmp_path / "out")
    assert len(calls) == 3
    assert "7999 of 8000 samples" in row.error
    assert names(tmp_path / "out") == []


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
    with pytest.raises(RequestError, match=r"only \.flac, \.wav, \.ogg are written; found '\.mp3'"):
        render(graph(), [good], tmp_path / "out", ".mp3")
    assert not (tmp_path / "out").exists()


def test_a_rate_beyond_files_is_a_wrong_request(tmp_path: Path, good: Path) -> None:
    fast = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(3_000_000_000)}, {"y": "end"})
    with pytest.raises(RequestError, match=r"a whole number of samples per second below 2\*\*31; .* 'y' is Audio"):
        render(fast, [good], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_looking_whether_a_folder_can_be_written_to_touches_no_file_in_it(tmp_path: Path) -> None:
    (tmp_path / ".dspgraph.part").write_text("mine")
    make_folder(tmp_path)
    assert names(tmp_path) == [".dspgraph.part"]
    assert (tmp_path / ".dspgraph.part").read_text() == "mine"
