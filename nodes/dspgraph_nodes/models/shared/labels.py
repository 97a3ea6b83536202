"""Labels of notes, from the columns of a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dspgraph import RequestError
from dspgraph.shown import shown

NoteLabels = Mapping[str, Mapping[str, str]]
"""Labels of recordings, from a manifest: name of the recording -> name of the column -> text."""

NO_LABELS: NoteLabels = MappingProxyType({})

_WAY_OUT = "give a manifest that has this column, or NSynth's examples.json"


def known_pitches(names: Iterable[str], labels: NoteLabels, lowest: int, pitches: int) -> dict[str, int]:
    """Return the pitch of each recording, in semitones above the network's lowest pitch.

    Recordings with a pitch that the network does not have are left out. names: the names of the recordings, at least
    one; labels: see `NoteLabels`; lowest: the MIDI number of the network's lowest pitch; pitches: the number of its
    pitches. Raises RequestError as `pitch_label` does, also for a recording without labels, or if all are left out.
    """
    every = {name: pitch_label(name, labels.get(name, {})) for name in names}
    last = lowest + pitches - 1
    known = {name: pitch - lowest for name, pitch in every.items() if lowest <= pitch <= last}
    if not known:
        raise RequestError(
            f"no recording has a pitch from {lowest} to {last}, which the network has; found {min(every.values())} to "
            f"{max(every.values())}: set lowest and pitches, or give other recordings"
        )
    return known


def left_out(count: int) -> str:
    """Return the end of a line about the data, such as "; 3 left out, whose pitch the network does not have".

    The text is empty if `count`, the number of these recordings, is 0.
    """
    return f"; {count} left out, whose pitch the network does not have" if count else ""


def pitch_label(name: str, labels: Mapping[str, str]) -> int:
    """Return the MIDI number of the pitch of a recording.

    name: the name of the recording; labels: column of the manifest -> text. Raises RequestError unless the column
    "pitch" has a whole number from 0 to 127.
    """
    text = labels.get("pitch")
    if text is None:
        raise RequestError(f"{name} has no pitch; expected a column 'pitch' with its MIDI number: {_WAY_OUT}")
    try:
        pitch = float(text)
    except ValueError:
        pitch = -1.0
    if pitch not in range(128):
        raise RequestError(
            f"{name}: 'pitch' must be a MIDI number, a whole number from 0 to 127; found {shown(text)}: correct it"
        )
    return int(pitch)


def timbre_label(name: str, labels: Mapping[str, str]) -> str:
    """Return the timbre of a recording. Raises RequestError if `labels` has no "timbre"; it may be an empty text.

    name, labels: as in `pitch_label`.
    """
    if "timbre" not in labels:
        raise RequestError(f"{name} has no timbre; expected a column 'timbre' with any name: {_WAY_OUT}")
    return labels["timbre"]
