"""Parts of files, which are read as if they were files."""

import io
from pathlib import Path

import numpy as np
import pytest

from dspgraph.io.filepart import FilePart, Piece, Span

CONTENT = bytes(range(100))


@pytest.fixture
def part(tmp_path: Path) -> FilePart:
    """Return a FilePart of 5 given bytes, then the bytes 10 to 19 and 50 to 79 of a file."""
    (tmp_path / "v").write_bytes(CONTENT)
    return FilePart(tmp_path / "v", Piece((b"headb", Span(10, 20), Span(50, 80))))


def test_it_is_its_head_and_its_spans(part: FilePart) -> None:
    assert part.read() == b"headb" + CONTENT[10:20] + CONTENT[50:80]
    assert part.read() == b""


def test_it_is_read_and_sought_as_a_file_in_memory(part: FilePart) -> None:
    oracle, random = io.BytesIO(b"headb" + CONTENT[10:20] + CONTENT[50:80]), np.random.default_rng(0)
    for _ in range(500):
        if random.random() < 0.5:
            where = [
                (int(random.integers(0, 60)), 0),
                (int(random.integers(-45, 9)), 2),
                (int(random.integers(0, 9)), 1),
            ]
            offset, whence = where[random.integers(3)]
            assert part.seek(offset, whence) == oracle.seek(offset, whence)
        n = int(random.integers(0, 30))
        assert part.read(n) == oracle.read(n)
        assert part.tell() == oracle.tell()


def test_zeros_follow(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(CONTENT)
    part = FilePart(tmp_path / "v", Piece((Span(90, 100),), zeros=5))
    assert part.read() == CONTENT[90:] + bytes(5)
    assert part.seek(-2, 2) == 13
    assert part.read(9) == bytes(2)


def test_an_error_of_the_disk_is_kept(part: FilePart, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(part, "_file", Broken())
    assert part.readinto(bytearray(20)) == 0
    assert str(part.error) == "[Errno 5] Input/output error"
