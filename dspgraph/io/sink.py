"""The base class of files that are written block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from dspgraph.io.atomic import AtomicFile


class Sink(ABC):
    """A file that is written block by block, under a temporary name in the same folder until `place` is called.

    `with Sink(...) as sink:` calls `close` and `place` at the end of the block; after an exception it removes the
    temporary file. For several files that belong together, close all files first, and then place all files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._closed = False

    @abstractmethod
    def _finish(self) -> None:
        """Write the samples or items that are still in memory, complete the file, and sync it to the disk."""

    @abstractmethod
    def _release(self) -> None:
        """Close the files that the sink has open. It may be called several times, and must not raise an error."""

    def close(self) -> None:
        """Complete the file and sync it to the disk. It keeps its temporary name.

        After a successful call, further calls do nothing.
        """
        if not self._closed:
            self._finish()
            self._closed = True

    def place(self) -> None:
        """Give the file its final name; an older file of that name is replaced. Call `close` first."""
        self._file.place()

    def discard(self) -> None:
        """Close all files that the sink has open, and remove the temporary file. A file that was placed stays."""
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
