"""Files that an earlier run has left: which of them may be replaced, and which are kept."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dspgraph import Audio, Graph, Node, render
from helpers.renderings import MARK, Raises, Unprepared, copied, everything, graph
from helpers.speech import speech
from helpers.toys import ToyFrames


def spoilt(good: Path) -> None:
    """Replace the first sample of the file of the fixture `good` by `MARK`, so that the node `Raises` fails."""
    soundfile.write(good, np.concatenate([[MARK], speech()[8001:16000]]), 16000)


def with_rows(node: Node) -> Graph:
    """Return a graph with the outputs y (the input through `node`), z (the input) and rows (for an .npz file)."""
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
    """An item is rendered, its sidecar is changed to name the file `../voice.flac`, and the item fails in a later run.

    Then the sidecar is removed. That file stays, because it lies outside the folder; `good.wav` stays too, because the
    sidecar no longer names it.
    """
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
    """If an item fails, its files of an earlier run with another format or other outputs are removed.

    They have other names than the files of this run. Files of other items and foreign files stay. suffix: the format
    of the second run.
    """
    out = tmp_path / "out"
    render(with_rows(Raises()), [good, copied(good, "other.wav")], out, ".wav")
    others = {name: content for name, content in everything(out).items() if name.startswith("other")}
    (out / "good.aiff").write_text("mine")
    spoilt(good)
    (row,) = render(graph(Raises()), [good], out, suffix)
    assert row.error and everything(out) == {"good.aiff": b"mine", **others}


def test_an_older_output_that_another_item_has_replaced_stays(tmp_path: Path, good: Path) -> None:
    """When an item fails, an older output of it that another item has replaced is not removed.

    The item `good` with several outputs and the item `good.y` with one have an output file of the same name.
    """
    out, other = tmp_path / "out", copied(good, "good.y.wav")
    render(with_rows(Raises()), [good], out)
    render(graph(), [other], out)
    spoilt(good)
    render(graph(Raises()), [good], out)
    assert sorted(everything(out)) == ["good.y.flac", "good.y.json"]


def test_an_older_output_that_is_an_input_stays(tmp_path: Path, good: Path) -> None:
    """If items fail, older results of theirs that this run reads are not removed; the sidecars of these are.

    The last run reads `second.wav` for the items `first` and `second`, and `first.wav` only for the item `third`.
    """
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
    """Results are not removed if their input is missing: perhaps its disk is not mounted."""
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
