"""The result of comparing one recording, and how the ledger keeps it for a later run with `--resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dspgraph.evaluation.results import Score
from dspgraph.rendering.item import Item
from dspgraph.rendering.ledger import line_origin
from dspgraph.rendering.resume import is_current
from dspgraph.rendering.sidecar import FileStamp, file_stamp

NO_FILE = FileStamp(-1, -1)


@dataclass(frozen=True)
class Compared:
    """The result of one recording: a score for each choice, or the error that prevented all scores.

    id, source, seconds: the recording, its file and its duration. notes: sentences about the recording. audio: the
    names of the reference and the choices whose audio was written; none if `error` is not "". input_exists: whether the
    file of the recording was there. stamp: the size and the time of the last change of this file, before it was read.
    cached: whether an earlier run has made this result.
    """

    id: str
    source: str
    seconds: float = 0.0
    scores: tuple[Score, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    audio: tuple[str, ...] = ()
    input_exists: bool = True
    stamp: FileStamp = NO_FILE
    cached: bool = False

    @property
    def errors(self) -> list[str]:
        """The error of the whole recording, or the errors of the choices that failed; empty if there is no error."""
        return [self.error] if self.error else [f"{one.variant}: {one.error}" for one in self.scores if one.error]


def compared_line(item: Item, settings: Mapping[str, Any], row: Compared, audio: Mapping[str, Path]) -> dict[str, Any]:
    """Return the part of a ledger line that `earlier_compared` reads, for a result whose audio files are written.

    settings: see `sidecar.item_settings`. row: the result of the item. audio: name of the reference and of every
    choice, in this order -> its audio file. If a choice or the whole recording failed, the status is "failed", and the
    line has the errors and no scores, because the recording is then always compared again.
    """
    line = {"id": row.id, **line_origin(item, settings), "audio_seconds": row.seconds}
    if row.errors:
        return {**line, "status": "failed", "error": "; ".join(row.errors)}
    scores = [[one.variant, dict(one.values), dict(one.reasons)] for one in row.scores]
    stamps = {name: list(file_stamp(path)) for name, path in audio.items()}
    done = {"status": "done", "size": row.stamp.size, "mtime_ns": row.stamp.mtime_ns, "notes": list(row.notes)}
    return {**line, **done, "scores": scores, "audio": stamps}


def earlier_compared(
    line: Mapping[str, Any] | None, item: Item, settings: Mapping[str, Any], audio: Mapping[str, Path]
) -> Compared | None:
    """Return the result that an earlier comparison has for an item; None if the item must be compared.

    An earlier result is kept if no choice failed, if it has the source and settings of this run, and if neither the
    input file nor any of the audio files has changed since. line: the last line of the item in the ledger; None if it
    has no line. settings, audio: as in `compared_line`.
    """
    if line is None or line["status"] != "done" or "scores" not in line or not is_current(line, item, settings):
        return None
    stamp = file_stamp(item.path)
    if stamp == NO_FILE or [line.get("size"), line.get("mtime_ns")] != list(stamp):
        return None
    if line.get("audio") != {name: list(file_stamp(path)) for name, path in audio.items()}:
        return None
    scores = _scores(item.id, line["scores"])
    if [score.variant for score in scores] != list(audio)[1:]:
        return None
    known = line.get("audio_seconds", 0.0), tuple(scores), tuple(line.get("notes", ()))
    return Compared(item.id, str(item.path), *known, audio=tuple(audio), stamp=stamp, cached=True)


def _scores(id: str, found: Any) -> Sequence[Score]:
    """Return the scores in a line of the ledger; empty if they are not what `compared_line` writes."""
    try:
        return [Score(id, variant, dict(values), "", dict(reasons)) for variant, values, reasons in found]
    except (TypeError, ValueError):
        return []
