"""The common base of files that are written block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from dspgraph.io.atomic import AtomicFile


class Sink(ABC):
    """A file written block by block: under a temporary name in the same folder until `place` gives it its own.

    `with Sink(...) as sink:` closes and places the file at the end; after an exception it leaves nothing behind. Of
    several files that belong together all are closed first, and only then placed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._closed = False

    @abstractmethod
    def _finish(self) -> None:
        """Write what is still held, complete the file and bring it to the disk."""

    @abstractmethod
    def _release(self) -> None:
        """Free what the sink holds open. Raise nothing."""

    def close(self) -> None:
        """Complete the file and bring it to the disk, still under its temporary name. A second call does nothing."""
        if not self._closed:
            self._finish()
            self._closed = True

    def place(self) -> None:
        """Give the file its name. Close it first."""
        self._file.place()

    def discard(self) -> None:
        """Remove a file that was not given its name, and free what the sink holds."""
        self._release()
        self._file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
                self.place()
        finally:
            self.discard()
