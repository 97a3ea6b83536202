"""Alignments: the phones of a recording with their times, read from the files of aligners.

`read_alignment` reads label files of HTK, HTS and festival, labels in seconds, master label files, Kaldi's ctm,
gentle's JSON, TextGrids of Praat, labels of Audacity and alignments of TIMIT. Times are exact fractions of a second.
`phone_symbols` turns intervals into a stream of symbols of the kind "phone", at any rate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from dspgraph.errors import FileError, ParameterError, RequestError, suggest
from dspgraph.io.gentle import read_gentle
from dspgraph.io.intervals import Interval, LabelledSpeech, numbered_lines, read_text
from dspgraph.io.labels import (
    Lines,
    pick,
    read_audacity,
    read_ctm,
    read_festival,
    read_htk,
    read_timit,
    split_ctm,
    split_mlf,
)
from dspgraph.io.textgrid import read_textgrid
from dspgraph.shown import shown
from dspgraph.streams import Array, Number, Symbols, to_fraction

OUTSIDE = "(outside)"
"""The label of samples that are not in any interval."""

_LINE_READERS: dict[str, Callable[[Path, Lines], LabelledSpeech]] = {
    "htk": read_htk,
    "festival": read_festival,
    "audacity": read_audacity,
    "timit": read_timit,
}

ALIGNMENT_FORMATS = (*_LINE_READERS, "mlf", "ctm", "gentle", "textgrid")
"""The names of the formats. "htk" is also used for labels in seconds, which have a decimal point or an exponent."""

_SUFFIXES = {
    ".textgrid": "textgrid", ".ctm": "ctm", ".json": "gentle", ".mlf": "mlf", ".phn": "timit", ".wrd": "timit",
}  # fmt: skip

ALIGNMENT_SUFFIXES = (".lab", ".rec", ".txt", *_SUFFIXES)
"""Suffixes of files of alignments, in small letters."""

_PERHAPS = (".txt", ".json", ".wrd")
"""Suffixes of files that often are not alignments of phones: transcripts, descriptions of results, words."""

FOLDS = {"position": r"_[BIES]$", "stress": r"(?<=[A-Za-z])[0-2](?=$|_[BIES]$)"}
"""Name of a fold -> pattern of the part of a label that it removes: Kaldi's word position (`AH0_B`: beginning, inside,
end, single), or the stress digit of ARPAbet (`AH0`).
"""


@dataclass(frozen=True)
class Alignment:
    """The intervals of one recording, sorted by their start, with exact times in seconds.

    notes: sentences about what the reader found or changed. A sentence about the file begins with its verb, without a
    subject: "is not text in UTF-8: ...".
    """

    intervals: tuple[Interval, ...]
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """The different labels, sorted."""
        return sorted({one.label for one in self.intervals})

    def folded(self, folds: Collection[str]) -> Alignment:
        """Return the alignment with parts of its labels removed, such as stress marks.

        folds: names of the parts, keys of FOLDS. Raises RequestError for any other name.
        """
        if unknown := set(folds) - set(FOLDS):
            raise RequestError(f"there is no fold {shown(min(unknown))}; {suggest(min(unknown), FOLDS)}")
        changed = tuple(one._replace(label=folded_label(one.label, folds)) for one in self.intervals)
        return Alignment(changed, self.notes)


def folded_label(label: str, folds: Collection[str]) -> str:
    """Return a label without the parts that `folds` (keys of FOLDS) names, such as its stress mark.

    A part is kept if nothing else would be left of the label.
    """
    for name, pattern in FOLDS.items():
        if name in folds:
            label = re.sub(pattern, "", label) or label
    return label


def read_alignment(
    path: str | Path,
    form: str | None = None,
    *,
    tier: str | None = None,
    utterance: str | None = None,
    offset: Number = 0,
) -> Alignment:
    """Return the alignment in a file.

    form: one of ALIGNMENT_FORMATS; by default it is found from the content and the suffix. tier: the name of the tier,
    for a TextGrid; by default the only tier of intervals, or the only one with a name such as "phones". utterance: the
    name of the utterance, for a file (mlf or ctm) with several; by default the only one. offset: seconds that are added
    to every time, for instance "768/22050" if the audio begins with 768 more samples than the recording that was
    aligned.

    Raises FileError for a file that cannot be read, for a tier or an utterance that is not in the file, and if several
    could be meant and none is named. Raises RequestError for an unknown `form`, and for a `tier` or `utterance` that
    the format does not have.
    """
    return AlignmentFile(Path(path), form, tier).read(utterance, offset)


class AlignmentFile:
    """A file with the alignment of one utterance or, in the formats "mlf" and "ctm", of several.

    form, tier: as in `read_alignment`. The constructor reads the file. The constructor and `read` raise the errors of
    `read_alignment`. The attribute `form` is the format as given, or as found.
    """

    def __init__(self, path: Path, form: str | None = None, tier: str | None = None) -> None:
        if form is not None and form not in ALIGNMENT_FORMATS:
            raise RequestError(f"there is no format of alignments {shown(form)}; {suggest(form, ALIGNMENT_FORMATS)}")
        self.path = path
        self._text, self._notes = read_text(path)
        self.form = form or _form_of(path, self._text)
        self._tier = tier
        if tier is not None and self.form != "textgrid":
            raise RequestError(f"{path} is read as {self.form}, which has no tiers; only a TextGrid has: drop {tier!r}")
        self._entries = {"mlf": split_mlf, "ctm": split_ctm}[self.form](path, self._text) if self.has_many else {}

    @property
    def has_many(self) -> bool:
        """Whether the format can have several utterances."""
        return self.form in ("mlf", "ctm")

    @property
    def utterances(self) -> Collection[str]:
        """The names of the utterances; empty if the format has only one utterance."""
        return self._entries.keys()

    def read(self, utterance: str | None = None, offset: Number = 0) -> Alignment:
        """Return the alignment of an utterance. Arguments and errors are those of `read_alignment`."""
        if utterance is not None and not self.has_many:
            raise RequestError(f"{self.path} is read as {self.form}, which has one utterance: drop the name")
        found = self._speech(utterance)
        shift = to_fraction(offset)
        moved = (Interval(one.start + shift, one.end + shift, one.label) for one in found.intervals)
        return Alignment(tuple(sorted(moved, key=lambda one: one.start)), (*self._notes, *found.notes))

    def _speech(self, utterance: str | None) -> LabelledSpeech:
        if self.form == "textgrid":
            return read_textgrid(self.path, self._text, self._tier)
        if self.form == "gentle":
            return read_gentle(self.path, self._text)
        if self.has_many:
            reader = read_htk if self.form == "mlf" else read_ctm
            return reader(self.path, pick(self.path, self._entries, utterance))
        return _LINE_READERS[self.form](self.path, numbered_lines(self._text))


def _form_of(path: Path, text: str) -> str:
    """Return the format of a file.

    The first of these decides: a mark at the start of the content; a suffix that only one format has; a line "#" among
    the first 100 lines that are not blank, for "festival"; a tab in the first of these lines of a `.txt` file, for
    "audacity"; any other suffix of alignments, which means "htk". text: the content. Raises FileError if nothing shows
    the format.
    """
    start = text[:4000].lstrip()
    for mark, form in {"#!MLF!#": "mlf", "File type": "textgrid", "ooBinaryFile": "textgrid", "{": "gentle"}.items():
        if start.startswith(mark):
            return form
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    lines = [line for (_, line), _ in zip(numbered_lines(text[:100_000]), range(100), strict=False)]
    if any(line.strip() == "#" for line in lines):
        return "festival"
    if suffix == ".txt" and lines and "\t" in lines[0]:
        return "audacity"
    if suffix in ALIGNMENT_SUFFIXES:
        return "htk"
    raise FileError(
        f"{path}: neither the suffix nor the content says what format this is: name one of "
        f"{', '.join(ALIGNMENT_FORMATS)}"
    )


# ---- as a stream ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhoneSymbols:
    """Phones as a stream of symbols, and how well the intervals fit the signal.

    stream: `Symbols` of kind "phone". codes: [n]; the label of item k is `labels[codes[k]]`. labels[0] is OUTSIDE, the
    label of an item that is in no interval. covered: the number of items that are in an interval. overlap: seconds of
    intervals that overlap with earlier ones. beyond: seconds of intervals after the end of the signal. before: seconds
    of intervals before its start. unseen: the number of intervals that contain no item.
    """

    stream: Symbols
    codes: Array
    labels: tuple[str, ...]
    covered: int
    overlap: Fraction
    beyond: Fraction
    before: Fraction
    unseen: int

    @property
    def coverage(self) -> float:
        """The share of the items that are in an interval; 0 if there are no items."""
        return self.covered / len(self.codes) if len(self.codes) else 0.0

    @property
    def sentences(self) -> list[str]:
        """A sentence for each kind of misfit that was found; none if the intervals fit.

        Misfits are items outside all intervals, and intervals that overlap, lie outside the signal or contain no item.
        """
        found = []
        if self.covered < len(self.codes):
            found.append(f"{100 * (1 - self.coverage):.3g} % of the samples are outside every interval")
        parts = {"overlap": self.overlap, "lie beyond the end": self.beyond, "lie before the start": self.before}
        found += [f"{float(seconds):.3g} s of intervals {what}" for what, seconds in parts.items() if seconds]
        if self.unseen:
            found.append(f"{self.unseen} intervals are too short for a sample, or lie outside")
        return found


def phone_symbols(
    intervals: Iterable[Interval], rate: Number, n: int, labels: Sequence[str] | None = None
) -> PhoneSymbols:
    """Return n symbols with their stream: each is the code of the phone at its time, or 0 if no interval is there.

    The result also says how well the intervals fit the signal. An interval from s to e seconds has the items from
    round(s * rate) to round(e * rate) - 1, as far as they are among the n, where halves are rounded up. Times are
    exact, so that rounding errors do not add up. Where intervals overlap, the interval that starts later is used; if
    two start at the same time, the later one in `intervals`.

    rate: items per second. n: the number of items. labels: the labels of the codes 1, 2, ...; by default all labels of
    the intervals, sorted. Raises ParameterError for a label that is not in `labels`.
    """
    ordered = sorted(intervals, key=lambda one: one.start)
    known = sorted({one.label for one in ordered}) if labels is None else list(labels)
    numbers = {label: code for code, label in enumerate([OUTSIDE, *known])}
    if missing := {one.label for one in ordered} - set(numbers):
        raise ParameterError(f"no code is given for the label {shown(min(missing))}; {suggest(min(missing), known)}")
    stream = Symbols(rate, "phone", len(known) + 1)
    codes, inside = np.zeros(n, np.int64), np.zeros(n, bool)
    end, reach, overlap, beyond, before, unseen = n / stream.rate, None, Fraction(0), Fraction(0), Fraction(0), 0
    for one in ordered:
        first, last = (min(max(_nearest_item(time, stream.rate), 0), n) for time in one[:2])
        codes[first:last] = numbers[one.label]
        inside[first:last] = True
        unseen += first == last
        beyond += max(one.end - max(one.start, end), Fraction(0))
        before += max(min(one.end, Fraction(0)) - one.start, Fraction(0))
        if reach is not None:
            overlap += max(min(one.end, reach) - one.start, Fraction(0))
        reach = one.end if reach is None else max(reach, one.end)
    return PhoneSymbols(stream, codes, (OUTSIDE, *known), int(inside.sum()), overlap, beyond, before, unseen)


def _nearest_item(seconds: Fraction, rate: Fraction) -> int:
    """Return seconds * rate rounded to a whole number, halves upwards."""
    whole = seconds.denominator * rate.denominator
    return (2 * seconds.numerator * rate.numerator + whole) // (2 * whole)


class AlignmentFolder:
    """A folder of alignments. A file such as "a.lab" or "a.TextGrid" in it is an alignment of the recording "a".

    Files in subfolders count too; files whose name begins with a dot do not. If a recording has several files, a file
    with the suffix of `form` is preferred, such as `.ctm` for "ctm"; "htk", "festival" and "audacity" have no suffix of
    their own. After that, files with the suffixes `.txt`, `.json` and `.wrd` are used only if there is no other file,
    because they may be transcripts, descriptions of results, or words. form, tier: as in `read_alignment`.
    """

    def __init__(self, path: Path, form: str | None = None, tier: str | None = None) -> None:
        self.path, self._form, self._tier = path, form, tier
        self._files: dict[str, list[Path]] = {}
        for one in sorted(path.rglob("*")):
            if one.suffix.lower() in ALIGNMENT_SUFFIXES and not one.name.startswith("."):
                self._files.setdefault(one.stem, []).append(one)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def read(self, name: str, offset: Number = 0) -> Alignment:
        """Return the alignment of a recording.

        name: the name of the recording, which is that of the file without its suffix. offset: as in `read_alignment`.
        The file must have only one utterance. Raises FileError if there is no file, or more than one that could be
        meant, and the errors of `read_alignment`.
        """
        found = self._files.get(name, [])
        found = (
            [one for one in found if self._form and _SUFFIXES.get(one.suffix.lower()) == self._form]
            or [one for one in found if one.suffix.lower() not in _PERHAPS]
            or found
        )
        if not found:
            raise FileError(f"{self.path} has no alignment of {shown(name)}; {suggest(name, self._files)}")
        if len(found) > 1:
            raise FileError(
                f"{self.path} has {len(found)} alignments of {shown(name)}: {found[0].name}, {found[1].name}: keep one"
            )
        return read_alignment(found[0], self._form, tier=self._tier, offset=offset)
