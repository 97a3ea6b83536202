"""The ledger: a file with one line for every result. A later run reads from it which items are done."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dspgraph.errors import FileError, RequestError
from dspgraph.io.atomic import is_part
from dspgraph.rendering.item import Item
from dspgraph.rendering.result import Rendered
from dspgraph.shown import shown

LEDGER_NAME = "ledger.jsonl"


class Ledger:
    """The file `ledger.jsonl` of an output folder. Only one run at a time can have it open. A `with` block closes it.

    The constructor makes the file if there is none. If there is one, the constructor removes the remains of a killed
    run: unfinished files in the folder and its subfolders, and an incomplete line at the end of the ledger. For each
    id, only the place of its last line is kept in memory. Raises RequestError if the file cannot be opened for writing,
    if another run has it open, and if it is not a ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_NAME
        existed = self.path.exists()
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "rb+", buffering=0)
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}: choose another folder") from None
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise RequestError(f"{self.path} is not a regular file: move it away, or choose another folder")
            self._lock()
            self._places = dict(self._read())
            if existed:
                sweep(folder)
        except BaseException:
            self._file.close()
            raise

    def ids(self) -> list[str]:
        """Return the ids of the lines that earlier runs have written, each once."""
        return list(self._places)

    def row(self, id: str) -> dict[str, Any] | None:
        """Return the last line that earlier runs have written for an id; None if they have written none."""
        if id not in self._places:
            return None
        start, length = divmod(self._places[id], _LENGTHS)
        row: dict[str, Any] = json.loads(os.pread(self._file.fileno(), length, start))
        return row

    def append(self, row: Mapping[str, Any]) -> None:
        """Append `row` as one line, immediately. Raises FileError if that fails; the file is then as it was before.

        row: the data of a line, with "id" and with "done" or "failed" as "status"; they are not checked.
        """
        line, end = json.dumps(row).encode() + b"\n", self._file.seek(0, os.SEEK_END)
        try:
            left = line
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._file.truncate(end)
            raise FileError(
                f"{self.path} cannot be written: {error.strerror or error}: make room; finished items are kept"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _lock(self) -> None:
        """Lock the file. Raises RequestError if another run has locked it, or if it cannot be locked.

        The lock ends when the file is closed, or when this process ends, even if the process is killed.
        """
        import fcntl  # Windows does not have it

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(
                f"another run is writing to {self.path.parent}: wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise RequestError(f"{self.path} cannot be locked: {error.strerror}: choose another folder") from None

    def _read(self) -> Iterator[tuple[str, int]]:
        """Yield (id, place) of every line. Remove a last line that has no line end from the file.

        The place of a line is one integer, (offset in bytes) * _LENGTHS + (length in bytes). Raises RequestError for a
        line that is not a line of a ledger.
        """
        start = number = 0
        with open(self._file.fileno(), "rb", closefd=False) as file:
            while line := file.readline(_LENGTHS):
                number += 1
                if not line.endswith(b"\n") and len(line) < _LENGTHS:
                    self._file.truncate(start)
                    return
                yield self._id(number, line), start * _LENGTHS + len(line)
                start += len(line)

    def _id(self, number: int, line: bytes) -> str:
        row = _row(line)
        if row is None:
            raise RequestError(f"{self.path}, line {number}: is not a line of a ledger: move the file away")
        for name, (fits, what) in _FIELDS.items():
            if name in row and not fits(row[name]):
                raise RequestError(
                    f"{self.path}, line {number}: '{name}' must be {what}; found {shown(row[name])}: move the file away"
                )
        id: str = row["id"]
        return id


def _row(line: bytes) -> dict[str, Any] | None:
    """Return the data in a line of a ledger; None for any other line.

    A line of a ledger is JSON, has less than _LENGTHS bytes, an id, and the status "done" or "failed".
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(row, dict) and isinstance(row.get("id"), str) and row.get("status") in ("done", "failed")
    return row if known and len(line) < _LENGTHS else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value.bit_length() <= 64


def _is_time(value: Any) -> bool:
    return (type(value) is float or _is_whole(value)) and 0 <= value < math.inf


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("error", "source", "digest", "recipe", "format", "start", "command"), (_is_text, "a text")),
    **dict.fromkeys(("size", "mtime_ns"), (_is_whole, "a whole number")),
    **dict.fromkeys(("seconds", "audio_seconds"), (_is_time, "a number of seconds")),
    **dict.fromkeys(("notes", "files"), (_is_texts, "a list of texts")),
}
"""Field of a line that later runs read -> (function that returns whether a value is allowed, rule in words)."""


def ledger_line(item: Item, settings: Mapping[str, Any], recipe: str, row: Rendered, command: str) -> dict[str, Any]:
    """Return the line that `render` appends for the result of an item.

    settings: see `sidecar.item_settings`. recipe: the recipe of the graph (`Wiring.recipe`). row: the result. command:
    the command line; "" if the run was started from Python.
    """
    line: dict[str, Any] = {"id": item.id, "status": "failed" if row.error else "done"}
    line |= {"error": row.error} if row.error else {"audio_seconds": row.audio_seconds, "notes": row.notes}
    line |= {"seconds": round(row.seconds, 6), "size": row.size, "mtime_ns": row.mtime_ns}
    line |= {**line_origin(item, settings), "recipe": recipe}
    return {**line, "command": command} if command else line


def line_origin(item: Item, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a ledger line that says what the result was made from: the source and the settings.

    The source is the absolute path of the item's file. settings: see `sidecar.item_settings`.
    """
    return {"source": os.path.abspath(item.path), **settings}


def is_comparison(line: Mapping[str, Any]) -> bool:
    """Return whether a line of the ledger was written by `compare`, not by `render`."""
    return "files" in line


_LENGTHS = 2**24
"""The place of a line is the integer start * _LENGTHS + length, where start and length are in bytes.

One integer takes half the memory of a pair. A line of _LENGTHS bytes (16 MiB) or more is refused.
"""


def sweep(folder: Path) -> None:
    """Remove the unfinished files that a killed run, or a killed worker, has left in a folder and its subfolders."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if is_part(name):
                with suppress(OSError):  # a file that cannot be removed does no harm: no output has such a name
                    Path(parent, name).unlink()
