"""Atomic files: a file is complete, or it does not exist."""

import os
from pathlib import Path

import pytest

from dspgraph.errors import FileError
from dspgraph.io.atomic import AtomicFile, is_part, write_whole
from helpers.surroundings import files_no_larger_than


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_content_in_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    assert write_whole(path, b"\x00new\xff") == path
    assert path.read_bytes() == b"\x00new\xff"
    assert names(tmp_path) == ["a.csv"]


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    with files_no_larger_than(1000), pytest.raises(FileError, match=r"a\.csv cannot be written: File too large"):
        write_whole(path, bytes(2000))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.csv"]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FileError, match=r"a\.csv is a folder: move it, or write elsewhere"):
        write_whole(tmp_path / "a.csv", b"new")
    with pytest.raises(FileError, match=r"a\.csv cannot be written: No such file or directory"):
        write_whole(tmp_path / "nowhere" / "a.csv", b"new")
    assert names(tmp_path) == ["a.csv"]


def test_the_temporary_name_is_recognised(tmp_path: Path) -> None:
    file = AtomicFile(tmp_path / "a.csv")
    assert [is_part(name) for name in os.listdir(tmp_path)] == [True]
    file.discard()
    assert names(tmp_path) == []
    assert not any(map(is_part, ["a.part", ".a.part", "0123456789abcdef.part", ".0123456789abcdef.part.wav"]))
