"""The player of scores: with a graph whose sounds are known, and with a small network."""

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, Frames, Input, Node, Output, State, Symbols, load
from dspgraph.errors import RequestError
from dspgraph.notes.play import FADE, LOUDEST, RISE, NoteGraph, latent_at, play, slerp
from dspgraph.notes.score import ScoredNote
from dspgraph.testing import Example
from helpers.gansynth import overrides

RATE, LENGTH = 1000, 2000  # of sounds of two seconds


class Tones(Node):
    """Make sounds of LENGTH samples, all of them the pitch + 1, so that the pitch 0 is not silent."""

    latent = Input(Frames, "latent")
    pitch = Input(Symbols, "pitch")
    y = Output(Audio)

    lowest_pitch: ClassVar[int] = 60

    def streams(self, latent: Frames, pitch: Symbols) -> tuple[Audio]:
        return (Audio(RATE, dtype=latent.dtype),)

    def step(self, state: State, latent: Array, pitch: Array) -> tuple[State, Array]:
        return state, np.repeat(pitch + 1.0, LENGTH).astype(latent.dtype)


def tones(size: int = 5) -> NoteGraph:
    rate = Fraction(RATE, LENGTH)
    latent = Frames(rate, "latent", 3), np.zeros((1, 3))
    example = Example(Tones(), latent=latent, pitch=(Symbols(rate, "pitch", size), np.zeros(1, np.int64)))
    return NoteGraph(example.graph())


def played(*notes: ScoredNote, **more: Any) -> Array:
    return play(notes, tones(), **more)


def test_a_note_rises_stays_and_fades() -> None:
    found = played(ScoredNote(0.5, 1.0, 62))
    assert len(found) == 1800
    assert not found[:500].any()
    assert_allclose(found[500 : 500 + round(RISE * RATE)], LOUDEST * np.arange(1, 11) / 10, atol=1e-12)
    assert_allclose(found[510:1500], LOUDEST, atol=1e-12)
    assert_allclose(found[1500:], LOUDEST * (1 - np.arange(300) / 1000 / FADE), atol=1e-12)


def test_notes_add_up_by_their_velocities_whatever_the_level_of_their_sounds() -> None:
    found = played(ScoredNote(0, 1, 60, 1.0), ScoredNote(0, 1, 64, 0.5), ScoredNote(1.5, 0.2, 61, 0.5))
    assert_allclose(found[100], LOUDEST, atol=1e-12)
    assert_allclose(found[1600], LOUDEST / 3, atol=1e-12)


def test_a_note_that_is_longer_than_its_sound_ends_with_it_and_that_is_said() -> None:
    said: list[str] = []
    found = played(ScoredNote(0, 5, 60), note=said.append)
    assert said == ["1 of 1 notes ends early: a sound of this pipeline lasts 2 s"]
    assert_allclose(found[1600], LOUDEST, atol=1e-12)
    assert 0 < found[1999] < 0.01
    assert not found[2000:].any()


def test_notes_outside_of_the_pitches_are_left_out_and_that_is_said() -> None:
    said: list[str] = []
    played(ScoredNote(0, 1, 59), ScoredNote(0, 1, 60), ScoredNote(0, 1, 65), note=said.append)
    assert said == ["2 of 3 notes are left out, outside of the pitches of this pipeline, C4 to E4"]
    with pytest.raises(RequestError, match="no note can be played: all are outside of the pitches"):
        played(ScoredNote(0, 1, 59))


def test_a_score_of_hours_is_refused() -> None:
    with pytest.raises(RequestError, match="the score lasts 9001 s; at most 3600 s are played"):
        played(ScoredNote(9000, 1, 60))


def test_a_graph_that_makes_no_notes_is_refused() -> None:
    with pytest.raises(RequestError, match="this pipeline makes no notes: .*; found speech .*: take gansynth_notes"):
        NoteGraph(load("lpc_vocoder"))


def test_a_graph_that_does_not_tell_its_lowest_pitch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Tones, "lowest_pitch")
    with pytest.raises(RequestError, match=r"no node .* takes the input 'pitch' tells which note its pitch 0 is: give"):
        tones()


def test_a_note_lasts_a_second_by_default_or_as_long_as_its_sound() -> None:
    assert tones().usual == 1.0
    assert NoteGraph(load("gansynth_notes", overrides())).usual == 0.1  # a sound of 0.32 s fades for 0.3 s
    assert NoteGraph(load("gansynth_notes")).usual == pytest.approx(1.024 - FADE)


def test_latents_are_drawn_as_the_node_says(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = latent_at(2.5, 3, 7)
    assert_allclose(tones().latent_at(2.5, 7), drawn)
    monkeypatch.setattr(Tones, "latent_draws", (np.array([1.0, 2, 3]), np.array([0.5, 0, 2])), raising=False)
    assert_allclose(tones().latent_at(2.5, 7), [1 + drawn[0] / 2, 2, 3 + 2 * drawn[2]])


def test_more_notes_than_are_computed_together_change_no_sound() -> None:
    """With a network, the last of 18 notes sounds the same without the other notes.

    Another seed gives other sounds; the same seed gives the same again. The level of the last note is left out:
    `play` scales the sum of all notes.
    """
    graph = NoteGraph(load("gansynth_notes", overrides()))
    many = [ScoredNote(0.4 * k, 0.02, 24 + k % 7) for k in range(18)]
    found, alone = play(many, graph, seed=5), play(many[17:], graph, seed=5)
    part = slice(round(0.4 * 17 * 800), None)
    assert_allclose(found[part] / np.abs(found[part]).max(), alone[part] / np.abs(alone[part]).max(), atol=1e-9)
    assert np.abs(play(many, graph, seed=6) - found).max() > 0.1
    assert_array_equal(play(many, graph, seed=5), found)


def test_the_way_between_two_vectors_lies_on_the_sphere() -> None:
    a, b = np.array([3.0, 0.0]), np.array([0.0, 3.0])
    assert_allclose(slerp(a, b, 1 / 3), 3 * np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)]), atol=1e-12)
    assert_allclose([slerp(a, b, 0), slerp(a, b, 1)], [a, b], atol=1e-12)
    for same in (a, np.zeros(2)):  # no angle
        assert_allclose(slerp(same, same, 0.4), same)
    assert np.isfinite(slerp(a, -a, 0.5)).all()


def test_the_way_goes_through_a_random_vector_at_every_whole_number() -> None:
    at = [latent_at(place, 200, 3) for place in (0.0, 1.0, 1.0 - 1e-9, 0.5)]
    assert_allclose(at[1], at[2], atol=1e-6)
    assert abs(float(np.corrcoef(at[0], at[1])[0, 1])) < 0.2
    assert 0.8 < np.std(at[0]) < 1.2
    assert 0.5 < float(np.corrcoef(at[0], at[3])[0, 1]) < 0.9  # sqrt(1/2) for a right angle
