"""The files of a phone study: alignments are matched with recordings, and notes say what does not match."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Audio, Frames, Symbols
from dspgraph.errors import FileError, RequestError
from dspgraph.io.arrays import ArraySink
from dspgraph.plotting.phone_files import study_files
from helpers.mixtures import RATE, STREAM, mixtures, spoken, write_labels, write_mixture

SCALES = {"AH0_B": 10**-3.25, "AH1_E": 10**-2.55, "sil": 10**-4.95}
N = 8000
PHONES = spoken(list(SCALES), N)
ROWS = mixtures(PHONES, SCALES)


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    return write_mixture(tmp_path / "u.npz", ROWS)


def test_the_scale_of_every_phone_comes_through_files(npz: Path) -> None:
    found = study_files(npz, write_labels(npz.with_suffix(".lab"), PHONES))
    assert found.phones == sorted(SCALES)
    for phone in found.phones:
        assert_allclose(found.rows[phone].mean, math.log10(SCALES[phone]), rtol=1e-12)
        assert found.rows[phone].samples == sum(b - a for a, b, name in PHONES if name == phone)
    assert found.notes == ["100 % of 8000 samples are in an interval"]


def test_an_offset_brings_an_alignment_back(npz: Path) -> None:
    """An offset of -768 samples corrects labels that are 768 samples late.

    Without the offset, phones get samples of their neighbours, and a note says how much lies beyond the end.
    """
    late = write_labels(npz.with_suffix(".lab"), PHONES, late=768)
    shifted, right = study_files(npz, late), study_files(npz, late, offset="-768/16000")
    assert right.rows["sil"].deviation < 1e-7
    assert shifted.rows["sil"].deviation > 0.1
    assert shifted.notes[:2] == ["90.4 % of 8000 samples are in an interval", "0.048 s of intervals lie beyond the end"]


def test_labels_are_folded(npz: Path) -> None:
    labels = write_labels(npz.with_suffix(".lab"), PHONES)
    assert study_files(npz, labels, folds=["position"]).phones == ["AH0", "AH1", "sil"]
    assert study_files(npz, labels, folds=["stress"]).phones == ["AH_B", "AH_E", "sil"]
    assert study_files(npz, labels, folds=["position", "stress"]).phones == ["AH", "sil"]


def test_folders_are_brought_together_by_name(tmp_path: Path) -> None:
    frames, labels = tmp_path / "frames", tmp_path / "labels"
    (frames / "more").mkdir(parents=True)
    labels.mkdir()
    for name in ("a", "more/b", "c"):
        write_mixture(frames / f"{name}.npz", ROWS)
    write_labels(labels / "a.lab", PHONES)
    (labels / "b.ctm").write_text("b 1 0.1 0.2 x\n")
    found = study_files(frames, labels)
    assert found.rows["x"].samples == 3200
    assert found.rows["(outside)"].samples == 4800
    assert found.notes == [
        "70 % of 16000 samples are in an interval",
        "1 of 3 recordings have no alignment and are left out, for instance 'c'",
    ]
    many = tmp_path / "all.ctm"
    many.write_text("a 1 0 0.5 x\nb 1 0 0.25 y\nd 1 0 1 z\n")
    found = study_files(frames, many)
    assert {phone: row.samples for phone, row in found.rows.items()} == {"x": 8000, "y": 4000, "(outside)": 4000}
    with pytest.raises(RequestError, match="is one alignment, for 3 recordings: give a folder"):
        study_files(frames, labels / "a.lab")
    with pytest.raises(RequestError, match="has no alignment of any of 3 recordings, for instance 'a'"):
        study_files(frames, tmp_path / "frames")
    with pytest.raises(RequestError, match=r"labels has no .npz files"):
        study_files(labels, labels)
    with pytest.raises(RequestError, match="is a folder: an utterance is chosen in a file"):
        study_files(frames, labels, utterance="a")


def test_one_recording_takes_the_utterance_of_its_name_or_the_chosen_one(npz: Path) -> None:
    many = npz.with_suffix(".ctm")
    many.write_text("u 1 0 0.5 x\nv 1 0 0.5 y\n")
    assert study_files(npz, many).phones == ["x"]
    assert study_files(npz, many, utterance="v").phones == ["y"]
    many.write_text("v 1 0 0.5 y\n")
    assert study_files(npz, many).phones == ["y"]  # there is no other
    many.write_text("v 1 0 0.5 y\nw 1 0 0.5 y\n")
    with pytest.raises(FileError, match="has 2 utterances: choose one by its name"):
        study_files(npz, many)


def test_notes_of_alignments_are_told_once(tmp_path: Path) -> None:
    for name in "ab":
        write_mixture(tmp_path / f"{name}.npz", ROWS)
        (tmp_path / f"{name}.lab").write_text("0 1000000 x-y+z\n")
    found = study_files(tmp_path, tmp_path)
    assert found.notes[1:] == ["a and 1 more: 1 labels have a context: the phone between '-' and '+' is taken"]


def test_scales_are_studied_too_and_a_stream_is_chosen_by_its_name(tmp_path: Path) -> None:
    """A study takes streams of scales as the node `mixture_scale` returns them: natural logarithms, one in each row.

    Of several such streams in a file, one must be chosen by its name.
    """
    streams = {
        "expected": Frames(RATE, "log_scale", 1), "deviation": Frames(RATE, "log_deviation", 1),
        "speech": Audio(RATE), "codes": Symbols(RATE, "mulaw", 256),
    }  # fmt: skip
    path, labels = tmp_path / "u.npz", write_labels(tmp_path / "u.lab", [(0, 100, "a"), (100, 200, "b")])
    with ArraySink(path, streams) as sink:
        sink.write("expected", np.repeat([-7.0, -5.0], 100)[:, None])
        sink.write("deviation", np.repeat([-6.0, -4.0], 100)[:, None])
        sink.write("speech", np.zeros(200))
        sink.write("codes", np.zeros(200, np.int64))
    found = study_files(path, labels, stream="deviation")
    assert_allclose([found.rows[phone].mean for phone in "ab"], np.array([-6, -4]) / math.log(10))
    assert found.kind == "log_deviation"
    with pytest.raises(
        FileError,
        match="has 2 streams of kind logistic_mixture, log_scale or log_deviation; there are:.*choose one by its name",
    ):
        study_files(path, labels)
    with pytest.raises(FileError, match="has no stream 'speech' of kind logistic_mixture"):
        study_files(path, labels, stream="speech")


def test_files_without_a_mixture_are_refused(tmp_path: Path) -> None:
    path, labels = tmp_path / "u.npz", write_labels(tmp_path / "u.lab", PHONES)
    np.savez(path, distribution=ROWS)
    with pytest.raises(FileError, match="has 0 streams.*there are: none that is described: render the distribution"):
        study_files(path, labels)
    write_mixture(path, ROWS[:, :29], STREAM.like(width=29))
    with pytest.raises(FileError, match="has 0 streams of kind"):
        study_files(path, labels)
    path.write_bytes(b"PK")
    with pytest.raises(FileError, match=r"is no .npz file, or is damaged"):
        study_files(path, labels)


def test_recordings_of_two_kinds_are_refused(tmp_path: Path) -> None:
    write_mixture(tmp_path / "a.npz", ROWS)
    write_mixture(tmp_path / "b.npz", ROWS[:, :1], Frames(RATE, "log_scale", 1))
    for name in "ab":
        write_labels(tmp_path / f"{name}.lab", PHONES)
    with pytest.raises(
        RequestError,
        match="b.npz: 'distribution' is of kind log_scale, but other recordings have the kind logistic_mixture",
    ):
        study_files(tmp_path, tmp_path)
