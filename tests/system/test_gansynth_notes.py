"""The pipeline gansynth_notes, from latent vectors and pitches to sound, and the weights that come with it."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import Array, load
from dspgraph.cli.main import main
from dspgraph.notes.play import slerp
from dspgraph.notes.score import pitch_of
from dspgraph.registry import shipped_pipelines
from dspgraph.testing import check_graph
from dspgraph_nodes.models.gansynth.config import PRESETS, Config
from dspgraph_nodes.models.gansynth.weights import WEIGHTS
from dspgraph_nodes.models.shared.notes import heard_pitch
from helpers.gansynth import SMALL, notes, overrides
from helpers.paths import ROOT

WIDE = SMALL["wide"]
VOICE = shipped_pipelines()["gansynth_notes"].with_suffix(".safetensors")


@pytest.mark.parametrize("size", SMALL)
def test_it_turns_notes_into_sound_with_the_sizes_of_the_weights(size: str) -> None:
    config = SMALL[size]
    given = notes(config, 3)
    graph = load("gansynth_notes", overrides(config))
    assert graph.inputs == {name: stream for name, (stream, _) in given.items()}
    sound = graph(**{name: array for name, (_, array) in given.items()})["notes"]
    assert len(sound) == 3 * config.hop * config.rows
    assert np.isfinite(sound).all() and sound.std() > 0


def between(config: Config, count: int) -> dict[str, Array]:
    """Return random inputs, by name, of the pipeline gansynth_blend, for `count` notes of a network of this size."""
    given = {name: array for name, (_, array) in notes(config, count).items()}
    return {"first": given["latent"], "second": notes(config, count, seed=1)["latent"][1], "pitch": given["pitch"]}


@pytest.mark.parametrize(("amount", "input_"), [(0, "first"), (1, "second")])
def test_at_its_ends_a_note_between_two_latents_is_that_of_one_of_them(amount: int, input_: str) -> None:
    given = between(WIDE, 3)
    found = load("gansynth_blend", [*overrides(WIDE), f"amount={amount}"])(**given)["notes"]
    alone = load("gansynth_notes", overrides(WIDE))(latent=given[input_], pitch=given["pitch"])["notes"]
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-6 * np.abs(alone).max())
    middle = load("gansynth_blend", overrides(WIDE)).expose_all()(**given)
    latents = [slerp(a, b, 0.5) for a, b in zip(given["first"], given["second"], strict=True)]
    np.testing.assert_allclose(middle["between.y"], latents, rtol=0, atol=1e-12)
    assert np.abs(middle["synth.y"] - alone).max() > 0.1 * np.abs(alone).max()


def test_no_cut_changes_the_pipelines() -> None:
    check_graph(load("gansynth_notes", overrides(WIDE)), {k: array for k, (_, array) in notes(WIDE, 64).items()})
    check_graph(load("gansynth_blend", overrides(WIDE)), between(WIDE, 64))


def test_the_shipped_weights_are_small_and_those_of_their_preset() -> None:
    assert VOICE.stat().st_size < 3e6
    config = WEIGHTS.read(VOICE)[0]
    assert config.replace(latent_means=(), latent_deviations=()) == PRESETS["gansynth-notes"]


def test_a_wheel_has_the_shipped_weights() -> None:
    """The wheel contains the whole folder of pipelines, in which the shipped weights lie."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"pipelines": "dspgraph/pipelines"}
    assert VOICE.parent == ROOT / "pipelines"


def test_the_card_tells_how_the_shipped_weights_were_made() -> None:
    card = VOICE.with_suffix(".md").read_text(encoding="utf-8")
    assert all(word in card for word in ("regression", "make_notes.py", "-s preset=gansynth-notes", "MIT", "50 cents"))
    (numbers,) = re.findall(r"([0-9,]+) numbers", card)
    assert int(numbers.replace(",", "")) == sum(array.size for array in WEIGHTS.read(VOICE)[1].values())


@pytest.mark.parametrize("seed", ["0", "3"])
@pytest.mark.parametrize("note", ["C4", "E4", "G4"])
def test_a_note_that_is_played_without_settings_has_its_pitch(note: str, seed: str, tmp_path: Path) -> None:
    """The pitch, measured by SWIPE', is within 50 cents of the note, which has 1.024 s at 16 kHz."""
    out = tmp_path / "note.wav"
    done = CliRunner().invoke(main, ["notes", note, "--seed", seed, "-o", str(out)])
    assert (done.exit_code, done.output) == (0, f"{out}\n")
    samples, rate = soundfile.read(out)
    assert (rate, len(samples)) == (16000, 1.024 * 16000)
    assert abs(heard_pitch(samples, rate) - pitch_of(note)) < 0.5


def test_a_chord_is_played_without_settings(tmp_path: Path) -> None:
    """The largest power within 4 Hz of each of the three pitches is more than 8 dB above the mean power around it.

    Around it is 12 to 25 Hz away. The peak of the chord is 0.5.
    """
    out = tmp_path / "chord.wav"
    done = CliRunner().invoke(main, ["notes", "C4 E4 G4", "--seed", "3", "-o", str(out)])
    assert (done.exit_code, done.output) == (0, f"{out}\n")
    samples, rate = soundfile.read(out)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=1e-4)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    for name in ("C4", "E4", "G4"):
        f = 440 * 2 ** ((pitch_of(name) - 69) / 12)
        near, around = np.abs(hz - f) < 4, (np.abs(hz - f) > 12) & (np.abs(hz - f) < 25)
        assert 10 * np.log10(power[near].max() / power[around].mean()) > 8
