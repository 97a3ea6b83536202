"""What has become of every item, a line each, for a run to go on where another one ended, however it ended."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dspgraph._part import is_part
from dspgraph.errors import RequestError

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
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}: choose another folder") from None
        self._file = os.fdopen(handle, "rb+")
        try:
            self._lock()
            self.rows = self._read()
            if begun:
                sweep(folder)
        except BaseException:
            self._file.close()
            raise

    def append(self, row: Mapping[str, Any]) -> None:
        """One line more, whole before anything else happens."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()

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
        except OSError:
            raise RequestError(
                f"another run is writing to {self.path.parent}: wait for it, or choose another folder"
            ) from None

    def _read(self) -> dict[str, dict[str, Any]]:
        whole = self._file.read()
        kept = whole.rfind(b"\n") + 1
        self._file.seek(kept)
        self._file.truncate()
        rows = {}
        for number, line in enumerate(whole[:kept].splitlines(), 1):
            try:
                row = json.loads(line)
                rows[row["id"]] = row
            except (ValueError, TypeError, LookupError):
                raise RequestError(f"{self.path}, line {number}: is no line of a ledger: move the file away") from None
        return rows


def sweep(folder: Path) -> None:
    """Take away the files that a run, now dead, was writing."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if is_part(name):
                Path(parent, name).unlink(missing_ok=True)
