"""Rules for the results of an earlier run: those that a run may keep, and those that it may replace.

Nothing is written here. What is read: the line of an item in the ledger, its sidecar, and which files exist.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dspgraph.rendering.ledger import is_comparison, line_origin
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.sidecar import Sidecar, file_stamp


def earlier_result(
    line: Mapping[str, Any] | None, sidecar: Sidecar, outputs: Sequence[Path], retry_failed: bool
) -> Rendered | None:
    """Return the result that an earlier run has left for an item; None if the item must be rendered.

    line: the last line of the item in the ledger, None if it has none. sidecar: the sidecar that this run would write
    for the item. outputs: the output files of the item. retry_failed: render items again that have failed.

    A line counts if its origin is that of this run (`is_current`) and the size and time of the input file have not
    changed since. A line "done" counts only if the outputs and the sidecar exist. If there is no line of this origin,
    the sidecar can still prove that the item is done (`_result_without_line`).
    """
    item, stamp = sidecar.item, file_stamp(sidecar.item.path)
    if line is None or not is_current(line, sidecar):
        return _result_without_line(line, sidecar, outputs)
    if (line.get("size"), line.get("mtime_ns")) != stamp:
        return None
    if line["status"] == "failed":
        return None if retry_failed else Rendered(item.id, item.path, error=str(line.get("error")), cached=True)
    if not _all_exist(sidecar, outputs):
        return None
    known = float(line.get("audio_seconds", 0)), float(line.get("seconds", 0))
    return Rendered(item.id, item.path, tuple(outputs), tuple(line.get("notes", ())), *known, cached=True)


def is_current(line: Mapping[str, Any] | None, sidecar: Sidecar) -> bool:
    """Return whether a line of the ledger has the source file, the graph and the settings of this run."""
    origin = line_origin(sidecar.item, sidecar.settings)
    return line is not None and all(line.get(name) == value for name, value in origin.items())


def _result_without_line(line: Mapping[str, Any] | None, sidecar: Sidecar, outputs: Sequence[Path]) -> Rendered | None:
    """Return the result of a run that was killed after it wrote the files of an item, before its line in the ledger.

    The sidecar on the disk must be of this item, its input file as it is now, and the settings of this run.
    """
    item, stamp = sidecar.item, file_stamp(sidecar.item.path)
    if line is not None and line.get("source") != line_origin(item, sidecar.settings)["source"]:
        return None  # the files may have been made from the other source
    notes = sidecar.matching_notes(stamp)
    if notes is None or not _all_exist(sidecar, outputs):
        return None
    return Rendered(item.id, item.path, tuple(outputs), notes, cached=True, **stamp._asdict())


def _all_exist(sidecar: Sidecar, outputs: Sequence[Path]) -> bool:
    return all(path.is_file() for path in (*outputs, sidecar.path))


def other_result(
    line: Mapping[str, Any] | None, sidecar: Sidecar, outputs: Sequence[Path], recipe: str, resuming: bool
) -> str:
    """Return in words how the files that the result of an item would replace differ from that result.

    Empty if there are no files, or if they are the result of the same source, part, graph and format, which may be made
    again, for instance because the code has changed. line: the last line of the item in the ledger. sidecar: the
    sidecar that this run would write. outputs: the output files of the item. recipe: of the graph of this run
    (`Wiring.recipe`). resuming: files without a line and a sidecar may be replaced, because a run that was killed can
    have left them.
    """
    if line is not None and is_comparison(line):
        return f"it was compared{_by(line)}"
    there = [path for path in (*outputs, sidecar.path) if os.path.lexists(path)]
    if not there:
        return ""
    known = line if line is not None and line["status"] == "done" else sidecar.earlier_origin()
    if known is None:
        return "" if resuming else f"{there[0]} is there, and no run has recorded it"
    now = {**line_origin(sidecar.item, sidecar.settings), "recipe": recipe}
    if known.get("source", now["source"]) != now["source"]:
        return f"it was made from {known['source']}"
    if known.get("recipe", recipe) != recipe:
        return f"it was made with another pipeline, swap or setting{_by(known)}"
    if known.get("format", now["format"]) != now["format"]:
        return f"it has the format {known['format']}"
    if any(known.get(name, now[name]) != now[name] for name in ("start", "duration", "channel")):
        return "it was made from another part of the same file"
    return ""


def _by(line: Mapping[str, Any]) -> str:
    return f", by `{line['command']}`" if line.get("command") else ""
