"""Files that are complete or do not exist."""

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
    """Return whether this is the temporary name of an `AtomicFile`, perhaps left by a process that was killed."""
    return _PART.fullmatch(name) is not None


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file atomically: with all of its content, or, if that fails, not at all. Raise FileError if it fails."""
    file = AtomicFile(path)
    with file.attempt():
        file.temporary.write_bytes(content)
    file.sync()
    file.place()
    return path


class AtomicFile:
    """A file being written: it has a temporary name in the same folder until it is complete, then gets its own name.

    Write to `temporary`, inside `attempt`; call `sync` to be safe from a loss of power; then `place`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        with self.attempt():
            if path.is_dir():
                raise FileError(f"{path} is a folder: move it, or write elsewhere")
            self.temporary.touch(exist_ok=False)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Turn an error of the system into a FileError that names the file. Discard the file after any error."""
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise FileError(f"{self.path} cannot be written: {error.strerror or error}") from None
            raise

    def sync(self) -> None:
        """Bring the content to the disk."""
        with self.attempt(), self.temporary.open("rb+") as file:
            os.fsync(file.fileno())

    def place(self) -> None:
        """Give the complete file its name; a file that had this name is replaced."""
        with self.attempt():
            os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        with suppress(OSError):
            self.temporary.unlink()
