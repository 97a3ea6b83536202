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

    * a file. The id of its item is the name of the file without suffix.
    * a folder: one item for every file with one of `suffixes` in the folder and its subfolders. The id is the path of
      the file below the folder, without suffix. Links to folders are not followed.
    * a pattern with `*`, `?`, `[]` or `**`: one item for every matching file with one of `suffixes`. The id is the path
      of the file below the first folders of the pattern, those without wildcards, without suffix. Links to folders are
      followed, except by a pattern with `**`.
    * a manifest: JSON lines or CSV with the columns id, path, start, duration and channel (only path is required, times
      are in seconds, other columns are ignored); Kaldi's wav.scp; or Kaldi's segments, with a wav.scp in the same
      folder. Paths in a manifest are relative to the folder of the manifest.

    suffixes: in lower case, with the dot. out: the output folder. If it lies in a folder that is searched, its files
    are left out, and so are files whose names begin with a dot.

    Raises RequestError for the folder `out` itself, for a pattern, folder or manifest without any file, for a folder
    that cannot be read, and for a manifest that cannot be read or has an error. A file that does not exist raises
    nothing here; it fails when it is opened.
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
    """A search of folders and patterns for input files: files with one of `suffixes`, outside of the output folder."""

    def __init__(self, suffixes: Collection[str], out: Path | None) -> None:
        self.suffixes = suffixes
        self.out = os.path.realpath(out) if out else None

    def items(self, folder: Path) -> list[Item]:
        """Return an item for every input file in a folder and its subfolders, sorted by path."""
        if self.out == os.path.realpath(folder):
            raise RequestError(f"{folder} is the output folder, its files are no inputs: choose another folder")
        files = sorted(Path(parent, name) for parent, name in self._walk(folder))
        if not files:
            raise RequestError(f"no file in {folder} can be taken: files are taken by their suffix: {self._known()}")
        return [Item(_without_suffix(path.relative_to(folder)), path) for path in files]

    def matching(self, pattern: str) -> list[Item]:
        """Return an item for every input file that a pattern matches, sorted by path."""
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
        """Yield (folder of the file, name) for every input file in a folder and its subfolders."""

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
        """Return whether a file that a pattern matches must be left out, because it lies in the output folder.

        fixed: the first folders of the pattern, those without wildcards. If they lead into the output folder, the user
        asks for outputs, and nothing is left out.
        """
        if not self.out or Path(os.path.realpath(fixed)).is_relative_to(self.out):
            return False
        return Path(os.path.realpath(path.parent)).is_relative_to(self.out)

    def _known(self) -> str:
        return " ".join(sorted(self.suffixes))


def _through_link(path: Path, fixed: Path) -> bool:
    """Return whether a folder between `fixed` and `path` is a link, which may form a loop or repeat other files."""
    return any(parent.is_symlink() for parent in path.parents if parent != fixed and parent.is_relative_to(fixed))


def _without_suffix(path: Path) -> str:
    return path.with_suffix("").as_posix()
