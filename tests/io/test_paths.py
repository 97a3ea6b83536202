"""Files that anybody may have made: a file that is not regular is refused before it is read."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dspgraph.errors import FileError
from dspgraph.io.paths import is_file, is_text, open_file, read_file, read_start, require_file
from dspgraph.training.weights import model_of
from helpers.surroundings import no_longer_than


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path, "x does not exist"),
    "a folder": (Path.mkdir, "x is a folder, not a file"),
    "a pipe": (os.mkfifo, "x is no regular file: save its content in a regular file"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "x is no regular file"),
    "a socket": (_socket, "x is no regular file"),
    "a link to itself": (lambda path: path.symlink_to(path), "x cannot be read: Too many levels of symbolic links"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    make, message = BAD[what]
    make(tmp_path / "x")
    for read in (open_file, require_file, lambda path: read_start(path, 8)):
        with no_longer_than(5), pytest.raises(FileError, match=message):
            read(tmp_path / "x")


def test_a_path_that_no_file_can_have_is_an_error() -> None:
    for path in (Path("a\0b"), Path("x" * 300)):
        assert not is_file(path)
        with pytest.raises(FileError, match="cannot be read"):
            open_file(path)


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in "ab":
        with open_file(tmp_path / name) as file:
            assert file.read() == b"12345"
        assert read_file(tmp_path / name, 5) == b"12345"
        assert (read_start(tmp_path / name, 3), read_start(tmp_path / name, 9)) == (b"123", b"12345")
        require_file(tmp_path / name)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_a_file_that_opens_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("/proc/self/mem")  # reading its first bytes gives EIO
    for read in (lambda path: read_start(path, 8), lambda path: read_file(path, 8), model_of):
        with pytest.raises(FileError, match="x cannot be read: Input/output error"):
            read(tmp_path / "x")


def test_text_is_told_from_other_content() -> None:
    for start in (
        b"path,start\na.wav,0\n",
        "\ufeffa".encode(),
        "\u00e9t\u00e9".encode(),
        ("a" + "\u00e9" * 256).encode()[:512],
    ):
        assert is_text(start)
    for start in (
        b"",
        b"RIFF\0\0\0\0WAVE",
        b"\xff\xfb\x90\x64" * 8,
        b"text\x1b[2J",
        b"caf\xe9 noir",
        b"caf\xe9 cr\xe8me br\xfbl\xe9e",
    ):
        assert not is_text(start)


def test_a_file_that_is_too_long_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.truncate(2**40)  # 1 TiB, none of which is on the disk
    with no_longer_than(5), pytest.raises(FileError, match="long has more than 1000 bytes"):
        read_file(tmp_path / "long", 1000)
