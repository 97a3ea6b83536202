"""Parts of a file that are read as if they were a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path
from typing import Any, NamedTuple


class Span(NamedTuple):
    """The bytes of a file from `first` to `last`; the byte `last` itself is not among them."""

    first: int
    last: int


class Piece(NamedTuple):
    """The input of a decoder in place of a file: the bytes `head`, some spans of the file, and `zeros` zero bytes."""

    spans: tuple[Span, ...]
    head: bytes = b""
    zeros: int = 0

    @property
    def size(self) -> int:
        """The number of all bytes."""
        return len(self.head) + sum(span.last - span.first for span in self.spans) + self.zeros


class FilePart(io.RawIOBase):
    """A piece of a file, opened for reading.

    A decoder that calls `readinto` from C cannot be given an exception. If the disk fails, `readinto` returns 0, which
    means the end of the file, and the attribute `error` holds the OSError.
    """

    def __init__(self, path: Path, piece: Piece) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._head, self._at = piece.head, 0
        self._starts = _starts(piece)
        self._spans = piece.spans
        self._size = piece.size
        self._file = path.open("rb")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Set the position, and return it."""
        start = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the bytes from the position on, and return their number: 0 at the end."""
        room, filled = memoryview(buffer).cast("B"), 0
        try:
            while filled < len(room) and (got := self._read_some(room[filled:])):
                filled += got
        except OSError as error:
            self.error = error
            return 0
        return filled

    def _read_some(self, room: memoryview) -> int:
        """Copy bytes into `room` from the head, from one span or from the zeros, and return their number."""
        if self._at < len(self._head):
            some = self._head[self._at : self._at + len(room)]
            room[: len(some)] = some
            self._at += len(some)
            return len(some)
        for start, span in zip(self._starts, self._spans, strict=True):
            if self._at < start + span.last - span.first:
                self._file.seek(span.first + self._at - start)
                got = self._file.readinto(room[: start + span.last - span.first - self._at])
                self._at += got
                return got
        zeros = max(0, min(len(room), self._size - self._at))
        room[:zeros] = bytes(zeros)
        self._at += zeros
        return zeros

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _starts(piece: Piece) -> Sequence[int]:
    """Return the position in the part at which each span of a piece begins."""
    starts, at = [], len(piece.head)
    for span in piece.spans:
        starts.append(at)
        at += span.last - span.first
    return starts
