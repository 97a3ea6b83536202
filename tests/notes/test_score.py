"""Scores as text and as MIDI files."""

import sys
from pathlib import Path

import mido
import pytest

from dspgraph.errors import FileError, ParameterError, RequestError
from dspgraph.notes.score import ScoredNote, note_name, pitch_of, read_midi, read_score


@pytest.mark.parametrize(
    ("name", "pitch"),
    [("C4", 60), ("A4", 69), ("c4", 60), ("F#3", 54), ("Bb5", 82), ("Cb4", 59), ("C-1", 0), ("G9", 127)],
)
def test_a_note_has_its_midi_number(name: str, pitch: int) -> None:
    assert pitch_of(name) == pitch
    assert pitch_of(note_name(pitch)) == pitch


@pytest.mark.parametrize("name", ["H4", "C", "C44", "C##4", "4C", "C 4", "", "Ç4", "C\uff14", "G#9", "Cb-1"])
def test_what_is_no_note_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="is no note|has no MIDI number"):
        pitch_of(name)


def test_a_space_plays_together_and_a_comma_afterwards() -> None:
    found = read_score("C4 E4 G4, F4,G4", 0.5)
    assert [(one.begin, one.seconds, one.pitch) for one in found] == [
        (0, 0.5, 60), (0, 0.5, 64), (0, 0.5, 67), (0.5, 0.5, 65), (1.0, 0.5, 67)
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", " ", "C4,", ",C4", "C4,,D4"])
def test_a_gap_in_a_score_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="before and after every comma"):
        read_score(text)


def test_a_score_has_a_bound() -> None:
    with pytest.raises(ParameterError, match="at most 100000 notes"):
        read_score("C4 " * 100_001)


def midi_file(path: Path, *messages: mido.Message | mido.MetaMessage) -> Path:
    """Write a MIDI file of one track with these messages, 480 ticks per beat, and return its path."""
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack(messages))
    file.save(path)
    return path


def test_a_midi_file_is_read_with_its_tempo(tmp_path: Path) -> None:
    """The times of notes follow the tempo: a beat lasts 0.25 s at first, then 1 s. The velocity 0 ends a note."""
    path = midi_file(
        tmp_path / "tune.mid",
        mido.MetaMessage("set_tempo", tempo=250_000, time=0),
        mido.Message("note_on", note=60, velocity=127, time=480),
        mido.Message("note_on", note=64, velocity=64, time=0),
        mido.Message("note_off", note=60, time=480),
        mido.MetaMessage("set_tempo", tempo=1_000_000, time=0),
        mido.Message("note_on", note=64, velocity=0, time=240),  # ends it, as running status does
        mido.Message("note_on", note=67, velocity=127, time=0),
        mido.MetaMessage("end_of_track", time=480),
    )
    found, left_out = read_midi(path)
    assert found == [
        ScoredNote(0.25, 0.25, 60, 1.0), ScoredNote(0.25, 0.75, 64, 64 / 127), ScoredNote(1.0, 1.0, 67, 1.0)
    ]  # fmt: skip
    assert left_out == []


def test_the_same_note_twice_at_once_ends_in_the_order_it_began(tmp_path: Path) -> None:
    path = midi_file(
        tmp_path / "tune.mid",
        *(mido.Message("note_on", note=60, velocity=127, time=480) for _ in range(2)),
        *(mido.Message("note_off", note=60, time=480) for _ in range(3)),  # one more than there are notes
    )
    assert [(one.begin, one.seconds) for one in read_midi(path)[0]] == [(0.5, 1.0), (1.0, 1.0)]


def test_drums_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    drum = mido.Message("note_on", channel=9, note=35, velocity=100, time=0)
    path = midi_file(
        tmp_path / "both.mid",
        drum,
        mido.Message("note_on", note=60, velocity=127),
        mido.Message("note_off", note=60, time=480),
    )
    assert read_midi(path)[1] == [f"{path}: 1 note of drums (channel 10) is left out"]
    with pytest.raises(FileError, match="has no notes but 1 of drums"):
        read_midi(midi_file(tmp_path / "drums.mid", drum))


@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF....", b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\xff\xff\0\x90"])
def test_what_is_no_midi_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"a\.mid (is no MIDI file that can be read|has no notes)"):
        read_midi(path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(RequestError, match=r"pip install 'dspgraph\[midi\]'"):
        read_midi(tmp_path / "a.mid")
