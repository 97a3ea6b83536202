"""Manifests: files that list the items of a corpus.

They are JSON lines, CSV, TSV, Kaldi's wav.scp and segments, lhotse's cuts and recordings, or NSynth's examples.json.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from dspgraph.errors import FileError, RequestError
from dspgraph.io.paths import open_file
from dspgraph.rendering.columns import checked_id, checked_seconds, is_path, line_item, make_item, unused_columns
from dspgraph.rendering.item import Item
from dspgraph.rendering.lhotse import is_lhotse, lhotse_item
from dspgraph.rendering.nsynth import is_nsynth, nsynth_items
from dspgraph.shown import shown

MANIFEST_BYTES, MANIFEST_LINES, LONGEST_LINE = 2**29, 1_000_000, 2**24
"""Limits of a manifest, to bound memory and time: bytes after decompression, lines, and bytes of a line."""

LONGEST_INTEGER = 300
"""The largest number of digits of an integer in JSON. Such an integer fits a float, whose largest value has 309."""

MOST_UNUSED = 100
"""The number of unused columns from which on no more names are kept for a note. Each line of JSON may have new keys."""

_GZIP = ".gz"
_BEGINNING = 4096  # bytes at the start of a file that show whether it is a file of NSynth


Reader: TypeAlias = Callable[[Path, set[str], Collection[str], Sequence[str]], Iterator[Item]]
"""A function of (path, unused, labels, inputs) that yields the items of a manifest.

The function adds the names of columns that are not used to the set `unused`. labels: the names of further columns whose
values are kept in the items. inputs: the names of the columns with the files of an item that has several files.
"""


def manifest_reader(path: Path) -> Reader | None:
    """Return the function that reads the manifest `path`; None if a file of this name is not a manifest."""
    if path.name == "segments":
        return _segments
    return _READERS.get(os.path.splitext(path.name.lower().removesuffix(_GZIP))[1])


def _json_lines(path: Path, unused: set[str], labels: Collection[str], inputs: Sequence[str]) -> Iterator[Item]:
    """Yield the items of a file with JSON lines, of a file with one JSON list, or of a file of NSynth.

    unused: a set that gets the names of the columns that are not used, until it has `MOST_UNUSED` names. labels: the
    columns that are kept as labels, named as `columns._plain` returns them. inputs: the columns with the files of an
    item that has several files. Lines of lhotse use none of these three, and NSynth only `labels`. Raises RequestError
    for a faulty file or line.
    """
    folder = path.parent
    if is_nsynth(_beginning(path)):
        yield from nsynth_items(path, _parsed(str(path), _whole(path)), labels)
        return
    yield from _with_different_ids(
        _json_item(place, folder, line, unused, labels, inputs) for place, line in _json_values(path)
    )


def _json_values(path: Path) -> Iterator[tuple[str, object]]:
    """Yield (place, value) for every line of a file with JSON lines, or for every entry of a file with a JSON list.

    The place is the file and the number of the line or entry, from 1, for messages. Only a file whose name ends with
    .json or .json.gz can have a list. Blank lines are left out. Raises RequestError for text that is not JSON.
    """
    lines = _lines(path)
    for place, line in lines:
        if line.startswith("[") and path.name.lower().removesuffix(_GZIP).endswith(".json"):
            found = _parsed(str(path), _joined(path, line, lines))
            yield from ((f"{path}, item {number}", one) for number, one in enumerate(found, 1))
            return
        yield place, _parsed(place, line)


def _joined(path: Path, first: str, rest: Iterator[tuple[str, str]]) -> str:
    lines, size = [first], len(first)
    for _, line in rest:
        lines.append(line)
        size += len(line)
        if size > LONGEST_LINE:
            raise RequestError(f"{path}: a JSON list has at most {LONGEST_LINE:,} bytes: write a line for each item")
    return "\n".join(lines)


def _parsed(place: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{place}: is not JSON: {error}: {_JSON_LINE}") from None


_JSON_LINE = 'write a line such as {"id": "a", "path": "a.wav"} for each item'


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a mapping. Raises ValueError for a key that is written twice. pairs: (key, value)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        again = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{shown(again)} is written twice")
    return found


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError(f"an integer has {len(text)} digits, more than {LONGEST_INTEGER}")
    return int(text)


def _json_item(
    place: str, folder: Path, line: object, unused: set[str], labels: Collection[str], inputs: Sequence[str]
) -> tuple[Item, bool]:
    """Return (item, whether the line gives the item an id) for a line of JSON.

    place: the file and the number of the line, for messages. folder: the folder of the manifest. line: the value of the
    line. unused, labels, inputs: as in `_json_lines`. For a line of lhotse the second result is True. Raises
    RequestError if the line is not an object or has a wrong value.
    """
    if not isinstance(line, dict):
        raise RequestError(f"{place}: is not an object; found {shown(line)}: {_JSON_LINE}")
    if is_lhotse(line):
        return lhotse_item(place, folder, line), True
    if len(unused) < MOST_UNUSED:
        unused.update(unused_columns(tuple(name for name, value in line.items() if value is not None), labels, inputs))
    return line_item(place, folder, line, labels, inputs)


def _with_different_ids(found: Iterable[tuple[Item, bool]]) -> Iterator[Item]:
    """Yield the items, with different ids for the parts of one file whose lines give no id.

    Without an id in its line, an item has the path of its file, without suffix, as id. If several such items have the
    same id, the part is added to it, for instance "a-000250-000750": start and end in milliseconds. found: pairs (item,
    whether its line gives the item an id).
    """
    listed = list(found)
    counts = Counter(item.id for item, own in listed if not own)
    for item, own in listed:
        yield item if own or counts[item.id] == 1 else replace(item, id=f"{item.id}{_part_name(item)}")


def _part_name(item: Item) -> str:
    """Return the text that is added to the id of an item that is a part of a file; "" for a whole file.

    Example: "-000250-000750-c1" for channel 1 from 250 ms to 750 ms; "end" stands for the end of the file.
    """
    end = "end" if item.duration is None else f"{round(1000 * (item.start + item.duration)):06d}"
    part = f"-{round(1000 * item.start):06d}-{end}" if item.start or item.duration is not None else ""
    return part if item.channel is None else f"{part}-c{item.channel}"


def _table(path: Path, unused: set[str], labels: Collection[str], inputs: Sequence[str]) -> Iterator[Item]:
    """Yield the items of a CSV or TSV file, whose first line has the names of the columns.

    The columns are separated as `_dialect` says. An empty field counts as no value. unused: a set that gets the names
    of all columns that are not used. labels, inputs: as in `_json_lines`. Raises RequestError for a faulty file or row.
    """
    place, folder = str(path), path.parent

    def lines() -> Iterator[str]:
        nonlocal place
        for here, line in _lines(path, "\r\n"):
            place = here  # of a row with several lines: the last line
            yield line

    def items() -> Iterator[tuple[Item, bool]]:
        all_lines = lines()
        first = next(all_lines, "")
        rows = csv.DictReader(chain([first], all_lines), strict=True, **_dialect(path, first))
        columns = [name.strip() for name in rows.fieldnames or ()]
        if len(set(columns)) < len(columns):
            raise RequestError(f"{place}: two columns have the same name; found {_listed(columns)}: rename one")
        unused.update(unused_columns(tuple(columns), labels, inputs))
        for row in rows:
            if None in row or None in row.values():
                raise RequestError(f"{place}: must have as many columns as the first line, {len(columns)}: correct it")
            fields = {name.strip(): text.strip() for name, text in row.items() if text.strip()}
            yield line_item(place, folder, fields, labels, inputs)

    try:
        yield from _with_different_ids(items())
    except csv.Error as error:
        reason = "it has line ends CR" if "new-line character" in str(error) else error
        raise RequestError(f"{place}: is not CSV: {reason}: save it again as CSV in UTF-8") from None


def _dialect(path: Path, first: str) -> dict[str, Any]:
    """Return the arguments with which `csv.DictReader` reads a table. first: the first line of the table.

    In a .tsv file, tabs separate the columns, and quotes are part of the text (IANA, text/tab-separated-values). In any
    other file, the separator is a comma if `first` has one, otherwise a semicolon if it has one, otherwise a tab; a
    comma if it has none of these.
    """
    if os.path.splitext(path.name.lower().removesuffix(_GZIP))[1] == ".tsv":
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    delimiter = next((one for one in ",;\t" if one in first), ",")
    return {"delimiter": delimiter, "skipinitialspace": delimiter != "\t"}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 40) for name in names[:20]) + ", ..." * (len(names) > 20)


def _scp(path: Path, unused: set[str], labels: Collection[str], inputs: Sequence[str]) -> Iterator[Item]:
    for place, line in _lines(path):
        name, *rest = line.split(maxsplit=1)
        if not rest:
            raise RequestError(f"{place}: a line is ID PATH; found '{line[:80]}'")
        if re.search(r"\.ark:\d+(\[.*\])?$|\[\d*:\d*\]$", rest[0]):
            raise RequestError(
                f"{place}: '{rest[0][:80]}' is a part of a file of Kaldi, which is not read: name an audio file"
            )
        if rest[0].endswith("|"):
            raise RequestError(f"{place}: '{rest[0][:80]}' is a command; commands are not run: name an audio file")
        if not is_path(rest[0]):
            raise RequestError(f"{place}: '{rest[0][:80]}' cannot be the path of a file")
        yield make_item(place, name, path.parent, rest[0])


def _segments(path: Path, unused: set[str], labels: Collection[str], inputs: Sequence[str]) -> Iterator[Item]:
    scp = path.with_name("wav.scp")
    whole: dict[str, Item] = {}
    for item in _scp(scp, unused, labels, inputs):
        if whole.setdefault(item.id, item).path != item.path:
            raise RequestError(f"{scp}: two recordings have the id '{item.id}': rename one")
    for place, line in _lines(path):
        words = line.split()
        if len(words) != 4:
            raise RequestError(f"{place}: a line is ID RECORDING START END; found {len(words)} words: correct it")
        name, recording, first, last = words
        if recording not in whole:
            raise RequestError(f"{place}: there is no recording {shown(recording)} in {scp}")
        start, end = (
            checked_seconds(place, "start", first),
            None if last == "-1" else checked_seconds(place, "end", last),
        )
        if end is not None and end <= start:
            raise RequestError(f"{place}: the segment ends at {last} s, not after its start at {first} s")
        duration = None if end is None else end - start
        yield replace(whole[recording], id=checked_id(place, name), start=start, duration=duration)


_READERS: dict[str, Reader] = {
    ".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json_lines, ".csv": _table, ".tsv": _table, ".scp": _scp
}  # fmt: skip
"""Suffix of a manifest without .gz -> the function that reads the manifest."""


# ---- text -----------------------------------------------------------------------------------------------------------


def _lines(path: Path, around: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every line that is not blank. The place is "FILE, line NUMBER", for error messages.

    Numbers begin with 1 and count blank lines too. around: the characters that are removed at both ends of a line; None
    for all white space. Raises RequestError if a line is not UTF-8, and as `_byte_lines` does.
    """
    at = 0
    for number, line in enumerate(_byte_lines(path), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip(around)
        except UnicodeDecodeError as error:
            raise RequestError(
                f"{path} is not text in UTF-8: {error.reason} at byte {at + error.start}: save it in UTF-8"
            ) from None
        at += len(line)
        if text and not text.isspace():
            yield f"{path}, line {number}", text


def _byte_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a manifest with their line ends; a .gz file is decompressed.

    Raises RequestError if the file cannot be read, and if a limit is exceeded.
    """
    read = number = 0
    with _opened(path) as content:
        while line := content.readline(LONGEST_LINE + 1):
            read, number = read + len(line), number + 1
            if len(line) > LONGEST_LINE:
                raise RequestError(f"{path}, line {number}: a line has at most {LONGEST_LINE} bytes")
            if number > MANIFEST_LINES or read > MANIFEST_BYTES:
                raise RequestError(
                    f"{path}: a manifest has at most {MANIFEST_LINES:,} lines and {MANIFEST_BYTES:,} bytes: divide it"
                )
            yield line


def _beginning(path: Path) -> bytes:
    """Return the first `_BEGINNING` bytes of a manifest, after decompression; all bytes if there are fewer."""
    with _opened(path) as content:
        return content.read(_BEGINNING)


def _whole(path: Path) -> str:
    """Return the text of a manifest. Raises RequestError if it is too long, is not UTF-8 or cannot be read."""
    with _opened(path) as content:
        read = content.read(MANIFEST_BYTES + 1)
    if len(read) > MANIFEST_BYTES:
        raise RequestError(f"{path}: a manifest has at most {MANIFEST_BYTES:,} bytes: divide it")
    try:
        return read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path} is not text in UTF-8: {error.reason} at byte {error.start}: save it in UTF-8"
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a manifest for the `with` block, in which its bytes are read; a .gz file is decompressed.

    Raises RequestError if the file cannot be opened, and for errors of reading and decompression in the block.
    """
    try:
        with open_file(path) as file, _unpacked(path, file) as content:
            yield content
    except FileError as error:
        raise RequestError(f"the manifest cannot be read: {error}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RequestError(f"{path} cannot be unpacked: {error}: pack it again with gzip") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from None


def _unpacked(path: Path, file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if path.suffix.lower() == _GZIP else file
