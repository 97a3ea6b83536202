"""What has become of every item, a line each, for a run to go on where another one ended, however it ended."""

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

NAME = "ledger.jsonl"


class Ledger:
    """The file `ledger.jsonl` of a folder, this run's alone while it is open.

    `rows` holds the last line of every id. A run that was killed may have left half a line and files half written:
    both are taken away. Raises RequestError where another run writes to the folder, and for a file that is no ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        begun = self.path.exists()
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "rb+", buffering=0)
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}: choose another folder") from None
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise RequestError(f"{self.path} is no regular file: move it away, or choose another folder")
            self._lock()
            self.rows = dict(self._read())
            if begun:
                sweep(folder)
        except BaseException:
            self._file.close()
            raise

    def append(self, row: Mapping[str, Any]) -> None:
        """One line more, whole before anything else happens; FileError where there is no room for it."""
        line, end = json.dumps(row).encode() + b"\n", self._file.seek(0, os.SEEK_END)
        try:
            left = line
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._file.truncate(end)
            raise FileError(
                f"{self.path} cannot be written: {error.strerror or error}: make room; what is done is kept"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _lock(self) -> None:
        """The system lets go of it when the process ends, whatever ends it."""
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(
                f"another run is writing to {self.path.parent}: wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise RequestError(f"{self.path} cannot be locked: {error.strerror}: choose another folder") from None

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each line's id and row; half a line at the end is cut off."""
        kept = 0
        with open(self._file.fileno(), "rb", closefd=False) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self._file.truncate(kept)
                    return
                kept += len(line)
                try:
                    row = json.loads(line)
                    if not isinstance(row["id"], str) or row["status"] not in ("done", "failed"):
                        raise ValueError
                except (ValueError, TypeError, LookupError, RecursionError):
                    raise RequestError(
                        f"{self.path}, line {number}: is no line of a ledger: move the file away"
                    ) from None
                yield row["id"], row


def sweep(folder: Path) -> None:
    """Take away the files that a run, now dead, was writing."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if is_part(name):
                with suppress(OSError):  # it has gone, or is not ours to take: it passes for no output either way
                    Path(parent, name).unlink()
