"""The items of a corpus, gathered from files, folders, patterns and manifests."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

from dspgraph.errors import RequestError
from dspgraph.io.paths import is_file
from dspgraph.rendering.item import Item
from dspgraph.rendering.manifests import manifest_reader


def gather(arguments: Iterable[str | Path], suffixes: Collection[str], out: Path | None = None) -> list[Item]:
    """Return the items that the arguments name, in the order of the arguments.

    An argument is one of these:

    * a file; the id of its item is its name without the suffix
    * a folder, or a pattern with `*`, `?`, `[]` or `**`: every file in it that has one of the suffixes; ids keep the
      folders below it, and links to folders are not followed
    * a manifest: JSON lines or CSV with the columns id, path, start, duration and channel (only path is required, times
      are in seconds, other columns are ignored); Kaldi's wav.scp; or Kaldi's segments, with a wav.scp in the same
      folder. Paths in a manifest are relative to its folder.

    Files in the folder `out` are outputs and are left out. Raises RequestError for a pattern, folder or manifest
    without any file, for a folder that cannot be read, and for a broken manifest. A missing file is reported later,
    when it is opened.
    """
    folders = _FolderSearch(suffixes, out)
    return [item for argument in arguments for item in _items(Path(argument), folders)]


def _items(path: Path, folders: _FolderSearch) -> Iterator[Item]:
    if os.path.isdir(path):  # Path.is_dir raises for a name that is too long
        yield from folders.items(path)
    elif (read := manifest_reader(path)) is not None:
        empty = True
        for item in read(path):
            yield item
            empty = False
        if empty:
            raise RequestError(f"{path} names no file: write one line for each file")
    elif has_magic(str(path)) and not is_file(path):
        yield from folders.matching(str(path))
    else:
        yield Item(path.stem, path)


class _FolderSearch:
    """The search for files with certain suffixes, in folders and by patterns, outside of the output folder."""

    def __init__(self, suffixes: Collection[str], out: Path | None) -> None:
        self.suffixes = suffixes
        self.out = os.path.realpath(out) if out else None

    def items(self, folder: Path) -> list[Item]:
        """Return an item for every file below a folder."""
        if self.out == os.path.realpath(folder):
            raise RequestError(f"{folder} is the output folder, its files are no inputs: choose another folder")
        files = sorted(Path(parent, name) for parent, name in self._walk(folder))
        if not files:
            raise RequestError(f"no file in {folder} can be taken: files are taken by their suffix: {self._known()}")
        return [Item(_without_suffix(path.relative_to(folder)), path) for path in files]

    def matching(self, pattern: str) -> list[Item]:
        """Return an item for every file that a pattern matches."""
        fixed = Path(*takewhile(lambda part: not has_magic(part), Path(pattern).parts))
        names = sorted(Path(name) for name in glob(pattern, recursive=True))
        files = [path for path in names if self._is_input(path.name) and path.is_file()]
        files = [path for path in files if not self._is_output(path, fixed)]
        if "**" in pattern:
            files = [path for path in files if not _through_link(path, fixed)]
        if not files:
            raise RequestError(f"no file matches {pattern}: files are taken by their suffix: {self._known()}")
        return [Item(_without_suffix(path.relative_to(fixed)), path) for path in files]

    def _walk(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Yield the folder and the name of every input file below a folder."""

        def refuse(error: OSError) -> None:
            raise RequestError(f"{error.filename} cannot be read: {error.strerror}: make it readable, or move it away")

        for parent, folders, names in os.walk(folder, onerror=refuse):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if self.out and os.path.realpath(parent) == self.out:
                folders.clear()
                continue
            yield from ((parent, name) for name in names if self._is_input(name))

    def _is_input(self, name: str) -> bool:
        return Path(name).suffix.lower() in self.suffixes and not name.startswith(".")

    def _is_output(self, path: Path, fixed: Path) -> bool:
        """Return whether a file lies in the output folder, unless the fixed part of the pattern lies there too."""
        if not self.out or Path(os.path.realpath(fixed)).is_relative_to(self.out):
            return False
        return Path(os.path.realpath(path.parent)).is_relative_to(self.out)

    def _known(self) -> str:
        return " ".join(sorted(self.suffixes))


def _through_link(path: Path, fixed: Path) -> bool:
    """Return whether a folder between the two is a link. It may form a loop, or lead to files that are found twice."""
    return any(parent.is_symlink() for parent in path.parents if parent != fixed and parent.is_relative_to(fixed))


def _without_suffix(path: Path) -> str:
    return path.with_suffix("").as_posix()
