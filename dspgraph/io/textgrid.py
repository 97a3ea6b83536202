"""TextGrids of Praat: the long and the short text format, and texts with free spacing and comments.

All three are read in the same way, as Praat reads them. Only three things count: numbers, texts in double quotes, and
flags such as `<exists>`. Their order in the file gives their meaning. There must be a blank or a line end before each
of them. All other words are ignored, such as `xmin =` or `intervals [1]:`.

Source: P. Boersma and D. Weenink, Praat manual, "TextGrid file formats".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dspgraph.errors import FileError, suggest
from dspgraph.io.intervals import MOST_INTERVALS, SILENCE, LabelledSpeech, counted, exact_number, make_interval
from dspgraph.shown import shown

_TOKEN = re.compile(r'"(?P<text>(?:[^"]++|"")*+)"|!(?P<comment>[^\r\n]*)|(?P<word>\S+)')
_NUMBER_AHEAD = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)

_PHONE_TIERS = ("phones", "phone", "phonemes", "phoneme", "segments", "segment")
"""Names of the tier that is read by default, in small letters. Aligners may put "SPEAKER - " before the name."""


class _Tier(NamedTuple):
    place: str
    name: str
    points: bool
    rows: list[tuple[str, str, str, str]]  # place, start, end, text


def read_textgrid(path: Path, text: str, tier: str | None = None) -> LabelledSpeech:
    """Return the intervals of one tier of a TextGrid. An empty text is silence; a point has equal start and end.

    path, text: the path, for messages, and the content of the file. tier: the name of the tier. By default, the only
    tier of intervals is read; if there are several, the only one with a name such as "phones" (_PHONE_TIERS). A tier of
    points is read only by its name. Raises FileError for a damaged file, if not exactly one tier fits, and as `counted`
    and `make_interval` do.
    """
    chosen = _choose(path, _tiers(path, text), tier)
    rows = (
        make_interval(place, exact_number(place, "start", start), exact_number(place, "end", end), label, SILENCE)
        for place, start, end, label in chosen.rows
    )
    notes = (f"the tier '{chosen.name}' has points in time, which cover no sample",) if chosen.points else ()
    return LabelledSpeech(counted(rows, f"{path}, tier {shown(chosen.name)}"), notes)


class _Tokens:
    """A reader that returns the numbers, texts and flags of a TextGrid one after the other.

    path, text: the path, for messages, and the content of the file. The attribute `line` is the number of the line from
    which the last value was read. `text`, `number` and `flag` return the next value as a text, `count` returns it as an
    int. They raise FileError if the next value is of another kind, or if there is none. `what` is its name, for
    messages.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._found = self._scan(text)
        self.line = 1

    def text(self, what: str) -> str:
        return self._next("text", what)

    def number(self, what: str) -> str:
        return self._next("number", what)

    def flag(self, what: str) -> str:
        return self._next("flag", what)

    def count(self, what: str) -> int:
        found = self.number(what)
        if not found.isdecimal() or not 0 <= int(found[:20]) <= MOST_INTERVALS:
            raise FileError(f"{self.place}: the {what} is {shown(found)}; it must be from 0 to {MOST_INTERVALS:,}")
        return int(found)

    @property
    def place(self) -> str:
        return f"{self._path}, line {self.line}"

    def _next(self, kind: str, what: str) -> str:
        found, value = next(self._found, ("", ""))
        if found != kind:
            there = f"the {found} {shown(value)}" if found else "the end of the file"
            raise FileError(
                f"{self.place}: the {what} must be here, a {kind}; found {there}: save the TextGrid again as a text "
                "file"
            )
        return value

    def _scan(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        for match in _TOKEN.finditer(text):
            self.line += text.count("\n", at, match.start()) or text.count("\r", at, match.start())
            at = match.start()
            word = match["word"]
            if match["text"] is not None:
                yield "text", match["text"].replace('""', '"')
            elif word is None:
                continue
            elif word.startswith('"'):
                raise FileError(f"{self.place}: the text that begins with {shown(word)} has no closing quote")
            elif number := _NUMBER_AHEAD.match(word):
                yield "number", number[0]
            elif word.startswith("<") and word.endswith(">"):
                yield "flag", word


def _tiers(path: Path, text: str) -> list[_Tier]:
    if text.startswith("ooBinaryFile"):
        raise FileError(f"{path} is a binary TextGrid: save it as a text file (Praat: Save as text file...)")
    tokens = _Tokens(path, text)
    kind, name = tokens.text("file type"), tokens.text("object class")
    if not kind.startswith("ooTextFile") or name != "TextGrid":
        raise FileError(f"{path} is no TextGrid: its first texts are {shown(kind)} and {shown(name)}")
    tokens.number("start")
    tokens.number("end")
    if tokens.flag("flag <exists>") != "<exists>":
        raise FileError(f"{path} is a TextGrid without tiers: give one with a tier of phones")
    return [_tier(tokens) for _ in range(tokens.count("number of tiers"))]


def _tier(tokens: _Tokens) -> _Tier:
    kind = tokens.text("class of a tier")
    if kind not in ("IntervalTier", "TextTier"):
        raise FileError(f"{tokens.place}: a tier is an 'IntervalTier' or a 'TextTier'; found {shown(kind)}")
    place, name = tokens.place, tokens.text("name of a tier")
    tokens.number("start of a tier")
    tokens.number("end of a tier")
    rows = []
    for _ in range(tokens.count("size of a tier")):
        start = tokens.number("time")
        end = start if kind == "TextTier" else tokens.number("end of an interval")
        label = tokens.text("text of an interval")
        rows.append((tokens.place, start, end, label))
    return _Tier(place, name, kind == "TextTier", rows)


def _choose(path: Path, tiers: list[_Tier], name: str | None) -> _Tier:
    names = ", ".join(shown(tier.name) for tier in tiers[:20]) + (" ..." if len(tiers) > 20 else "")
    if name is not None:
        found = [tier for tier in tiers if tier.name == name]
        if not found:
            known = suggest(name, [tier.name for tier in tiers])
            raise FileError(f"{path} has no tier {shown(name)}; {known}")
    else:
        found = [tier for tier in tiers if not tier.points]
        if len(found) != 1:
            found = [tier for tier in found if tier.name.lower().rpartition(" - ")[2].strip() in _PHONE_TIERS]
    if len(found) != 1:
        raise FileError(f"{path} has the tiers {names or '(none)'}: choose one by its name; {len(found)} of them fit")
    return found[0]
