"""Labels of notes: pitches that a network has, and labels that are refused."""

import pytest

from dspgraph import RequestError
from dspgraph_nodes.models.shared.labels import known_pitches, left_out, pitch_label, timbre_label


def test_pitches_are_semitones_above_the_lowest_and_others_are_left_out() -> None:
    labels = {"a": {"pitch": "60"}, "b": {"pitch": "62.0"}, "c": {"pitch": "63"}, "d": {"pitch": "59"}}
    assert known_pitches("abcd", labels, 60, 3) == {"a": 0, "b": 2}
    assert left_out(2) == "; 2 left out, whose pitch the network does not have"
    assert left_out(0) == ""
    with pytest.raises(
        RequestError, match="has a pitch from 70 to 72, which the network has; found 59 to 63: set lowest"
    ):
        known_pitches("abcd", labels, 70, 3)


@pytest.mark.parametrize("text", ["C4", "60.5", "128", "-1", "nan", ""])
def test_a_pitch_that_is_no_midi_number_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="a: 'pitch' must be a MIDI number, a whole number from 0 to 127; found"):
        pitch_label("a", {"pitch": text})


def test_a_label_that_is_missing_is_refused() -> None:
    with pytest.raises(RequestError, match="a has no pitch; expected a column 'pitch' with its MIDI number: give a"):
        pitch_label("a", {})
    with pytest.raises(RequestError, match="a has no timbre; expected a column 'timbre' with any name"):
        timbre_label("a", {})
    assert timbre_label("a", {"timbre": "bell"}) == "bell"
