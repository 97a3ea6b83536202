"""Manifests: files that list the items of a corpus (JSON lines, CSV, Kaldi's wav.scp and segments)."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from dspgraph.errors import RequestError
from dspgraph.rendering.item import Item


def manifest_reader(path: Path) -> Callable[[Path], Iterator[Item]] | None:
    """Return the function that reads the manifest `path`; None if a file of this name is not a manifest."""
    if path.name == "segments":
        return _segments
    return {".jsonl": _json_lines, ".csv": _table, ".scp": _scp}.get(path.suffix.lower())


def _json_lines(path: Path) -> Iterator[Item]:
    for place, line in _lines(path):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{place}: is not JSON: {error}") from None
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
            place = here  # of a row with several lines: the last line
            yield line

    try:
        rows = csv.DictReader(lines(), strict=True)
        columns = [name.strip() for name in rows.fieldnames or ()]
        if len(set(columns)) < len(columns):
            raise RequestError(f"{place}: two columns have the same name; found {', '.join(columns)}")
        for row in rows:
            if None in row or None in row.values():
                raise RequestError(f"{place}: must have as many columns as the first line, {len(columns)}")
            yield _item(place, path.parent, {name.strip(): text.strip() for name, text in row.items() if text.strip()})
    except csv.Error as error:
        raise RequestError(f"{place}: is not CSV: {error}") from None


def _scp(path: Path) -> Iterator[Item]:
    for place, line in _lines(path):
        name, *rest = line.split(maxsplit=1)
        if not rest:
            raise RequestError(f"{place}: a line is ID PATH; found '{line[:80]}'")
        if rest[0].endswith("|"):
            raise RequestError(f"{place}: '{rest[0]}' is a command; commands are not run: name an audio file")
        yield _item(place, path.parent, {"id": name, "path": rest[0]})


def _segments(path: Path) -> Iterator[Item]:
    scp = path.with_name("wav.scp")
    whole: dict[str, Path] = {}
    for item in _scp(scp):
        if whole.setdefault(item.id, item.path) != item.path:
            raise RequestError(f"{scp}: two recordings have the id '{item.id}': rename one")
    for place, line in _lines(path):
        words = line.split()
        if len(words) != 4:
            raise RequestError(f"{place}: a line is ID RECORDING START END; found {len(words)} words")
        name, recording, start, end = words
        if recording not in whole:
            raise RequestError(f"{place}: there is no recording '{recording}' in {scp}")
        begin, until = _seconds(place, "start", start), None if end == "-1" else _seconds(place, "end", end)
        if until is not None and until <= begin:
            raise RequestError(f"{place}: the segment ends at {end} s, not after its start at {start} s")
        yield Item(_checked_id(place, name), whole[recording], begin, None if until is None else until - begin)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every line that is not empty; place: "FILE, line NUMBER", for error messages."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not text in UTF-8: {error.reason} at byte {error.start}") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def _item(place: str, folder: Path, fields: Mapping[str, Any]) -> Item:
    path = fields.get("path")
    if not isinstance(path, str) or not _is_path(path):
        raise RequestError(
            f"{place}: 'path' is missing or not a path; found {', '.join(map(str, fields)) or 'nothing'}"
        )
    start = _seconds(place, "start", fields["start"]) if fields.get("start") is not None else Fraction(0)
    duration = _seconds(place, "duration", fields["duration"]) if fields.get("duration") is not None else None
    if duration == 0:
        raise RequestError(f"{place}: 'duration' is 0; leave it out to take the rest of the file")
    return Item(
        _checked_id(place, fields["id"] if "id" in fields else os.path.splitext(path)[0]),
        folder / path,
        start,
        duration,
        _channel(place, fields["channel"]) if fields.get("channel") is not None else None,
    )


def _is_path(text: str) -> bool:
    """Return whether a text can be the path of a file: JSON allows characters that no file system allows."""
    try:
        return bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _checked_id(place: str, name: Any) -> str:
    """Return an id as text, without superfluous parts: "a/./b//c" becomes "a/b/c".

    Raises RequestError for an id that is not text or a whole number, that leads out of the output folder, or that has a
    backslash or a character that cannot be printed.
    """
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name):
        raise RequestError(f"{place}: 'id' must be text; found {name!r}")
    text = str(name)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\\" in text or text[0] == "/" or text[-1] == "/" or not text.isprintable():
        raise RequestError(
            f"{place}: the id {text!r} would name a file outside of the output folder, or no file: write a relative "
            "path without '..', '\\' and invisible characters"
        )
    return "/".join(parts)


def _seconds(place: str, name: str, value: Any) -> Fraction:
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = Fraction(repr(float(value)))  # Fraction("1e-999999999") would compute for ever
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
