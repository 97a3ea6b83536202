"""Labelled intervals of time, which all readers of alignments return, and functions that these readers share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from dspgraph.errors import FileError, ParameterError
from dspgraph.io.paths import read_file
from dspgraph.shown import shown
from dspgraph.streams import to_fraction

MOST_ALIGNMENT_BYTES = 2**28
"""The largest size of a file of alignments, in bytes."""

MOST_INTERVALS = 200_000
"""The largest number of intervals of one recording: the phones of about five hours of speech."""

LATEST = 2**32
"""Seconds. All times in an alignment must be below this limit, which is 136 years."""

SILENCE = "silence"
"""The label of an interval of a TextGrid without text: Praat and aligners leave the text of a pause empty."""

EMPTY = "(empty)"
"""The label of an interval without text in all formats other than TextGrid."""

_DECIMAL = re.compile(r"[+-]?(\d++(\.\d*+)?|\.\d++)([eE][+-]?\d++)?", re.ASCII)


class Interval(NamedTuple):
    """A span of time with a label. start, end: exact, in seconds. They are equal for a point in time."""

    start: Fraction
    end: Fraction
    label: str


class LabelledSpeech(NamedTuple):
    """The intervals of one recording, in the order of the file, and notes about what the reader found or changed."""

    intervals: tuple[Interval, ...]
    notes: tuple[str, ...] = ()


def is_number(text: str) -> bool:
    """Return whether a text is a decimal number, such as "12", "-0.5" or "1e-3"."""
    return _DECIMAL.fullmatch(text) is not None


def exact_number(place: str, name: str, text: object) -> Fraction:
    """Return the exact value of a decimal number in a file: 1/4 for "0.25".

    place, name: for the message: where in the file the number is, and its name, such as "start". Raises FileError for
    anything but a str that `is_number` accepts, for more than 40 digits in a row, and for an exponent of three digits
    or more.
    """
    try:
        if isinstance(text, str) and is_number(text):
            return to_fraction(text)
    except ParameterError:
        pass
    raise FileError(f"{place}: the {name} is {shown(text)}; it must be a decimal number such as 0.25")


def make_interval(place: str, start: Fraction, end: Fraction, label: str, empty: str = EMPTY) -> Interval:
    """Return an interval, whose label is without blanks around it. empty: the label to use if `label` is blank.

    place: where in the file the interval is, for messages. start, end: in seconds; they may be negative. Raises
    FileError if the interval ends before it starts, and for a time whose magnitude is LATEST or more.
    """
    if max(abs(start), abs(end)) >= LATEST:
        raise FileError(f"{place}: a time must be below {LATEST} s; found {float(start):g} and {float(end):g} s")
    if end < start:
        raise FileError(
            f"{place}: the interval {shown(label)} ends at {float(end):g} s, before its start at {float(start):g} s: "
            "correct the file, or name its format if it is another one"
        )
    return Interval(start, end, label.strip() or empty)


def counted(intervals: Iterable[Interval], place: str) -> tuple[Interval, ...]:
    """Return intervals as a tuple. Raises FileError if there are no intervals, or more than MOST_INTERVALS.

    place: the beginning of the message: the path of the file.
    """
    found = []
    for one in intervals:
        found.append(one)
        if len(found) > MOST_INTERVALS:
            raise FileError(f"{place} has more than {MOST_INTERVALS:,} intervals: divide it")
    if not found:
        raise FileError(f"{place} has no intervals: give an alignment with start, end and label of every phone")
    return tuple(found)


def read_text(path: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and notes about its encoding.

    A file with a byte order mark is UTF-8 or UTF-16; any other file is UTF-8 or, if it is not valid UTF-8, Latin-1.
    Raises FileError for a file that cannot be read, that has more than MOST_ALIGNMENT_BYTES, that is not valid in the
    encoding of its mark, or that is binary: it contains the character 0.
    """
    content = read_file(path, MOST_ALIGNMENT_BYTES)
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8")
    notes = []
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise FileError(f"{path} is not text in {encoding}, as its first bytes say: {error.reason}") from None
        text = content.decode("latin-1")
        notes.append("is not text in UTF-8: it is read as Latin-1")
    if "\0" in text:
        raise FileError(f"{path} is a binary file: save the alignment as text")
    return text, notes


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of every line that is not blank, without its line end.

    Numbers begin at 1 and count blank lines, too.
    """
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if line.strip():
            yield number, line
