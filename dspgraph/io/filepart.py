"""Pieces: parts of a file, or given bytes, that a decoder reads as if they were a whole file."""

from __future__ import annotations

import bisect
import io
import itertools
from os import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path
from typing import Any, NamedTuple


class Span(NamedTuple):
    """The bytes of a file from `first` to `last`; the byte `last` itself is not among them."""

    first: int
    last: int


class Piece(NamedTuple):
    """The input of a decoder in place of a file: the parts one after the other, then `zeros` zero bytes.

    A part is a span of the file, or bytes that are not in the file.
    """

    parts: tuple[bytes | Span, ...]  # given bytes, or bytes of the file
    zeros: int = 0

    @property
    def size(self) -> int:
        """The number of bytes of all parts and zeros."""
        return sum(map(_length, self.parts)) + self.zeros


class FilePart(io.RawIOBase):
    """A piece of a file, opened for reading.

    A decoder calls `readinto` from C, where no exception can be passed on. If reading from the disk fails, `readinto`
    therefore returns 0, as at the end of the file, and the attribute `error` is the OSError.
    """

    def __init__(self, path: Path, piece: Piece) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._parts, self._at = piece.parts, 0
        self._ends = list(itertools.accumulate(map(_length, piece.parts)))
        self._size = piece.size
        self._file = path.open("rb")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the piece, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Set the position in bytes, and return it. offset, whence: as in `io.IOBase.seek`.

        A position before the beginning becomes 0.
        """
        start = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the bytes from the position on. Return their number: 0 at the end or after an error."""
        room, filled = memoryview(buffer).cast("B"), 0
        try:
            while filled < len(room) and (got := self._read_some(room[filled:])):
                filled += got
        except OSError as error:
            self.error = error
            return 0
        return filled

    def _read_some(self, room: memoryview) -> int:
        """Copy bytes of one part, or zeros, from the position on into the buffer `room`, and return their number.

        The position moves behind these bytes. The number is 0 at the end, and if the file is shorter than the part.
        """
        k = bisect.bisect_right(self._ends, self._at)
        left = (self._ends[k] if k < len(self._ends) else self._size) - self._at
        room = room[: max(0, left)]
        part = self._parts[k] if k < len(self._ends) else bytes(len(room))
        if isinstance(part, Span):
            self._file.seek(part.last - left)
            got = self._file.readinto(room)
        else:
            got = len(room)
            room[:] = part[len(part) - left :][:got]
        self._at += got
        return got

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _length(part: bytes | Span) -> int:
    return part.last - part.first if isinstance(part, Span) else len(part)
