"""Files that are whole or not there."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dspgraph.errors import FileError

_PART = re.compile(r"\.[0-9a-f]{16}\.part")


def is_part(name: str) -> bool:
    """Whether a file of this name is one on its way, or was when the process that wrote it was killed."""
    return _PART.fullmatch(name) is not None


class AtomicFile:
    """A file on its way: under another name in the same folder until it is whole, then put in place at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        with self.attempt():
            if path.is_dir():
                raise FileError(f"{path} is a folder: move it, or write elsewhere")
            self.temporary.touch(exist_ok=False)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Name the file in what the system complains of; leave nothing behind, whatever goes wrong."""
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise FileError(f"{self.path} cannot be written: {error.strerror or error}") from None
            raise

    def sync(self) -> None:
        """Bring what was written to the disk."""
        with self.attempt(), self.temporary.open("rb+") as file:
            os.fsync(file.fileno())

    def place(self) -> None:
        """The file is whole: give it its name, in place of whatever had it."""
        with self.attempt():
            os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):
            self.temporary.unlink()
