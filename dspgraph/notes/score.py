"""Scores: which notes are played, when, and how loud. They are written as text or read from MIDI files."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dspgraph.errors import FileError, ParameterError, RequestError
from dspgraph.io.paths import read_file
from dspgraph.shown import shown

MOST_NOTES = 100_000
"""The largest number of notes in a score."""

MIDI_BYTES = 16_000_000
"""The largest size of a MIDI file that is read, in bytes."""

MIDI_SUFFIXES = (".mid", ".midi")

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = re.compile(r"([A-Ga-g])([#b]?)(-1|[0-9])")
_DRUMS = 9  # the channel of drums, counted from 0


@dataclass(frozen=True)
class ScoredNote:
    """A note of a score.

    begin: the time of its beginning, in seconds from the beginning of the score. seconds: its duration. pitch: its MIDI
    number. velocity: its loudness, from 0 to 1.
    """

    begin: float
    seconds: float
    pitch: int
    velocity: float = 1.0


def read_score(text: str, seconds: float = 1.0) -> list[ScoredNote]:
    """Return the notes of a score that is written as text, in the order in which they begin.

    text: names of notes. Notes with a space between them, as in "C4 E4 G4", are a chord: they are played together.
    Chords with a comma between them, as in "C4, D4, E4 G4", are played one after the other. C4 is middle C, MIDI 60;
    "#" raises a note by a semitone, "b" lowers it. seconds: the duration of each chord. Raises ParameterError for a
    text that is no score, and for more than MOST_NOTES notes.
    """
    chords = [chord.split() for chord in text.split(",")]
    if not all(chords):
        raise ParameterError("a score has a note before and after every comma, such as 'C4 E4 G4' or 'C4, D4, E4'")
    if sum(map(len, chords)) > MOST_NOTES:
        raise ParameterError(f"a score has at most {MOST_NOTES} notes")
    return [ScoredNote(k * seconds, seconds, pitch_of(name)) for k, chord in enumerate(chords) for name in chord]


def pitch_of(name: str) -> int:
    """Return the MIDI number of a note, such as "C4" (60), "F#3" or "Bb5".

    Raises ParameterError for another text, and for a note that has no MIDI number.
    """
    found = _NOTE.fullmatch(name)
    if found is None:
        raise ParameterError(
            f"{shown(name)} is no note: write a letter A to G, then # or b if needed, then an octave: F#3"
        )
    letter, accidental, octave = found.groups()
    pitch = 12 * (int(octave) + 1) + _LETTERS[letter.upper()] + {"#": 1, "b": -1, "": 0}[accidental]
    if not 0 <= pitch <= 127:
        raise ParameterError(f"{shown(name)} has no MIDI number: notes go from C-1 (0) to G9 (127)")
    return pitch


def note_name(pitch: int) -> str:
    """Return the name of a MIDI number, such as "C4" for 60. If a note has two names, return the name with "#"."""
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def read_midi(path: Path) -> tuple[list[ScoredNote], list[str]]:
    """Return the notes of a MIDI file in the order in which they begin, and lines for the user about notes left out.

    The drums, channel 10, are left out. A note that is not ended lasts to the end of the file. Raises FileError if the
    file cannot be read, or has no notes, only drums, or more than MOST_NOTES other notes, and RequestError if the
    package mido is missing.
    """
    try:
        import mido
    except ModuleNotFoundError as error:
        if error.name != "mido":
            raise
        raise RequestError("MIDI files need the package mido: pip install 'dspgraph[midi]'") from None

    content = read_file(path, MIDI_BYTES)
    try:
        messages = list(mido.MidiFile(file=io.BytesIO(content)))
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise FileError(f"{path} is no MIDI file that can be read: {error or type(error).__name__}") from None
    return _played(path, messages)


def _played(path: Path, messages: list[Any]) -> tuple[list[ScoredNote], list[str]]:
    now, drums = 0.0, 0
    open_notes: dict[tuple[int, int], list[tuple[float, float]]] = {}  # (channel, pitch): begin and velocity of each
    found = []
    for message in messages:
        now += message.time
        kind = message.type
        if kind not in ("note_on", "note_off"):
            continue
        channel, pitch, velocity = message.channel, message.note, message.velocity
        if channel == _DRUMS:
            drums += kind == "note_on" and velocity > 0
        elif kind == "note_on" and velocity:
            open_notes.setdefault((channel, pitch), []).append((now, velocity / 127))
        elif begun := open_notes.get((channel, pitch)):
            begin, loud = begun.pop(0)
            found.append(ScoredNote(begin, now - begin, pitch, loud))
    for (_, pitch), begun in open_notes.items():
        found += [ScoredNote(begin, now - begin, pitch, loud) for begin, loud in begun]
    if not found:
        raise FileError(f"{path} has no notes" + (f" but {drums} of drums, which are not played" if drums else ""))
    if len(found) > MOST_NOTES:
        raise FileError(f"{path} has {len(found)} notes; at most {MOST_NOTES} are played")
    count = f"{drums} note of drums (channel 10) is" if drums == 1 else f"{drums} notes of drums (channel 10) are"
    left_out = [f"{path}: {count} left out"] if drums else []
    return sorted(found, key=lambda one: (one.begin, one.pitch)), left_out
