"""Opening of files of unknown origin: only regular files are opened."""

from __future__ import annotations

import codecs
import errno
import os
import shlex
import stat
from pathlib import Path
from typing import BinaryIO

from dspgraph.errors import FileError
from dspgraph.io.names import missing

_NOT_REGULAR = "is no regular file: save its content in a regular file"


def require_file(path: Path) -> None:
    """Raise FileError, as `open_descriptor` does, if `path` is not a regular file that can be read."""
    os.close(open_descriptor(path))


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file, or a link to one.

    If the system refuses the path, for instance as too long, return False.
    """
    try:
        return path.is_file()
    except (OSError, ValueError):  # ValueError: the path has a character that no path can have
        return False


def open_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes. Raises FileError as `open_descriptor` does."""
    return os.fdopen(open_descriptor(path), "rb")


def open_descriptor(path: Path) -> int:
    """Return the descriptor of a file that is opened for reading. The caller must close it.

    A named pipe, a device or a socket is refused before a byte is read: reading it could wait for ever, or never end.
    Raises FileError if the file does not exist, cannot be read or is not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise FileError(missing(path)) from None
    except (OSError, ValueError) as error:  # ValueError: the path has a character that no path can have
        if getattr(error, "errno", None) == errno.ENXIO:  # a socket, or a device that is not there
            raise FileError(f"{path} {_NOT_REGULAR}") from None
        raise FileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise FileError(f"{path} {'is a folder, not a file' if stat.S_ISDIR(mode) else _NOT_REGULAR}")


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a file. Raises FileError for more than `most` bytes, and if the file cannot be read."""
    content = read_start(path, most + 1)
    if len(content) > most:
        raise FileError(f"{path} has more than {most} bytes: no such file is that large")
    return content


def read_start(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of a file, or all if it has fewer. Raises FileError if it cannot be read."""
    with open_file(path) as file:
        try:
            return file.read(most)
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror or error}") from None


def is_text(start: bytes) -> bool:
    """Return whether bytes are text in UTF-8 that consists of printable characters and white space only.

    start: the first bytes of a file. The last character may be incomplete. No bytes are no text.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(one.isprintable() or one.isspace() for one in text)


def convert_hint(path: Path) -> str:
    """Return the end of a message: the command that converts a file to WAV, to be run in the folder of the file."""
    return f"convert it: ffmpeg -i {shlex.quote(path.name)} out.wav"
