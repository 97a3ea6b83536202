"""Alignments with a label on each line: HTK and HTS, seconds, festival, Kaldi, Audacity and TIMIT.

Every reader takes the path of the file, for messages, and its lines as pairs (line number, text), as `numbered_lines`
yields them: no line is blank. It raises FileError for a line of another form, and as `make_interval` and `counted` do.

Sources: S. Young et al., The HTK Book, version 3.4, 2006 ("Label files": times in 100 ns, master label files);
HTS, "HTS labels" (the current phone of a full-context label stands between "-" and "+"); P. Taylor et al., Edinburgh
Speech Tools, "Labels" (the xlabel format of festival); NIST, Scoring Toolkit, "ctm format"; Audacity manual, "Importing
and Exporting Labels"; J. S. Garofolo et al., TIMIT Acoustic-Phonetic Continuous Speech Corpus, LDC93S1, 1993 (samples
at 16 kHz).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from dspgraph.errors import FileError, suggest
from dspgraph.io.intervals import (
    Interval,
    LabelledSpeech,
    counted,
    exact_number,
    is_number,
    make_interval,
    numbered_lines,
)
from dspgraph.shown import shown

HTK_UNIT = Fraction(1, 10**7)
"""The unit of whole numbers in label files of HTK and HTS, in seconds: 100 ns."""

TIMIT_RATE = 16000
"""The sample rate of TIMIT in Hz. Its alignments count samples."""

Lines = Iterable[tuple[int, str]]

_CONTEXT = re.compile(r"[^\s+-]+-(?P<phone>[^\s+-]+)\+[^\s+].*")
_STATE = re.compile(r"(?P<whole>.+)\[(?P<state>\d{1,3})\]")
_OCTAL = re.compile(r"(?:\\[0-3][0-7]{2})+")

_SHORT = Fraction(1, 1000)
"""Seconds. If the intervals of a file of HTK are shorter on average, its times are probably in another unit."""


# ---- HTK, HTS, seconds ----------------------------------------------------------------------------------------------


def read_htk(path: Path, lines: Lines) -> LabelledSpeech:
    """Return the intervals of lines START [END] LABEL [SCORE ...]. Whole numbers are times in units of 100 ns.

    If any time in `lines` has a decimal point or an exponent, all times are in seconds. An interval without END ends
    where the next interval begins, or, if it is the last one, at its own start. Labels are decoded (see `_unescaped`).
    Consecutive states of one phone (`b[2]`, `b[3]`) become one interval (see `_without_states`). A full-context label
    or triphone, such as `x^a-b+c=d/...`, is reduced to the phone between "-" and "+". Words after the label, such as a
    score, are not read. Notes say what was changed or not read, except for decoded labels and single scores, and
    whether times are so short that their unit may be another one. Raises FileError for a line without times, and for a
    negative time.
    """
    rows = [_htk_row(f"{path}, line {number}", line) for number, line in lines]
    seconds = any(set(text) & set(".eE") for row in rows for text in row.times)
    unit = Fraction(1) if seconds else HTK_UNIT
    found, open_ends = [], 0
    for row, following in zip(rows, [*rows[1:], *rows[-1:]], strict=True):
        end = row.times[1] if len(row.times) == 2 else following.times[0]
        open_ends += len(row.times) == 1
        start = exact_number(row.place, "start", row.times[0]) * unit
        found.append(make_interval(row.place, start, exact_number(row.place, "end", end) * unit, row.label))
    speech = _phones_of(counted(found, str(path)), open_ends, seconds)
    if longer := [row for row in rows if row.more]:
        note = f"{len(longer)} lines have other words after the label and its score: they are not read"
        return speech._replace(notes=(*speech.notes, note))
    return speech


class _HtkRow(NamedTuple):
    place: str
    times: list[str]  # one or two
    label: str
    more: bool  # whether other words than one score follow the label


def _htk_row(place: str, line: str) -> _HtkRow:
    words = line.split()
    times = [word for word in words[:2] if is_number(word)]
    if not is_number(words[0]) or len(words) <= len(times):
        raise FileError(
            f"{place} must be START END LABEL with two times; found {shown(line.strip())}: align with times, or name "
            "the format if it is another one"
        )
    if any(time.startswith("-") for time in times):
        raise FileError(f"{place}: the time {times[0]} is negative, which means unknown: align with times")
    label, *rest = words[len(times) :]
    return _HtkRow(place, times, _unescaped(label), len(rest) > 1 or not all(map(is_number, rest)))


def _unescaped(label: str) -> str:
    """Return a label without quotes around it (`"a"` or `'a'`), in which bytes written as `\\303\\244` are decoded.

    HTK writes them in this way. Consecutive bytes are UTF-8 or, if they are not valid UTF-8, Latin-1.
    """

    def letters(match: re.Match[str]) -> str:
        content = bytes(int(octal, 8) for octal in match[0].split("\\")[1:])
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return content.decode("latin-1")

    quoted = len(label) > 2 and label[0] == label[-1] and label[0] in "'\""
    return _OCTAL.sub(letters, label[1:-1] if quoted else label)


def _phones_of(intervals: tuple[Interval, ...], open_ends: int, seconds: bool) -> LabelledSpeech:
    joined = _without_states(intervals)
    phones = tuple(one._replace(label=context_free(one.label)) for one in joined)
    notes = []
    if (states := len(intervals) - len(joined)) > 0:
        notes.append(f"{len(intervals)} states are joined to {len(joined)} phones")
    if reduced := sum(one.label != other.label for one, other in zip(joined, phones, strict=True)):
        notes.append(f"{reduced} labels have a context: the phone between '-' and '+' is taken")
    if open_ends:
        notes.append(f"{open_ends} labels have no end: they end where the next one begins, the last one at its start")
    span = sum((one.end - one.start for one in intervals), Fraction(0))
    if not seconds and not states and span < _SHORT * len(intervals):
        notes.append(
            f"the intervals are {float(span / len(intervals)) * 1e6:.3g} us long on average: whole numbers are read as "
            "100 ns; if they are samples or seconds, name that format"
        )
    return LabelledSpeech(phones, tuple(notes))


def _without_states(intervals: tuple[Interval, ...]) -> list[Interval]:
    """Return intervals in which consecutive states of one phone are joined to one interval.

    The numbers of states, such as `[2]`, are removed from all labels. States are joined if their numbers are above 0
    and rise, their labels are otherwise equal, and each begins where the one before it ends.
    """
    found: list[Interval] = []
    state = 0
    for one in intervals:
        match = _STATE.fullmatch(one.label)
        label, number = (match["whole"], int(match["state"])) if match else (one.label, 0)
        if found and 0 < state < number and found[-1].label == label and found[-1].end == one.start:
            found[-1] = found[-1]._replace(end=one.end)
        else:
            found.append(one._replace(label=label))
        state = number
    return found


def context_free(label: str) -> str:
    """Return the phone between "-" and "+" in a full-context label or triphone; return any other label unchanged."""
    match = _CONTEXT.fullmatch(label)
    return match["phone"] if match else label


def split_mlf(path: Path, text: str) -> dict[str, list[tuple[int, str]]]:
    """Return name of an entry -> its lines as pairs (line number, text), for a master label file of HTK.

    path, text: the path, for messages, and the content of the file. The name of the entry `"*/a.lab"` is "a": without
    folder, and without .lab or .rec. Blank lines are left out. Raises FileError for a damaged file, for two entries
    with the same name, and for an entry that refers to another file.
    """
    lines = numbered_lines(text)
    number, first = next(lines, (1, ""))
    if first.strip() != "#!MLF!#":
        raise FileError(f"{path}, line {number}: a master label file begins with #!MLF!#; found {shown(first)}")
    found: dict[str, list[tuple[int, str]]] = {}
    entry: list[tuple[int, str]] | None = None
    for number, line in lines:
        place, stripped = f"{path}, line {number}", line.strip()
        if entry is not None:
            if stripped == ".":
                entry = None
            else:
                entry.append((number, line))
            continue
        match = re.fullmatch(r'"(?P<name>[^"]+)"', stripped)
        if not match:
            raise FileError(
                f'{place}: an entry begins with a name such as "*/a.lab"; found {shown(stripped)}: write the labels '
                "into this file"
            )
        name = re.sub(r"\.(lab|rec)$", "", re.split(r"[/\\]", match["name"])[-1])
        if name in found:
            raise FileError(f"{place}: two entries are called {shown(name)}: keep one of them")
        entry = found[name] = []
    if entry is not None:
        raise FileError(f"{path} ends inside an entry: the line '.' is missing")
    return found


# ---- festival, TIMIT, Audacity, Kaldi ------------------------------------------------------------------------------


def read_festival(path: Path, lines: Lines) -> LabelledSpeech:
    """Return the intervals of a file with a header up to a line `#`, then lines END COLOUR LABEL in seconds.

    The first label begins at 0, and every other label where the label before it ends. In a label, ";" and the text
    after it are left out. A line without a label gets the label EMPTY.
    """
    return LabelledSpeech(counted(_festival(path, lines), str(path)))


def _festival(path: Path, lines: Lines) -> Iterator[Interval]:
    header, start = True, Fraction(0)
    for number, line in lines:
        if header:
            header = line.strip() != "#"
            continue
        place, words = f"{path}, line {number}", line.split(maxsplit=2)
        if len(words) < 2:
            raise FileError(f"{place} must be END COLOUR LABEL; found {shown(line.strip())}")
        end = exact_number(place, "end", words[0])
        yield make_interval(place, start, end, "".join(words[2:]).partition(";")[0])
        start = end


def read_timit(path: Path, lines: Lines) -> LabelledSpeech:
    """Return the intervals of lines START END LABEL in samples at 16 kHz."""
    return LabelledSpeech(counted(_timit(path, lines), str(path)))


def _timit(path: Path, lines: Lines) -> Iterator[Interval]:
    for number, line in lines:
        place, words = f"{path}, line {number}", line.split(maxsplit=2)
        if len(words) < 3 or not (words[0].isdecimal() and words[1].isdecimal()):
            raise FileError(
                f"{place} must be START END LABEL in samples at 16 kHz, whole numbers; found {shown(line.strip())}"
            )
        start, end = (exact_number(place, "time", word) / TIMIT_RATE for word in words[:2])
        yield make_interval(place, start, end, words[2])


def read_audacity(path: Path, lines: Lines) -> LabelledSpeech:
    """Return the intervals of lines START<tab>END<tab>LABEL in seconds. Without LABEL, the label is EMPTY.

    Lines that begin with a backslash give the frequencies of the label before them, and are left out. Lines
    TIME<tab>LABEL (as in version 1.2), and labels whose start and end are equal, are points in time; a note counts
    them.
    """
    intervals = counted(_audacity(path, lines), str(path))
    points = sum(one.start == one.end for one in intervals)
    notes = (f"{points} of {len(intervals)} labels are points in time, which cover no sample",) if points else ()
    return LabelledSpeech(intervals, notes)


def _audacity(path: Path, lines: Lines) -> Iterator[Interval]:
    for number, line in lines:
        place, cells = f"{path}, line {number}", [cell.strip() for cell in line.split("\t")]
        if cells[0] == "\\":
            continue
        if len(cells) < 2:
            raise FileError(f"{place} must be START<tab>END<tab>LABEL; found {shown(line)}")
        start = exact_number(place, "start", cells[0])
        if len(cells) == 2 and not is_number(cells[1]):
            yield make_interval(place, start, start, cells[1])
        else:
            yield make_interval(place, start, exact_number(place, "end", cells[1]), " ".join(cells[2:]))


def read_ctm(path: Path, lines: Lines) -> LabelledSpeech:
    """Return the intervals of lines UTTERANCE CHANNEL START DURATION LABEL [CONFIDENCE ...] in seconds.

    lines: those of one utterance, as `split_ctm` returns them: every line has five words or more.
    """
    intervals = counted(_ctm(path, lines), str(path))
    return LabelledSpeech(intervals)


def _ctm(path: Path, lines: Lines) -> Iterator[Interval]:
    for number, line in lines:
        place, words = f"{path}, line {number}", line.split()
        start, duration = (
            exact_number(place, name, word) for name, word in zip(("start", "duration"), words[2:4], strict=True)
        )
        yield make_interval(place, start, start + duration, words[4])


def split_ctm(path: Path, text: str) -> dict[str, list[tuple[int, str]]]:
    """Return name of an utterance -> its lines as pairs (line number, text), for a ctm file.

    path, text: the path, for messages, and the content of the file. Comments, lines that begin with `;;`, and blank
    lines are left out. An utterance with several channels becomes several utterances: "a" becomes "a-1" and "a-2".
    Raises FileError for a line with fewer than five words, and if two utterances get the same name.
    """
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    channels: dict[str, set[str]] = {}
    for number, line in numbered_lines(text):
        words = line.split()
        if words[0].startswith(";;"):
            continue
        if len(words) < 5:
            raise FileError(
                f"{path}, line {number} must be UTTERANCE CHANNEL START DURATION LABEL; found {shown(line.strip())}"
            )
        found.setdefault((words[0], words[1]), []).append((number, line))
        channels.setdefault(words[0], set()).add(words[1])
    named: dict[str, list[tuple[int, str]]] = {}
    for (name, channel), lines in found.items():
        own = name if len(channels[name]) == 1 else f"{name}-{channel}"
        if own in named:
            raise FileError(
                f"{path}, line {lines[0][0]}: two utterances would be called {shown(own)}: rename one of them"
            )
        named[own] = lines
    return named


def pick(path: Path, entries: dict[str, list[tuple[int, str]]], utterance: str | None) -> list[tuple[int, str]]:
    """Return the lines of an utterance. If `utterance` is None, return the lines of the only utterance.

    entries: name of an utterance -> its lines, as `split_mlf` and `split_ctm` return them. Raises FileError if there is
    no such utterance, or if `utterance` is None and there is not exactly one entry.
    """
    if utterance is None and len(entries) == 1:
        return next(iter(entries.values()))
    if utterance is None:
        names = ", ".join(shown(name) for name in list(entries)[:10]) + (" ..." if len(entries) > 10 else "")
        raise FileError(f"{path} has {len(entries)} utterances: choose one by its name; there are: {names or 'none'}")
    if utterance not in entries:
        raise FileError(f"{path} has no utterance {shown(utterance)}; {suggest(utterance, entries)}")
    return entries[utterance]
