"""The items of a corpus, gathered from files, folders, patterns and manifests."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

from dspgraph.errors import RequestError
from dspgraph.io.names import missing
from dspgraph.io.paths import is_file
from dspgraph.rendering.item import Item
from dspgraph.rendering.manifests import manifest_reader
from dspgraph.rendering.system import check_working_directory
from dspgraph.shown import escaped, shortened


def gather(
    arguments: Iterable[str | Path | Mapping[str, str | Path]],
    suffixes: Collection[str],
    out: Path | None = None,
    note: Callable[[str], None] = lambda text: None,
    labels: Collection[str] = (),
    inputs: Sequence[str] = (),
) -> list[Item]:
    """Return the items that the arguments name, in the order of the arguments. Their ids can be equal.

    An argument is one of these:

    * a file. The id of its item is the name of the file without suffix.
    * a folder: one item for every file with one of `suffixes` in the folder and its subfolders. The id is the path of
      the file below the folder, without suffix. Links to folders are not followed.
    * a pattern with `*`, `?`, `[]` or `**`: one item for every matching file with one of `suffixes`. The id is the path
      of the file below the first folders of the pattern, those without wildcards, without suffix. Links to folders are
      followed, except by a pattern with `**`.
    * a manifest: JSON lines, CSV or TSV, with a column `path` and, if wanted, `id`, `start`, `end`, `duration` and
      `channel` (see `columns.line_item` for other names of these); NeMo's manifests; lhotse's cuts; NSynth's
      examples.json; Kaldi's wav.scp; or Kaldi's segments, with a wav.scp in the same folder. A manifest may be
      compressed by gzip (.jsonl.gz). Times are in seconds. Paths in a manifest are relative to the folder of the
      manifest.
    * a mapping: name of an input -> file, for a graph with several inputs. The id is the name of the first file
      without suffix.

    suffixes: in lower case, with the dot. out: the output folder. If it lies in a folder that is searched, its files
    are left out, and so are files and folders whose names begin with a dot. note: a function that is called with a text
    for each folder or pattern in which files or folders were left out (how many, and why), and for each manifest with
    columns that are not used. labels: the names of further columns of manifests, in lower case with "_" between words,
    such as "pitch"; their values are kept in `Item.labels`. inputs: the names of the inputs of a graph with several
    inputs; a manifest has a column for each, with paths of files.

    Raises RequestError for the folder `out` itself, for a pattern, folder, manifest or mapping without any file, for a
    folder that cannot be read, for a manifest that cannot be read or has an error, and for a relative path if the
    working directory does not exist any more. A file that does not exist raises nothing here; it fails when it is
    opened.
    """
    named = [argument if isinstance(argument, Mapping) else Path(argument) for argument in arguments]
    paths = [path for one in named for path in (map(Path, one.values()) if isinstance(one, Mapping) else [one])]
    for path in (*paths, *([out] if out else [])):
        if not path.is_absolute():
            check_working_directory(f"{path} is relative to it")
    folders = _FolderSearch(suffixes, out, note)
    return [item for one in named for item in _items(one, folders, labels, inputs)]


def _items(
    path: Path | Mapping[str, str | Path], folders: _FolderSearch, labels: Collection[str], inputs: Sequence[str]
) -> Iterator[Item]:
    if isinstance(path, Mapping):
        files = tuple((name, Path(file)) for name, file in path.items())
        if not files:
            raise RequestError("a mapping of inputs to files is empty: name a file for each input")
        yield Item(files[0][1].stem, files[0][1], inputs=files)
    elif os.path.isdir(path):  # not Path.is_dir, which raises an error for a name that is too long
        yield from folders.items(path)
    elif (read := manifest_reader(path)) is not None:
        empty, unused = True, set[str]()
        for item in read(path, unused, labels, inputs):
            yield item
            empty = False
        if empty:
            raise RequestError(f"{path} names no file: write one line for each file")
        if unused:
            folders.note(f"{path}: columns not used: {_names(unused)}")
    elif has_magic(str(path)) and not is_file(path):
        yield from folders.matching(str(path))
    else:
        yield Item(path.stem, path)


class _LeftOut:
    """The numbers of files and folders that a search left out.

    files: reason -> number of files that were not taken. folders: reason -> number of folders that were not searched.
    """

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.folders: Counter[str] = Counter()

    def __str__(self) -> str:
        """Return the counts as text: "3 files not taken: .txt (2), hidden (1); 1 folder not searched: link (1)".

        If nothing was left out, the text is "".
        """
        parts = ((self.files, "file", "taken"), (self.folders, "folder", "searched"))
        return "; ".join(
            f"{counts.total():,} {noun}{'s' * (counts.total() != 1)} not {done}: {_listed(counts)}"
            for counts, noun, done in parts
            if counts
        )


def _names(names: Collection[str], most: int = 8) -> str:
    """Return a text with the first `most` of the sorted names, such as "a, b, ..."."""
    shown = [shortened(escaped(name), 24) for name in sorted(names)[:most]]
    return ", ".join([*shown, *(["..."] if len(names) > most else [])])


def _listed(counts: Counter[str], most: int = 8) -> str:
    """Return a text with the `most` most frequent names and their counts, such as "a (3), b (2), others (4)"."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{shortened(escaped(name), 24)} ({count:,})" for name, count in ordered[:most]]
    rest = sum(count for _, count in ordered[most:])
    return ", ".join([*shown, *([f"others ({rest:,})"] if rest else [])])


class _FolderSearch:
    """A search of folders and patterns for input files: files with one of `suffixes` that are not hidden.

    Files in the output folder are left out, unless the folder or pattern to search begins inside it. suffixes, out,
    note: as in `gather`.
    """

    def __init__(self, suffixes: Collection[str], out: Path | None, note: Callable[[str], None]) -> None:
        self.suffixes, self.note = suffixes, note
        self.out = os.path.realpath(out) if out else None

    def items(self, folder: Path) -> list[Item]:
        """Return an item for every input file in a folder and its subfolders, sorted by path.

        Raises RequestError for the output folder, for a folder that cannot be read, and if there is no input file.
        """
        if self.out == os.path.realpath(folder):
            raise RequestError(f"{folder} is the output folder, its files are no inputs: choose another folder")
        left_out = _LeftOut()
        files = sorted(Path(parent, name) for parent, name in self._walk(folder, left_out))
        if not files:
            raise RequestError(f"no file in {folder} can be taken{self._why_none(left_out)}")
        self._say(folder, left_out)
        return [Item(_without_suffix(path.relative_to(folder)), path) for path in files]

    def matching(self, pattern: str) -> list[Item]:
        """Return an item for every input file that a pattern matches, sorted by path.

        Raises RequestError if there is no such file.
        """
        fixed, left_out = Path(*takewhile(lambda part: not has_magic(part), Path(pattern).parts)), _LeftOut()
        if not os.path.lexists(fixed):
            raise RequestError(f"no file matches {pattern}: {missing(fixed)}")
        names = sorted(Path(name) for name in glob(pattern, recursive=True))
        files = [path for path in names if self._matches(path, pattern, fixed, left_out)]
        if not files:
            raise RequestError(f"no file matches {pattern}{self._why_none(left_out)}")
        self._say(pattern, left_out)
        return [Item(_without_suffix(path.relative_to(fixed)), path) for path in files]

    def _matches(self, path: Path, pattern: str, fixed: Path, left_out: _LeftOut) -> bool:
        """Return whether a path that matches a pattern is an input file; if not, count the reason in `left_out`.

        A folder is counted only if the pattern has no `**`; a link that leads nowhere is not counted. fixed: the first
        folders of the pattern, those before its first wildcard.
        """
        if not path.is_file():
            if "**" not in pattern and path.is_dir():
                left_out.folders["matched by the pattern"] += 1
            return False
        reason = self._reason(path.name)
        if not reason and self._is_output(path, fixed):
            reason = "in the output folder"
        if not reason and "**" in pattern and _through_link(path, fixed):
            reason = "in a linked folder"
        left_out.files.update([reason] if reason else [])
        return not reason

    def _walk(self, folder: Path, left_out: _LeftOut) -> Iterator[tuple[str, str]]:
        """Yield (folder of the file, name) for every input file in a folder and its subfolders, in no certain order.

        left_out: counts the folders and files that are left out, by reason; it is updated. Raises RequestError for a
        folder that cannot be read.
        """

        def refuse(error: OSError) -> None:
            raise RequestError(f"{error.filename} cannot be read: {error.strerror}: make it readable, or move it away")

        for parent, folders, names in os.walk(folder, onerror=refuse):
            for name in list(folders):
                if reason := self._reason_for_folder(parent, name):
                    folders.remove(name)
                    left_out.folders[reason] += 1
            for name in names:
                if reason := self._reason(name):
                    left_out.files[reason] += 1
                else:
                    yield parent, name

    def _reason(self, name: str) -> str:
        """Return why a file of this name is no input file: "hidden", its suffix or "no suffix"; "" if it is one."""
        suffix = os.path.splitext(name)[1].lower()
        if name.startswith("."):
            return "hidden"
        if suffix in self.suffixes:
            return ""
        return suffix if len(suffix) > 1 else "no suffix"

    def _reason_for_folder(self, parent: str, name: str) -> str:
        """Return why the folder `name` in the folder `parent` is not searched; "" if it is searched."""
        path = os.path.join(parent, name)
        if name.startswith("."):
            return "hidden"
        if os.path.islink(path):
            return "link"
        return "the output folder" if self.out and os.path.realpath(path) == self.out else ""

    def _is_output(self, path: Path, fixed: Path) -> bool:
        """Return whether a file that matches a pattern must be left out, because it lies in the output folder.

        fixed: the first folders of the pattern, without wildcards. If they lead into the output folder, the user asks
        for output files, and no file is left out.
        """
        if not self.out or Path(os.path.realpath(fixed)).is_relative_to(self.out):
            return False
        return Path(os.path.realpath(path.parent)).is_relative_to(self.out)

    def _say(self, place: str | Path, left_out: _LeftOut) -> None:
        if text := str(left_out):
            self.note(f"{place}: {text}{'; name a file to take it' if left_out.files else ''}")

    def _why_none(self, left_out: _LeftOut) -> str:
        found = f" ({left_out})" if str(left_out) else ""
        return f"{found}: files are taken by their suffix: {' '.join(sorted(self.suffixes))}"


def _through_link(path: Path, fixed: Path) -> bool:
    """Return whether a folder below `fixed` and above `path` is a link, which may form a loop or repeat other files."""
    return any(parent.is_symlink() for parent in path.parents if parent != fixed and parent.is_relative_to(fixed))


def _without_suffix(path: Path) -> str:
    return path.with_suffix("").as_posix()
