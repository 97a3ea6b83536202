"""Files that are written completely or not at all."""

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
    """Return whether a name, without its folder, is the temporary name of an `AtomicFile`.

    A killed process can leave such a file.
    """
    return _PART.fullmatch(name) is not None


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file with all of its content, or not at all, and return its path. An older file is replaced.

    The folder must exist. Raises FileError if writing fails; an older file is then unchanged.
    """
    file = AtomicFile(path)
    with file.attempt():
        file.temporary.write_bytes(content)
    file.sync()
    file.place()
    return path


class AtomicFile:
    """A file that is being written: it has a temporary name until it is complete, and then gets its final name.

    Both names are in the same folder, which must exist. The temporary file is made at once. Write to the path
    `temporary`, inside `with file.attempt():`. Then call `sync`, which protects the content from a loss of power, and
    `place`. Raises FileError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        with self.attempt():
            if path.is_dir():
                raise FileError(f"{path} is a folder: move it, or write elsewhere")
            self.temporary.touch(exist_ok=False)

    @contextmanager
    def attempt(self, keeps: bool = False) -> Iterator[None]:
        """Return a context in which any error removes the temporary file.

        keeps: whether the temporary file is kept after an error. An OSError becomes a FileError that names the final
        path; any other error is raised unchanged.
        """
        try:
            yield
        except BaseException as error:
            if not keeps:
                self.discard()
            if isinstance(error, OSError):
                raise FileError(f"{self.path} cannot be written: {error.strerror or error}") from None
            raise

    def sync(self) -> None:
        """Wait until the content is on the disk (fsync)."""
        with self.attempt(), self.temporary.open("rb+") as file:
            os.fsync(file.fileno())

    def place(self) -> None:
        """Give the complete file its final name. An older file of that name is replaced."""
        with self.attempt():
            os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        with suppress(OSError):
            self.temporary.unlink()
