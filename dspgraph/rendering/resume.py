"""Rules for the results of an earlier run: which results a run may keep, and which results it may replace.

The rules depend on the line of an item in the ledger, its sidecar, and which files exist. Nothing is written here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dspgraph.rendering.item import Item
from dspgraph.rendering.ledger import is_comparison, line_origin
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.sidecar import Sidecar, file_stamp


def earlier_result(
    line: Mapping[str, Any] | None, sidecar: Sidecar, outputs: Sequence[Path], retry_failed: bool
) -> Rendered | None:
    """Return the result that an earlier run has left for an item; None if the item must be rendered.

    line: the last line of the item in the ledger; None if the item has no line. sidecar: the sidecar that this run
    would write for the item. outputs: the output files of the item. retry_failed: render items again that have failed.

    The line is used if it has the source and settings of this run (`is_current`), and if the size and time of the input
    file have not changed since. If its status is "done", the outputs and the sidecar must also exist. Without a line
    that is current, the sidecar can still prove that the item is done (`_result_without_line`).
    """
    item, stamp = sidecar.item, file_stamp(sidecar.item.path)
    if line is None or not is_current(line, item, sidecar.settings):
        return _result_without_line(line, sidecar, outputs)
    if (line.get("size"), line.get("mtime_ns")) != stamp:
        return None
    if line["status"] == "failed":
        return None if retry_failed else Rendered(item.id, item.path, error=str(line.get("error")), cached=True)
    if not _all_exist(sidecar, outputs):
        return None
    known = float(line.get("audio_seconds", 0)), float(line.get("seconds", 0))
    return Rendered(item.id, item.path, tuple(outputs), tuple(line.get("notes", ())), *known, cached=True)


def earlier_refusal(line: Mapping[str, Any] | None, sidecar: Sidecar, reason: str) -> Rendered | None:
    """Return the failed result that an earlier run has left for a refused item; None if there is no such result.

    A refused item is one that no job can do (`by_file.ItemsByFile.refused`). line: the last line of the item in the
    ledger. sidecar: as in `earlier_result`. reason: why the item is refused now. The line is used if it has the same
    reason, the source and settings of this run with the digest "" (no graph was made), and the size and time of the
    input file.
    """
    item, settings = sidecar.item, {**sidecar.settings, "digest": ""}
    if line is None or line["status"] != "failed" or not is_current(line, item, settings):
        return None
    if (line.get("size"), line.get("mtime_ns"), line.get("error")) != (*file_stamp(item.path), reason):
        return None
    return Rendered(item.id, item.path, error=reason, cached=True)


def is_current(line: Mapping[str, Any] | None, item: Item, settings: Mapping[str, Any]) -> bool:
    """Return whether a line of the ledger has the source file of an item, and the settings of this run.

    Without a line, return False. settings: see `sidecar.item_settings`.
    """
    origin = line_origin(item, settings)
    return line is not None and all(line.get(name) == value for name, value in origin.items())


def _result_without_line(line: Mapping[str, Any] | None, sidecar: Sidecar, outputs: Sequence[Path]) -> Rendered | None:
    """Return the result of a run that was killed between writing the files of an item and its line in the ledger.

    Return None if there is no such result. Arguments: as in `earlier_result`. The sidecar on the disk must have been
    written for the input file of this item, as it is now, and with the settings of this run. If there is a line, it
    must name the same source.
    """
    item, stamp = sidecar.item, file_stamp(sidecar.item.path)
    if line is not None and line.get("source") != line_origin(item, sidecar.settings)["source"]:
        return None  # the files may have been made from the source in this line
    notes = sidecar.matching_notes(stamp)
    if notes is None or not _all_exist(sidecar, outputs):
        return None
    return Rendered(item.id, item.path, tuple(outputs), notes, cached=True, **stamp._asdict())


def _all_exist(sidecar: Sidecar, outputs: Sequence[Path]) -> bool:
    return all(path.is_file() for path in (*outputs, sidecar.path))


def other_result(
    line: Mapping[str, Any] | None,
    sidecar: Sidecar,
    outputs: Sequence[Path],
    is_same: Callable[[str], bool],
    resuming: bool,
) -> str:
    """Return why this run may not replace the existing files of an item, in words; "" if it may replace them.

    The run may replace files that were made from the same source, part, graph and format: such a result may be made
    again, for instance because the code has changed. It may not replace the result of a comparison. line: the last line
    of the item in the ledger. sidecar: the sidecar that this run would write. outputs: the output files of the item.
    is_same: a function that returns whether a recipe (`Wiring.recipe`) belongs to the graph of this run. resuming:
    whether files may be replaced that have neither a line with the status "done" nor a sidecar of this item; a killed
    run can have left such files.
    """
    if line is not None and is_comparison(line):
        return f"it was compared{_by(line)}"
    there = [path for path in (*outputs, sidecar.path) if os.path.lexists(path)]
    if not there:
        return ""
    known = line if line is not None and line["status"] == "done" else sidecar.earlier_origin()
    if known is None:
        return "" if resuming else f"{there[0]} is there, and no run has recorded it"
    now = line_origin(sidecar.item, sidecar.settings)
    if known.get("source", now["source"]) != now["source"]:
        return f"it was made from {known['source']}"
    if "recipe" in known and not is_same(known["recipe"]):
        return f"it was made with another pipeline, swap or setting{_by(known)}"
    if known.get("format", now["format"]) != now["format"]:
        return f"it has the format {known['format']}"
    if any(known.get(name, now[name]) != now[name] for name in ("start", "duration", "channel")):
        return "it was made from another part of the same file"
    return ""


def _by(line: Mapping[str, Any]) -> str:
    return f", by `{line['command']}`" if line.get("command") else ""
