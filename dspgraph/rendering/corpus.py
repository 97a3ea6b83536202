"""What there is to render: files, folders, patterns and manifests, as one list of items, each with its own name."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path
from typing import Any

import soundfile

from dspgraph.errors import RequestError
from dspgraph.io.audio import AudioSource
from dspgraph.registry import is_file
from dspgraph.streams import Audio

SUFFIXES = frozenset({f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga", ".opus"})
"""Of audio files, as they are looked for in folders."""


@dataclass(frozen=True)
class Item:
    """A recording, or a part of one channel of it, and the name its outputs get: folders and all, without a suffix."""

    id: str
    path: Path
    start: Fraction = Fraction(0)  # seconds
    duration: Fraction | None = None  # seconds; None: to the end
    channel: int | None = None  # the first is 0; None: all of them, mixed as the graph takes them

    @property
    def whole(self) -> bool:
        """Whether it is all there is in the file."""
        return not self.start and self.duration is None and self.channel is None

    def open(self, stream: Audio) -> AudioSource:
        """Its samples, as a stream carries them; FileError where they cannot be had."""
        return AudioSource(self.path, stream, self.start, self.duration, self.channel)


def gather(
    arguments: Iterable[str | Path], suffixes: Collection[str] = SUFFIXES, out: Path | None = None
) -> list[Item]:
    """The items that arguments name, in their order.

    An argument is a file (its id is its name); a folder or a pattern with * ? [] ** (what has one of the suffixes in
    it; ids keep the folders below it; links to folders are not followed); or a manifest: JSON lines or CSV with the
    columns id, path, start, duration, channel (path alone must be there, times are seconds, what else there is is left
    alone), Kaldi's wav.scp, or its `segments`, beside which wav.scp lies. Paths in a manifest are relative to its
    folder. What is in the folder `out` is no input. Raises RequestError for a pattern, folder or manifest with no file,
    for a folder that cannot be looked into, and for a manifest that is none; a file that is missing is found out about
    when it is opened.
    """
    found = _Folder(suffixes, out)
    return [item for argument in arguments for item in _items(Path(argument), found)]


def _items(path: Path, found: _Folder) -> Iterator[Item]:
    if os.path.isdir(path):  # unlike the method of Path, it takes a name that no file can have
        yield from found.items(path)
    elif (read := _manifest(path)) is not None:
        empty = True
        for item in read(path):
            yield item
            empty = False
        if empty:
            raise RequestError(f"{path} names no file: a line names one")
    elif has_magic(str(path)) and not is_file(path):
        yield from found.matching(str(path))
    else:
        yield Item(path.stem, path)


class _Folder:
    """What is looked for in folders."""

    def __init__(self, suffixes: Collection[str], out: Path | None) -> None:
        self.suffixes = suffixes
        self.out = os.path.realpath(out) if out else None

    def items(self, folder: Path) -> list[Item]:
        if self.out == os.path.realpath(folder):
            raise RequestError(f"{folder} is where the results go, what is in it is no input: choose another folder")
        files = sorted(Path(parent, name) for parent, name in self._walk(folder))
        if not files:
            raise RequestError(f"there is no file in {folder} to take: a file is taken by its suffix: {self._known()}")
        return [Item(_named(path.relative_to(folder)), path) for path in files]

    def matching(self, pattern: str) -> list[Item]:
        fixed = Path(*takewhile(lambda part: not has_magic(part), Path(pattern).parts))
        names = sorted(Path(name) for name in glob(pattern, recursive=True))
        files = [path for path in names if self._taken(path.name) and path.is_file() and not self._made(path, fixed)]
        if "**" in pattern:
            files = [path for path in files if not _through_link(path, fixed)]
        if not files:
            raise RequestError(f"no file matches {pattern}: a file is taken by its suffix: {self._known()}")
        return [Item(_named(path.relative_to(fixed)), path) for path in files]

    def _walk(self, folder: Path) -> Iterator[tuple[str, str]]:
        def unread(error: OSError) -> None:
            raise RequestError(f"{error.filename} cannot be looked into: {error.strerror}: nothing is left out unsaid")

        for parent, folders, names in os.walk(folder, onerror=unread):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if self.out and os.path.realpath(parent) == self.out:
                folders.clear()
                continue
            yield from ((parent, name) for name in names if self._taken(name))

    def _taken(self, name: str) -> bool:
        return Path(name).suffix.lower() in self.suffixes and not name.startswith(".")

    def _made(self, path: Path, fixed: Path) -> bool:
        """Whether it is in the folder of the outputs, unless that is where it was looked for."""
        if not self.out or Path(os.path.realpath(fixed)).is_relative_to(self.out):
            return False
        return Path(os.path.realpath(path.parent)).is_relative_to(self.out)

    def _known(self) -> str:
        return " ".join(sorted(self.suffixes))


def _through_link(path: Path, fixed: Path) -> bool:
    """Whether a folder between the two is a link: it may lead back, or to what has been found already."""
    return any(parent.is_symlink() for parent in path.parents if parent != fixed and parent.is_relative_to(fixed))


def _named(path: Path) -> str:
    return path.with_suffix("").as_posix()


# ---- manifests ------------------------------------------------------------------------------------------------------


def _manifest(path: Path) -> Callable[[Path], Iterator[Item]] | None:
    """What reads a manifest, for a file that is one by its name."""
    if path.name == "segments":
        return _segments
    return {".jsonl": _json_lines, ".csv": _table, ".scp": _scp}.get(path.suffix.lower())


def _json_lines(path: Path) -> Iterator[Item]:
    for place, line in _lines(path):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{place}: is no JSON: {error}") from None
        if not isinstance(fields, dict):
            raise RequestError(
                f'{place}: a line is an object such as {{"id": "a", "path": "a.wav"}}; found {line[:80]}'
            )
        yield _item(place, path.parent, fields)


def _table(path: Path) -> Iterator[Item]:
    place = str(path)

    def lines() -> Iterator[str]:
        nonlocal place
        for here, line in _lines(path):
            place = here  # of a row that has several lines, the last of them
            yield line

    try:
        rows = csv.DictReader(lines(), strict=True)
        columns = [name.strip() for name in rows.fieldnames or ()]
        if len(set(columns)) < len(columns):
            raise RequestError(f"{place}: two columns have one name; found {', '.join(columns)}")
        for row in rows:
            if None in row or None in row.values():
                raise RequestError(f"{place}: has not as many columns as the first line, {len(columns)}")
            yield _item(place, path.parent, {name.strip(): text.strip() for name, text in row.items() if text.strip()})
    except csv.Error as error:
        raise RequestError(f"{place}: is no CSV: {error}") from None


def _scp(path: Path) -> Iterator[Item]:
    for place, line in _lines(path):
        name, *rest = line.split(maxsplit=1)
        if not rest:
            raise RequestError(f"{place}: a line is ID PATH; found '{line[:80]}'")
        if rest[0].endswith("|"):
            raise RequestError(f"{place}: '{rest[0]}' is a command; commands are not run: write the file it gives")
        yield _item(place, path.parent, {"id": name, "path": rest[0]})


def _segments(path: Path) -> Iterator[Item]:
    scp = path.with_name("wav.scp")
    whole: dict[str, Path] = {}
    for item in _scp(scp):
        if whole.setdefault(item.id, item.path) != item.path:
            raise RequestError(f"{scp}: there are two '{item.id}': rename one")
    for place, line in _lines(path):
        words = line.split()
        if len(words) != 4:
            raise RequestError(f"{place}: a line is ID RECORDING START END; found {len(words)} words")
        name, recording, start, end = words
        if recording not in whole:
            raise RequestError(f"{place}: there is no '{recording}' in {scp}")
        begin, until = _seconds(place, "start", start), None if end == "-1" else _seconds(place, "end", end)
        if until is not None and until <= begin:
            raise RequestError(f"{place}: ends at {end} s, where it begins at {start} s")
        yield Item(_safe(place, name), whole[recording], begin, None if until is None else until - begin)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a manifest that are not empty, and where each stands."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def _item(place: str, folder: Path, fields: Mapping[str, Any]) -> Item:
    path = fields.get("path")
    if not isinstance(path, str) or not _is_path(path):
        raise RequestError(f"{place}: 'path' is missing or no path; found {', '.join(map(str, fields)) or 'nothing'}")
    start = _seconds(place, "start", fields["start"]) if fields.get("start") is not None else Fraction(0)
    duration = _seconds(place, "duration", fields["duration"]) if fields.get("duration") is not None else None
    if duration == 0:
        raise RequestError(f"{place}: 'duration' is 0; leave it out for all there is")
    return Item(
        _safe(place, fields["id"] if "id" in fields else os.path.splitext(path)[0]),
        folder / path,
        start,
        duration,
        _channel(place, fields["channel"]) if fields.get("channel") is not None else None,
    )


def _is_path(text: str) -> bool:
    """Whether a file could have this path: JSON can say letters that no system takes."""
    try:
        return bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _safe(place: str, name: Any) -> str:
    """An id that stays in the folder it is put in."""
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name):
        raise RequestError(f"{place}: 'id' must be a text; found {name!r}")
    text = str(name)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\\" in text or text[0] == "/" or text[-1] == "/" or not text.isprintable():
        raise RequestError(
            f"{place}: the id {text!r} would be a file outside of the output folder, or no file: an id is a relative "
            "path without '..', of characters that can be seen: give this one another"
        )
    return "/".join(parts)


def _seconds(place: str, name: str, value: Any) -> Fraction:
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = Fraction(repr(float(value)))  # of 1e-999999999 itself it would not end
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"{place}: '{name}' must be a number of seconds; found {str(value)[:80]!r}") from None
    if seconds < 0:
        raise RequestError(f"{place}: '{name}' must not be below 0; found {value!r}")
    return seconds


def _channel(place: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or len(text) > 9:
        raise RequestError(f"{place}: 'channel' must be a whole number from 0 (the first) on; found {text[:80]!r}")
    return int(text)
