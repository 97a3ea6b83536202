"""Alignments as streams of symbols: exact rounding, and reports of what does not fit the recording."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dspgraph import Symbols
from dspgraph.errors import FileError, ParameterError, RequestError
from dspgraph.io.alignment import (
    OUTSIDE,
    Alignment,
    AlignmentFile,
    AlignmentFolder,
    folded_label,
    phone_symbols,
    read_alignment,
)
from dspgraph.io.intervals import Interval


def intervals(*given: tuple[object, object, str]) -> tuple[Interval, ...]:
    return tuple(Interval(Fraction(str(start)), Fraction(str(end)), label) for start, end, label in given)


def test_every_sample_has_its_phone_and_samples_outside_have_a_label_of_their_own() -> None:
    found = phone_symbols(intervals((0.2, 0.4, "b"), (0.5, 0.8, "a")), 10, 10)
    assert found.stream == Symbols(10, "phone", 3)
    assert found.labels == (OUTSIDE, "a", "b")
    assert found.codes.tolist() == [0, 0, 2, 2, 0, 1, 1, 1, 0, 0]
    assert_array_equal(found.stream.validate(found.codes, "phones"), found.codes)
    assert (found.covered, found.coverage) == (5, 0.5)
    assert found.sentences == ["50 % of the samples are outside every interval"]


def test_10_ms_phones_at_22050_hz_do_not_drift() -> None:
    """Every phone of 220.5 samples begins at its exact time, rounded to a sample.

    If each had 220 samples, the thousandth phone would begin 500 samples too early.
    """
    phones = [Interval(Fraction(k, 100), Fraction(k + 1, 100), "ab"[k % 2]) for k in range(1000)]
    found = phone_symbols(phones, 22050, 220500)
    assert found.coverage == 1
    borders = np.flatnonzero(np.diff(found.codes)) + 1
    assert_array_equal(borders, [(441 * k + 1) // 2 for k in range(1, 1000)])  # halves are rounded up
    assert found.sentences == []


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 3_000_000), min_size=1, max_size=30),
    st.sampled_from([Fraction(22050), Fraction(16000), Fraction(44100, 160), Fraction(7, 3)]),
)
def test_intervals_without_gaps_leave_no_sample_out(lengths: list[int], rate: Fraction) -> None:
    edges = [Fraction(int(edge), 10**7) for edge in np.cumsum([0, *lengths])]
    phones = [Interval(a, b, str(k)) for k, (a, b) in enumerate(pairwise(edges))]
    n = int(edges[-1] * rate + Fraction(1, 2))
    found = phone_symbols(phones, rate, n)
    assert found.covered == n
    assert found.overlap == found.before == 0
    assert found.beyond == max(edges[-1] - n / rate, 0)
    for code, phone in enumerate(phones):
        share = int((found.codes == found.labels.index(str(code))).sum())
        assert abs(share - (phone.end - phone.start) * rate) <= 1


def test_overlap_and_what_lies_beyond_are_reported_in_seconds() -> None:
    given = intervals((-0.3, 0.2, "a"), (0.1, 0.7, "b"), (0.3, 0.4, "c"), (0.95, 1.5, "d"), (0.61, 0.62, "e"))
    found = phone_symbols(given, 10, 10)
    assert [found.labels[code] for code in found.codes] == [*"abbcbbb", OUTSIDE, OUTSIDE, OUTSIDE]
    assert (found.before, found.beyond, found.overlap) == (Fraction("0.3"), Fraction("0.5"), Fraction("0.21"))
    assert found.unseen == 2  # d: 0.95 s is rounded up to the end; e: 0.61 and 0.62 to the same sample
    assert found.sentences == [
        "30 % of the samples are outside every interval",
        "0.21 s of intervals overlap",
        "0.5 s of intervals lie beyond the end",
        "0.3 s of intervals lie before the start",
        "2 intervals are too short for a sample, or lie outside",
    ]


def test_codes_can_be_those_of_a_corpus() -> None:
    found = phone_symbols(intervals((0, 1, "b")), 2, 2, labels=["a", "b", "c"])
    assert found.codes.tolist() == [2, 2]
    assert found.stream.size == 4
    with pytest.raises(ParameterError, match="no code is given for the label 'x'; there are: a, b"):
        phone_symbols(intervals((0, 1, "x")), 2, 2, labels=["a", "b"])


def test_no_items_and_no_intervals_are_no_error() -> None:
    found = phone_symbols((), 16000, 3)
    assert found.codes.tolist() == [0, 0, 0]
    assert phone_symbols(intervals((0, 1, "a")), 16000, 0).coverage == 0


def test_an_offset_moves_every_time_exactly(tmp_path: Path) -> None:
    """An offset such as 768 / 22050 s is added to every time without rounding. A negative one may move it before 0.

    A model that puts 768 zeros before every recording makes the audio 768 samples later than the alignment.
    """
    path = tmp_path / "a.lab"
    path.write_text("0 1000000 a\n1000000 2000000 b\n")
    moved = read_alignment(path, offset="768/22050").intervals
    assert moved[0] == (Fraction(768, 22050), Fraction(1, 10) + Fraction(768, 22050), "a")
    codes = phone_symbols(moved, 22050, 8000).codes
    assert_array_equal(np.flatnonzero(np.diff(codes)) + 1, [768, 768 + 2205, 768 + 4410])
    early = phone_symbols(read_alignment(path, offset=-0.05).intervals, 100, 20)
    assert early.before == Fraction(1, 20)


def test_intervals_are_sorted_by_their_start(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_text("0.5 0.7 b\n0.1 0.2 a\n")
    assert [one.label for one in read_alignment(path).intervals] == ["a", "b"]


FOLDED = {
    # label: without position, without stress, without both
    "AH0_B": ("AH0", "AH_B", "AH"),
    "ER1": ("ER1", "ER", "ER"),
    "t_E": ("t", "t_E", "t"),
    "_B": ("_B", "_B", "_B"),
    "sil": ("sil", "sil", "sil"),
    "2": ("2", "2", "2"),
    "a4": ("a4", "a4", "a4"),
    "x_S_S": ("x_S", "x_S_S", "x_S"),
    "B_A": ("B_A", "B_A", "B_A"),
}


@pytest.mark.parametrize("label", FOLDED)
def test_word_position_and_stress_are_kept_or_folded(label: str) -> None:
    assert (folded_label(label, ["position"]), folded_label(label, ["stress"]), folded_label(label, ["stress", "position"])) == FOLDED[label]  # fmt: skip
    assert folded_label(label, []) == label


def test_an_alignment_is_folded_as_a_whole() -> None:
    given = Alignment(intervals((0, 1, "AH0_B"), (1, 2, "AH1_E")), ("note",))
    assert given.labels == ["AH0_B", "AH1_E"]
    assert given.folded(["position", "stress"]) == Alignment(intervals((0, 1, "AH"), (1, 2, "AH")), ("note",))
    with pytest.raises(RequestError, match="no fold 'stres'; did you mean 'stress'"):
        given.folded(["stres"])


def test_a_folder_and_a_file_of_many_have_the_alignments_of_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.lab").write_text("0 1000000 x\n")
    (tmp_path / "b.TextGrid").write_text('"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "" 0 1 1 0 1 "y"')
    (tmp_path / "notes.md").write_text("no alignment")
    folder = AlignmentFolder(tmp_path)
    assert "a" in folder and "notes" not in folder
    assert folder.read("a", "1/2").intervals == intervals((0.5, 0.6, "x"))
    assert folder.read("b").intervals == intervals((0, 1, "y"))
    with pytest.raises(FileError, match="has no alignment of 'c'; there are: a, b"):
        folder.read("c")
    (tmp_path / "a.ctm").write_text("a 1 0 0.5 z\nb 1 0 0.25 y\n")
    with pytest.raises(FileError, match=r"has 2 alignments of 'a': a.ctm, a.lab: keep one"):
        AlignmentFolder(tmp_path).read("a")
    many = AlignmentFile(tmp_path / "a.ctm")
    assert [many.read(name).intervals for name in many.utterances] == [
        intervals((0, 0.5, "z")),
        intervals((0, 0.25, "y")),
    ]
    assert not AlignmentFile(tmp_path / "a.lab").utterances


def test_transcripts_and_descriptions_beside_an_alignment_are_not_in_its_way(tmp_path: Path) -> None:
    """An alignment, here a.phn, is found beside a.wrd, a.txt and a.json; a.json is read if its format is named.

    TIMIT has the first three side by side; the output folder of `render` has a.json. Without a.phn, each of the others
    could be the alignment: an error.
    """
    (tmp_path / "a.phn").write_text("0 16000 x\n")
    (tmp_path / "a.wrd").write_text("0 16000 word\n")
    (tmp_path / "a.txt").write_text("0 16000 A whole sentence.\n")
    (tmp_path / "a.json").write_text('{"words": [{"start": 0, "phones": [{"phone": "y", "duration": 1}]}]}')
    assert AlignmentFolder(tmp_path).read("a").intervals == intervals((0, 1, "x"))
    assert AlignmentFolder(tmp_path, "gentle").read("a").intervals == intervals((0, 1, "y"))
    (tmp_path / "a.phn").unlink()
    with pytest.raises(FileError, match="has 3 alignments of 'a'"):
        AlignmentFolder(tmp_path).read("a")


def test_control_characters_of_a_file_are_escaped_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_text("\x1b]0;title\x07 0 a\n")
    with pytest.raises(FileError) as error:
        read_alignment(path)
    assert "\x1b" not in str(error.value)
