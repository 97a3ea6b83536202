"""Cuts and recordings of lhotse: the lines of `cuts.jsonl` and `recordings.jsonl`.

A MonoCut is one channel of a part of a recording: `start`, `duration`, `channel` and `recording`. A recording has
`sources`; each has a `type`, the path of the file in `source`, and in `channels` the numbers of the channels of the
file, in their order. A MultiCut has a list of numbers in `channel`. Source: the classes MonoCut, MultiCut, Recording
and AudioSource of https://github.com/lhotse-speech/lhotse, and its documentation, "Cuts" and "Representing a corpus".
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from dspgraph.errors import RequestError
from dspgraph.rendering.columns import PATHS, checked_seconds, is_path, make_item
from dspgraph.rendering.item import Item
from dspgraph.shown import shown

_CUTS = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "Cut")

_WAY_OUT = "write the audio to files with `cuts.save_audios` of lhotse first"


def is_lhotse(line: Mapping[str, Any]) -> bool:
    """Return whether a line of a manifest is a cut or a recording of lhotse: never if it has a key of `PATHS`."""
    if any(name in line for name in PATHS):
        return False
    known = isinstance(line.get("recording"), dict) or isinstance(line.get("sources"), list)
    return known or isinstance(line.get("tracks"), list) or line.get("type") in _CUTS


def lhotse_item(place: str, folder: Path, line: Mapping[str, Any]) -> Item:
    """Return the item for a MonoCut, a MultiCut with one channel or all channels of its file, or a recording.

    place: file and line, for error messages. folder: the folder of the manifest. line: the fields of the cut or
    recording. Raises RequestError for a value that is wrong, and for a cut that is not a part of one audio file: a
    mixture, padding, features without audio, channels that are in several files, or a recording that lhotse transforms
    or reads from a command or a network.
    """
    recording, start, duration = line, Fraction(0), None
    kind = line.get("type", "MixedCut" if "tracks" in line else "MonoCut")
    if "sources" not in line:
        if kind not in ("MonoCut", "MultiCut", "Cut"):
            raise RequestError(f"{place}: a {shown(kind)} is not a part of one audio file: {_WAY_OUT}")
        recording = line["recording"] if isinstance(line.get("recording"), dict) else {}
        start = checked_seconds(place, "start", line.get("start", 0))
        duration = checked_seconds(place, "duration", line["duration"]) if "duration" in line else None
        if duration == 0:
            raise RequestError(f"{place}: 'duration' is 0: leave the cut out")
    path, channel = _file(place, recording, line.get("channel"))
    return make_item(place, line.get("id", ""), folder, path, start, duration, channel)


def _file(place: str, recording: Mapping[str, Any], wanted: Any) -> tuple[str, int | None]:
    """Return (path of the file that has the channels `wanted`, number of the channel in this file, from 0).

    place: file and line, for messages. recording: the entry `recording` of a cut, or a line that is a recording.
    wanted: the number of a channel in lhotse; a list with one such number, or with all those of a file in their order;
    or None for all channels. The second result is None, all channels, if `wanted` is None or the list of the file.
    Raises RequestError if no file has exactly these channels, if `wanted` is None and there are several files, for a
    recording that lhotse transforms, and for a source that is not the path of a file.
    """
    sources, numbers = recording.get("sources"), wanted if isinstance(wanted, list) else [wanted]
    if any(isinstance(one, bool) for one in numbers):
        raise RequestError(f"{place}: 'channel' must be a whole number; found {shown(wanted)}: correct it")
    if not isinstance(sources, list) or not sources or not all(isinstance(one, dict) for one in sources):
        raise RequestError(f"{place}: has no recording with a list of sources; found {shown(sources)}: {_WAY_OUT}")
    if recording.get("transforms"):
        raise RequestError(
            f"{place}: lhotse changes this recording after it has read it, by {shown(recording['transforms'])}: "
            f"{_WAY_OUT}"
        )
    for source in sources:
        channels = source.get("channels")
        if isinstance(channels, list) and (wanted is None or wanted == channels or wanted in channels):
            break
        if isinstance(channels, list) and isinstance(wanted, list) and len(wanted) == 1 and wanted[0] in channels:
            wanted = wanted[0]
            break
    else:
        raise RequestError(f"{place}: no file of the recording holds exactly the channel {shown(wanted)}: {_WAY_OUT}")
    if wanted is None and len(sources) > 1:
        raise RequestError(f"{place}: the channels of the recording are in {len(sources)} files: {_WAY_OUT}")
    if source.get("type") != "file":
        raise RequestError(
            f"{place}: the source of the recording is a {shown(source.get('type'))}; only a 'file' is read: {_WAY_OUT}"
        )
    path = source.get("source")
    if not isinstance(path, str) or not is_path(path):
        raise RequestError(f"{place}: the source of the recording is not a path; found {shown(path)}")
    return path, None if wanted in (None, channels) else channels.index(wanted)
