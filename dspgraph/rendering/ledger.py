"""The ledger: a file with one line for every result, from which an interrupted run goes on."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dspgraph.errors import FileError, RequestError
from dspgraph.io.atomic import is_part
from dspgraph.rendering.item import Item
from dspgraph.rendering.result import Rendered

LEDGER_NAME = "ledger.jsonl"


class Ledger:
    """The file `ledger.jsonl` of an output folder. Only one run at a time can have it open.

    When it is opened, the files and the half line that a killed run has left are removed. Of every line only the place
    in the file is kept in memory. Raises RequestError if another run writes to the folder, and if the file is not a
    ledger.
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
        """Return the ids that had a line when the ledger was opened."""
        return list(self._places)

    def row(self, id: str) -> dict[str, Any] | None:
        """Return the last line of an id when the ledger was opened, or None if there was none."""
        if id not in self._places:
            return None
        start, length = divmod(self._places[id], _LENGTHS)
        row: dict[str, Any] = json.loads(os.pread(self._file.fileno(), length, start))
        return row

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one line. It is in the file when this returns; FileError if there is no room for it."""
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
        """Lock the file. The system unlocks it when the process ends, for whatever reason."""
        import fcntl  # not on every system

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(
                f"another run is writing to {self.path.parent}: wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise RequestError(f"{self.path} cannot be locked: {error.strerror}: choose another folder") from None

    def _read(self) -> Iterator[tuple[str, int]]:
        """Yield the id and the place of every line. Cut off half a line at the end."""
        start = 0
        with open(self._file.fileno(), "rb", closefd=False) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self._file.truncate(start)
                    return
                yield self._id(number, line), start * _LENGTHS + len(line)
                start += len(line)

    def _id(self, number: int, line: bytes) -> str:
        try:
            row = json.loads(line)
            id = row["id"]
            if isinstance(id, str) and row["status"] in ("done", "failed") and len(line) < _LENGTHS:
                return id
        except (ValueError, TypeError, LookupError, RecursionError):
            pass
        raise RequestError(f"{self.path}, line {number}: is not a line of a ledger: move the file away")


def ledger_line(item: Item, settings: Mapping[str, Any], row: Rendered) -> dict[str, Any]:
    """Return the line that `render` writes for the result of an item; settings: those of `item_settings`."""
    line: dict[str, Any] = {"id": item.id, "status": "failed" if row.error else "done"}
    line |= {"error": row.error} if row.error else {"audio_seconds": row.audio_seconds, "notes": row.notes}
    line |= {"seconds": round(row.seconds, 6), "size": row.size, "mtime_ns": row.mtime_ns}
    return {**line, **line_origin(item, settings)}


def line_origin(item: Item, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a line that says what a result was made from: the source file and the settings."""
    return {"source": os.path.abspath(item.path), **settings}


_LENGTHS = 2**24
"""A place is one integer, start * _LENGTHS + length: half the memory of a pair. No line has 16 MB."""


def sweep(folder: Path) -> None:
    """Remove the unfinished files of a run, or a worker, that was killed."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if is_part(name):
                with suppress(OSError):  # it is gone, or not ours; a file of this name is never taken for an output
                    Path(parent, name).unlink()
