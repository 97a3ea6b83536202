"""The files of a phone study: frames of a model in .npz files, and an alignment for each .npz file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from dspgraph.errors import FileError, RequestError
from dspgraph.io.alignment import Alignment, AlignmentFile, AlignmentFolder, phone_symbols
from dspgraph.io.arrays import SUFFIX, ArraySource, stored_streams
from dspgraph.plotting.phone_study import MIXTURE, SCALES, PhoneStudy
from dspgraph.shown import shown
from dspgraph.streams import Frames, Number, Stream


def study_files(
    frames: Path,
    alignments: Path,
    *,
    stream: str | None = None,
    form: str | None = None,
    tier: str | None = None,
    utterance: str | None = None,
    offset: Number = 0,
    folds: Collection[str] = (),
) -> PhoneStudy:
    """Return the phone study of recordings, from their .npz files and their alignments.

    frames: a .npz file with frames of a model, or a folder; all .npz files in it and its subfolders are used.
    alignments: a file or a folder. In a folder, and in a file of many utterances, an alignment is found by the name of
    the recording: the name of its .npz file without suffix. stream: the name of the array; by default the only array of
    kind "logistic_mixture" or, if there is none, of a kind in SCALES. form, tier, utterance, offset: as in
    `read_alignment`. folds: as in `Alignment.folded`.

    Recordings without an alignment are left out; the attribute `notes` of the study says how many. Raises FileError for
    files that cannot be used, and RequestError if there is no .npz file, if no recording has an alignment, if one
    alignment is given for several recordings, if recordings have frames of different kinds, if `utterance` is given for
    a folder, and for too many labels (see `PhoneStudy.add`).
    """
    files = sorted(frames.rglob(f"*{SUFFIX}")) if frames.is_dir() else [frames]
    if not files:
        raise RequestError(f"{frames} has no {SUFFIX} files: render the distribution of a model into it")
    study, reports = PhoneStudy(), _Reports()
    find = _finder(alignments, len(files), form, tier, utterance, offset)
    for file in files:
        alignment = find(file.stem)
        if alignment is None:
            reports.missing.append(file.stem)
            continue
        reports.read += 1
        _add_file(study, reports, file, alignment.folded(folds), stream)
    if not study.rows:
        raise RequestError(
            f"{alignments} has no alignment of any of {len(files)} recordings, for instance {shown(files[0].stem)}: an "
            "alignment has the name of its recording"
        )
    study.notes = reports.sentences()
    return study


@dataclass
class _Reports:
    """Counts over all recordings, which `sentences` puts into words.

    read: the number of recordings with an alignment. items: the number of samples; covered: how many of them lie in an
    interval of an alignment. unseen: the number of intervals without a sample. overlap, beyond, before: the seconds of
    intervals that overlap, lie after the end, and lie before the start of a recording. missing: the recordings without
    an alignment. notes: note -> the recordings to which it applies.
    """

    read: int = 0
    items: int = 0
    covered: int = 0
    unseen: int = 0
    overlap: Fraction = Fraction(0)
    beyond: Fraction = Fraction(0)
    before: Fraction = Fraction(0)
    missing: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        found = [f"{100 * self.covered / max(self.items, 1):.4g} % of {self.items} samples are in an interval"]
        parts = {"overlap": self.overlap, "lie beyond the end": self.beyond, "lie before the start": self.before}
        found += [f"{float(seconds):.3g} s of intervals {what}" for what, seconds in parts.items() if seconds]
        if self.unseen:
            found.append(f"{self.unseen} intervals are too short for a sample, or lie outside")
        if self.missing:
            more = (
                f"{len(self.missing)} of {self.read + len(self.missing)} recordings have no alignment and are left out"
            )
            found.append(f"{more}, for instance {shown(self.missing[0])}")
        for note, names in self.notes.items():
            found.append(f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {note}")
        return found


def _finder(
    path: Path, recordings: int, form: str | None, tier: str | None, utterance: str | None, offset: Number
) -> Callable[[str], Alignment | None]:
    """Return a function that takes the name of a recording and returns its alignment, or None if there is none.

    If there is one recording and `path` is a file, the function never returns None: it returns the alignment of
    `utterance` or, if that is None, the alignment with the name of the recording, or else the only alignment of the
    file. If the file has no such alignment, the function raises FileError.

    path: the file or folder of alignments. recordings: the number of recordings. form, tier, utterance, offset: as in
    `read_alignment`. Raises RequestError for several recordings if the format of the file has one alignment or if
    `utterance` is given, and if `utterance` is given where there is nothing to choose from.
    """
    if path.is_dir():
        if utterance is not None:
            raise RequestError(f"{path} is a folder: an utterance is chosen in a file of several: drop {utterance!r}")
        folder = AlignmentFolder(path, form, tier)
        return lambda name: folder.read(name, offset) if name in folder else None
    file = AlignmentFile(path, form, tier)
    if recordings == 1:
        return lambda name: file.read(name if utterance is None and name in file.utterances else utterance, offset)
    if not file.has_many or utterance is not None:
        raise RequestError(
            f"{path} is one alignment, for {recordings} recordings: give a folder of alignments, or one recording"
        )
    return lambda name: file.read(name, offset) if name in file.utterances else None


def _add_file(study: PhoneStudy, reports: _Reports, file: Path, alignment: Alignment, name: str | None) -> None:
    name, stream = _stream(file, stored_streams(file), name)
    if study.kind not in ("", stream.kind):
        raise RequestError(
            f"{file}: '{name}' is of kind {stream.kind}, but other recordings have the kind {study.kind}: choose one"
        )
    study.kind = stream.kind
    source = ArraySource(file, {name: stream})
    fit = phone_symbols(alignment.intervals, stream.rate, source.lengths[name])
    reports.items += len(fit.codes)
    reports.covered += fit.covered
    reports.unseen += fit.unseen
    reports.overlap += fit.overlap
    reports.beyond += fit.beyond
    reports.before += fit.before
    for note in alignment.notes:
        reports.notes.setdefault(note, []).append(file.stem)
    first = 0
    for block in source.blocks():
        rows = stream.validate(block[name], f"{file}: '{name}'", copy=False)
        study.add(file.stem, stream, first, rows, fit.codes[first : first + len(rows)], fit.labels)
        first += len(rows)


def _stream(file: Path, streams: Mapping[str, Stream], name: str | None) -> tuple[str, Frames]:
    """Return the name and the stream of the array to study in a file.

    streams: name of an array -> stream, for the arrays in the file. name: the name that the user has given; None for
    the only array that fits, see `study_files`. Raises FileError if no array of this name fits, and without a name if
    none or several fit.
    """
    fitting = {key: one for key, one in streams.items() if isinstance(one, Frames) and _fits(one)}
    listed = ", ".join(f"'{key}' ({one})" for key, one in list(streams.items())[:10]) or "none that is described"
    if name is None:
        mixtures = [key for key, one in fitting.items() if one.kind == MIXTURE]
        names = mixtures or list(fitting)
        if len(names) != 1:
            raise FileError(
                f"{file} has {len(names)} streams of kind {MIXTURE}, {' or '.join(SCALES)}; there are: {listed}: "
                f"{'choose one by its name' if names else 'render the distribution of a model with such a mixture'}"
            )
        (name,) = names
    if name not in fitting:
        raise FileError(
            f"{file} has no stream {shown(name)} of kind {MIXTURE}, {' or '.join(SCALES)}; there are: {listed}"
        )
    return name, fitting[name]


def _fits(stream: Frames) -> bool:
    right = stream.width % 3 == 0 if stream.kind == MIXTURE else stream.kind in SCALES and stream.width == 1
    return right and stream.dtype.kind != "c"
