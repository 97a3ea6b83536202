"""The columns of a manifest: the names that columns for path, times, channel and id of a recording may have.

Sources of the names: NeMo's manifests have `audio_filepath`, `offset` and `duration` (NVIDIA, NeMo Framework User
Guide, datasets of the ASR collection); tables of Hugging Face have `audio`, `path` or `file_name` (Hugging Face,
Datasets documentation, "Create an audio dataset").
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from dspgraph.errors import ParameterError, RequestError
from dspgraph.rendering.item import Item
from dspgraph.shown import shown
from dspgraph.streams import to_fraction

PATHS = ("path", "audio_filepath", "audio", "file_name", "audio_path", "audio_file", "file_path", "wav", "wav_path")
"""Names that the column with the path of the audio file may have. If there is a column `path`, only it is used."""

CLOSE = Fraction(1, 100)
"""The largest difference in seconds that is allowed between `end` and `start` + `duration`: times may be rounded."""

LONGEST_PATH = 4096
"""The largest number of bytes of a path, and of characters of an id: the limit of Linux for a path (PATH_MAX)."""

_TIMES = {
    "start": "start", "begin": "start", "offset": "start", "onset": "start",
    "end": "end", "stop": "end", "finish": "end",
    "duration": "duration", "dur": "duration",
}  # fmt: skip
"""Word in the name of a column -> the time that the column gives."""

_UNCLEAR = {
    "length": "duration", "len": "duration", "from": "start", "to": "end", "tmin": "start", "tmax": "end",
    "xmin": "start", "xmax": "end", "t0": "start", "t1": "end",
}  # fmt: skip
"""Word in the name of a column that may mean a time -> this time. The name must also have a unit: `length_seconds`."""

_AROUND = {"time", "in", "audio", "segment", "seg", "clip", "cut", "utterance", "utt"}
"""Words in the name of a column that do not change which time it gives, as in `start_time` and `segment_end`."""

_CHANNELS = {"channel_id", "channel_index", "channel_idx", "channel_number", "channel_num", "channels", "chan", "ch"}
"""Names of columns that may choose a channel. In a line without a column of _CHANNEL, they are refused, because some
count from 1. `channels` is refused only with a list: another value may be a number of channels."""

_CHANNEL = ("channel", "channel_selector")
"""Names of columns that choose a channel, counted from 0. NeMo's manifests have `channel_selector`."""

_ZERO = Fraction(0)

_SECONDS = {"s", "sec", "secs", "second", "seconds"}

_OTHER_UNITS = {"ms", "msecs", "millis", "milliseconds", "us", "ns", "minutes", "samples", "frames", "idx", "index"}
"""Units other than seconds. A time in such a unit is not read. The final "s" of a unit may be missing in a name."""


class Column(NamedTuple):
    """The meaning of a column of times.

    time: what the values are, "start", "end" or "duration". clear: True if the values are certainly in seconds.
    """

    time: str
    clear: bool


def _plain(name: str) -> str:
    """Return the name of a column in lower case, with "_" between its words: "startTime" becomes "start_time"."""
    return "_".join(re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def _time_column(name: str) -> Column | None:
    """Return the meaning of a column of times; None for any other column. name: the result of `_plain`."""
    words = [word for word in name.split("_") if word not in _AROUND]
    times = [word for word in words if word in _TIMES or word in _UNCLEAR]
    units = [word for word in words if {word, f"{word}s"} & (_SECONDS | _OTHER_UNITS)]
    if len(times) != 1 or len(units) > 1 or len(words) > len(times) + len(units):
        return None
    (time,) = times
    seconds = bool(units) and units[0] in _SECONDS
    return Column((_TIMES | _UNCLEAR)[time], seconds or (not units and time in _TIMES))


def unused_columns(names: tuple[str, ...], labels: Collection[str] = (), inputs: Collection[str] = ()) -> list[str]:
    """Return the names of the columns of a manifest that are not used, in their order.

    Every column that names a path, a time, a channel or an id counts as used. names: the names of all columns. labels,
    inputs: the names of columns that are used in addition, as in `line_item`.
    """
    used = {name for name, _, _ in _columns(names)} | {name for name in names if labels and _plain(name) in labels}
    used |= {name for name in names if name in inputs}
    return [name for name in names if name not in used]


def line_item(
    place: str, folder: Path, line: Mapping[str, Any], labels: Collection[str] = (), inputs: Sequence[str] = ()
) -> tuple[Item, bool]:
    """Return (item, whether the line gives the item an id) for a line of a manifest.

    place: file and line, for error messages. folder: the folder of the manifest. line: name of a column -> value.
    labels: the names of further columns, as `_plain` returns them, whose values are kept in `Item.labels`. inputs: the
    names of the inputs of a graph with several inputs; if the line has columns with these names, they have the paths of
    the files, and the file of the first input is the path of the item. Relative paths start from `folder`. Without an
    id in the line, the id is the path without suffix and without a leading "/". Raises RequestError for a line without
    a path, and for values that are wrong, unclear or contradict each other.
    """
    fields = _fields(place, line)
    files = _input_files(place, line, inputs)
    path = files[0][1] if files else _path(place, fields, line)
    start, duration = _part(place, fields)
    channel = _channel(place, fields)
    if "id" not in fields and "\\" in path:
        raise RequestError(
            f"{place}: the path {shown(path)} has a '\\': write '/' between folders, or give the line an 'id'"
        )
    name = fields["id"].value if "id" in fields else os.path.splitext(path)[0].lstrip("/") or path
    item = make_item(place, name, folder, path, start, duration, channel)
    if files:
        item = replace(item, inputs=tuple((name, folder / file) for name, file in files))
    return replace(item, labels=_labels(place, line, labels)) if labels else item, "id" in fields


def _input_files(place: str, line: Mapping[str, Any], inputs: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name of an input, path) for each input, from the columns with the inputs' names; [] without such columns.

    place: file and line, for messages. line: name of a column -> value. inputs: the names of the inputs. Raises
    RequestError if only some of the columns are there, or if one has no path. If a value is a mapping, its path is the
    value under "path".
    """
    if not any(name in line for name in inputs):
        return []
    files = [(name, _text_of(line.get(name))) for name in inputs]
    for name, file in files:
        if file is None or not is_path(file):
            raise RequestError(
                f"{place}: '{name}' is missing or not a path; found {_shown_names(line)}: name an audio file in a "
                f"column for each input, {', '.join(inputs)}"
            )
    return [(name, str(file)) for name, file in files]


def _labels(place: str, line: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """Return plain name (see `_plain`) -> value as text, for the columns of a line that are kept as labels.

    A null is left out. names: the plain names of these columns. Raises RequestError for a value that is neither a text
    nor a number, and for two columns with the same plain name and different values.
    """
    found: dict[str, str] = {}
    for name, value in line.items():
        plain = _plain(name[:100])
        if plain not in names or value is None:
            continue
        text = label_text(place, name, value)
        if found.setdefault(plain, text) != text:
            raise RequestError(f"{place}: two columns are called '{plain}', with different values: keep one of them")
    return found


def label_text(place: str, name: str, value: Any) -> str:
    """Return the value of a column as text, to keep it as a label.

    place, name: file and line, and the name of the column, for messages. Raises RequestError if the value is neither a
    text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RequestError(f"{place}: '{name}' must be a text or a number; found {shown(value)}: correct it")
    return str(value)


class _Field(NamedTuple):
    name: str  # as the manifest writes it
    value: Any
    time: Column | None  # the meaning of a column of times


def _fields(place: str, line: Mapping[str, Any]) -> dict[str, _Field]:
    """Return plain name (see `_plain`) -> field, for the columns of a line that are used and have a value.

    A null in the column `id` counts as a value; `checked_id` refuses it. place: file and line, for messages. Raises
    RequestError for two columns with the same plain name and different values.
    """
    names = tuple(line)
    columns = _columns(names) if sum(map(len, names)) < 1000 else _columns.__wrapped__(names)
    fields: dict[str, _Field] = {}
    for name, plain, time in columns:
        value = line[name]
        if value is None and plain != "id":  # an id that is null is a mistake; any other null means no value
            continue
        known = fields.setdefault(plain, _Field(name, value, time))
        if known.name != name and known.value != value:
            raise RequestError(f"{place}: the columns '{known.name}' and '{name}' say the same thing: keep one of them")
    return fields


@lru_cache(maxsize=100)
def _columns(names: tuple[str, ...]) -> list[tuple[str, str, Column | None]]:
    """Return (name, plain name, meaning) of every column that names a path, a time, a channel or an id.

    names: the names of all columns. The plain name is the result of `_plain` for the first 100 characters. The meaning
    is None if the column is not a column of times.
    """
    known = {*PATHS, *_CHANNEL, *_CHANNELS, "id"}
    found = [(name, plain := _plain(name[:100]), _time_column(plain)) for name in names]
    return [(name, plain, time) for name, plain, time in found if plain in known or time]


def make_item(
    place: str,
    name: Any,
    folder: Path,
    path: str,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    channel: int | None = None,
) -> Item:
    """Return an item of a manifest.

    place: file and line, for error messages. name: the id, which `checked_id` checks. folder: the folder of the
    manifest. path: absolute, or relative to this folder; `is_path` must be true of it. start, duration: in seconds.
    channel: from 0. Raises RequestError for a bad id, and for an address such as "https://..." or "file://..." in place
    of a path.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        raise RequestError(
            f"{place}: {shown(path)} is an address, not a path: copy the file to this machine, and write its path"
        )
    listed = "" if os.path.isabs(path) else path
    return Item(checked_id(place, name), folder / path, start, duration, channel, listed)


# ---- the path and the id --------------------------------------------------------------------------------------------


def _path(place: str, fields: Mapping[str, _Field], line: Mapping[str, Any]) -> str:
    path = _text_of(fields["path"].value) if "path" in fields else _other_path(place, fields)
    if path is None or not is_path(path):
        raise RequestError(
            f"{place}: 'path' is missing or not a path; found {_shown_names(line)}: name the audio file in a column "
            f"{', '.join(PATHS[:-1])} or {PATHS[-1]}"
        )
    return path


def _other_path(place: str, fields: Mapping[str, _Field]) -> str | None:
    """Return the path of a line that has no column `path`, from a column with another name; None if there is none.

    fields: the fields of the line, by plain name. Raises RequestError if several columns have different paths, and if a
    column has samples, even together with a path.
    """
    for field in (fields[name] for name in PATHS if name in fields):
        if isinstance(field.value, dict) and (held := {"bytes", "array"} & {k for k, v in field.value.items() if v}):
            raise RequestError(
                f"{place}: '{field.name}' has the samples in '{min(held)}', which are not read: write them to a file, "
                "and give its 'path'"
            )
    found = {name: path for name in PATHS if name in fields and (path := _text_of(fields[name].value)) is not None}
    different = set(found.values())
    if len(different) > 1:
        listed = " and ".join(f"'{fields[name].name}' ({shown(path)})" for name, path in found.items())
        raise RequestError(f"{place}: {listed} name different files: keep one of them, as 'path'")
    return different.pop() if different else None


def _text_of(value: Any) -> str | None:
    """Return the path in a value: the value itself if it is a text, the text under "path" in a mapping, or None."""
    if isinstance(value, dict):
        value = value.get("path")
    return value if isinstance(value, str) else None


def _shown_names(line: Mapping[str, Any]) -> str:
    """Return the first 20 names of columns of a line, as a text for an error message; "nothing" if there are none."""
    names = [name[:40] for name in line]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{', '.join(names[:20])}{more}" or "nothing"


def is_path(text: str) -> bool:
    """Return whether a text can be the path of a file. A text from JSON may have characters that no path can have."""
    try:
        return bool(text) and b"\0" not in (encoded := os.fsencode(text)) and len(encoded) <= LONGEST_PATH
    except UnicodeEncodeError:
        return False


def checked_id(place: str, name: Any) -> str:
    """Return an id as text, without superfluous parts: "a/./b//c" becomes "a/b/c".

    place: file and line, for messages. name: the id as the manifest has it, a text or a whole number. Raises
    RequestError for any other value, and for an id that is empty, that begins or ends with "/", that is longer than a
    path can be, that leads out of the output folder, or that has a backslash or a character that cannot be printed.
    """
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise RequestError(f"{place}: 'id' must be text; found {shown(name)}")
    if isinstance(name, int) and name.bit_length() > 256:
        raise RequestError(f"{place}: 'id' must be text; found {shown(name)}")
    text = str(name)
    if len(text) > LONGEST_PATH:
        raise RequestError(f"{place}: an id has at most {LONGEST_PATH} characters; found {len(text)}: {shown(text)}")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\\" in text or text[0] == "/" or text[-1] == "/" or not text.isprintable():
        raise RequestError(
            f"{place}: the id {shown(text)} would name a file outside of the output folder, or no file: write a "
            "relative path without '..', '\\' and invisible characters"
        )
    return "/".join(parts)


# ---- the part and the channel ---------------------------------------------------------------------------------------


def _part(place: str, fields: Mapping[str, _Field]) -> tuple[Fraction, Fraction | None]:
    """Return the start and the duration, in seconds, of the part of a file that a line of a manifest describes.

    place: file and line, for messages. fields: the fields of the line, by plain name (see `_plain`). If the duration is
    None, the part ends with the file. Raises RequestError for values that are no times, or that contradict each other,
    and for a number in a column that may be a time but not surely in seconds, if no other column gives this time.
    """
    times: dict[str, tuple[str, Fraction]] = {}
    unclear: dict[str, str] = {}
    if not any(field.time for field in fields.values()):
        return _ZERO, None
    for name, value, column in fields.values():
        if column is None:
            continue
        if not column.clear:
            unclear |= {column.time: name} if _is_number(value) else {}
            continue
        seconds = checked_seconds(place, name, value)
        other, known = times.setdefault(column.time, (name, seconds))
        if known != seconds:
            raise RequestError(
                f"{place}: '{other}' ({float(known):g}) and '{name}' ({float(seconds):g}) both give the {column.time} "
                f"of the part: keep one of them, as '{column.time}'"
            )
    _refuse_unclear(place, times, unclear)
    return _start_and_duration(place, times)


def _refuse_unclear(place: str, times: Mapping[str, tuple[str, Fraction]], unclear: Mapping[str, str]) -> None:
    ends = {"end", "duration"}
    for time, name in unclear.items():
        if time not in times and not (time in ends and ends & times.keys()):
            raise RequestError(
                f"{place}: '{name}' may be a time, but not surely in seconds: rename it to '{time}', in seconds, or "
                "leave it out"
            )


def _start_and_duration(place: str, times: Mapping[str, tuple[str, Fraction]]) -> tuple[Fraction, Fraction | None]:
    _, start = times.get("start", ("start", _ZERO))
    long, duration = times.get("duration", ("duration", None))
    last, end = times.get("end", ("end", None))
    if duration == 0:
        raise RequestError(f"{place}: '{long}' is 0; leave it out to take the rest of the file")
    if end is None:
        return start, duration
    if end <= start:
        raise RequestError(
            f"{place}: the part ends at {float(end):g} s ('{last}'), not after its start at {float(start):g} s"
        )
    if duration is None:
        return start, end - start
    if abs(start + duration - end) > CLOSE:
        raise RequestError(
            f"{place}: by '{long}' the part ends at {float(start + duration):g} s, by '{last}' at {float(end):g} s: "
            "correct one of them, or leave it out"
        )
    return start, duration


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool)


def checked_seconds(place: str, name: str, value: Any) -> Fraction:
    """Return a time in seconds as an exact number. Raises RequestError if it is not a number of 0 or above.

    place, name: file and line, and the name of the column, for messages. value: the time as the manifest has it: a
    number, or a text such as "0.25" or "1/4".
    """
    try:
        seconds = to_fraction(value.strip() if isinstance(value, str) else value)
    except ParameterError:
        text = value if isinstance(value, str) else shown(value)
        raise RequestError(
            f"{place}: '{name}' must be a number of seconds, such as 0.25; found {shown(text)}: correct it, or leave "
            "it out"
        ) from None
    if seconds < 0:
        raise RequestError(f"{place}: '{name}' must not be below 0; found {shown(value)}: correct it, or leave it out")
    return seconds


def _channel(place: str, fields: Mapping[str, _Field]) -> int | None:
    """Return the number of the channel that a line chooses, from 0; None if it chooses none.

    place: file and line, for messages. fields: the fields of the line, by plain name. Raises RequestError for a value
    that is not a whole number, for columns that contradict each other, and for a column whose meaning is not clear.
    """
    given = {field.name: _channel_number(place, field) for name in _CHANNEL if (field := fields.get(name))}
    if len(set(given.values())) > 1:
        raise RequestError(f"{place}: {' and '.join(map(repr, given))} choose different channels: keep one of them")
    for name in _CHANNELS & fields.keys():
        field = fields[name]
        if not given and (name != "channels" or isinstance(field.value, list)):
            raise RequestError(
                f"{place}: '{field.name}' may choose a channel: rename it to 'channel', counted from 0, or leave it out"
            )
    return next(iter(given.values()), None)


def _channel_number(place: str, field: _Field) -> int:
    text = field.value if isinstance(field.value, str) else shown(field.value)
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise RequestError(
            f"{place}: '{field.name}' must be a whole number from 0 (the first) on; found {shown(text)}: correct it, "
            "or leave it out to mix all channels"
        )
    return int(text)
