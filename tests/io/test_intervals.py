"""Parts that all readers of alignments share: exact numbers, intervals, and texts in several encodings."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dspgraph.errors import FileError
from dspgraph.io import intervals
from dspgraph.io.intervals import (
    EMPTY,
    SILENCE,
    Interval,
    counted,
    exact_number,
    is_number,
    make_interval,
    numbered_lines,
    read_text,
)


@pytest.mark.parametrize("text", ["0", "12", "-0.5", "+3.", ".25", "1e-3", "1.5E2", "007"])
def test_decimal_numbers_are_exact(text: str) -> None:
    assert is_number(text)
    assert exact_number("p", "start", text) == Fraction(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "1/3", "1,5", "nan", "inf", "0x1", "1_0", "1e", "1e999", "\u0661", " 1", "9" * 41, None, True, 1.5],
)
def test_other_values_are_no_numbers(text: Any) -> None:
    with pytest.raises(FileError, match="p: the start is .*; it must be a decimal number such as 0.25"):
        exact_number("p", "start", text)


def test_an_interval_ends_after_its_start_and_has_a_label() -> None:
    assert make_interval("p", Fraction(1), Fraction(1), " a b ") == Interval(Fraction(1), Fraction(1), "a b")
    assert make_interval("p", Fraction(0), Fraction(1), "  ").label == EMPTY
    assert make_interval("p", Fraction(0), Fraction(1), "", SILENCE).label == SILENCE
    with pytest.raises(FileError, match="p: the interval 'a' ends at 1 s, before its start at 2 s"):
        make_interval("p", Fraction(2), Fraction(1), "a")
    with pytest.raises(FileError, match="p: a time must be below 4294967296 s"):
        make_interval("p", Fraction(0), Fraction(2**32), "a")


def test_there_is_one_interval_at_least_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Interval(Fraction(0), Fraction(1), "a")
    monkeypatch.setattr(intervals, "MOST_INTERVALS", 3)
    assert counted([one] * 3, "p") == (one,) * 3
    with pytest.raises(FileError, match="p has more than 3 intervals: divide it"):
        counted([one] * 4, "p")
    with pytest.raises(FileError, match="p has no intervals"):
        counted([], "p")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encoding_is_known_by_its_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_bytes("\u0259 \u00e4".encode(encoding))
    assert read_text(tmp_path / "a") == ("\u0259 \u00e4", [])


def test_what_is_not_utf_8_is_latin_1_and_what_is_binary_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xe4")
    assert read_text(path) == ("\u00e4", ["is not text in UTF-8: it is read as Latin-1"])
    for content, message in {
        b"a\0b": "is a binary file: save the alignment as text",
        b"\xff\xfea": "is not text in utf-16, as its first bytes say: truncated data",
        b"\xef\xbb\xbf\xff": "is not text in utf-8-sig, as its first bytes say: invalid start byte",
    }.items():
        path.write_bytes(content)
        with pytest.raises(FileError, match=message):
            read_text(path)
    monkeypatch.setattr(intervals, "MOST_ALIGNMENT_BYTES", 3)
    path.write_bytes(b"abcd")
    with pytest.raises(FileError, match="has more than 3 bytes"):
        read_text(path)


def test_lines_keep_their_numbers_whatever_ends_them() -> None:
    assert list(numbered_lines("a\r\n\r\n b\t\rc\n\x0b\u2028d")) == [
        (1, "a"),
        (3, " b\t"),
        (4, "c"),
        (5, "\x0b\u2028d"),
    ]
