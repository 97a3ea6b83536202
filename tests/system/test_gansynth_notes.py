"""The pipeline gansynth_notes, from latent vectors and pitches to sound, and the weights that come with it."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import load
from dspgraph.cli.main import main
from dspgraph.notes.score import pitch_of
from dspgraph.registry import shipped_pipelines
from dspgraph.testing import check_graph
from dspgraph_nodes.models.gansynth.config import PRESETS
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


def test_no_cut_changes_it() -> None:
    check_graph(load("gansynth_notes", overrides(WIDE)), {k: array for k, (_, array) in notes(WIDE, 64).items()})


def test_the_shipped_weights_are_small_and_those_of_their_preset() -> None:
    assert VOICE.stat().st_size < 3e6
    config = WEIGHTS.read(VOICE)[0]
    assert config.replace(latent_means=(), latent_deviations=()) == PRESETS["gansynth-notes"]


def test_a_wheel_has_the_shipped_weights() -> None:
    """The wheel contains the whole folder of pipelines."""
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
    """The pitch by SWIPE' is within 50 cents."""
    out = tmp_path / "note.wav"
    done = CliRunner().invoke(main, ["notes", note, "--seed", seed, "-o", str(out)])
    assert (done.exit_code, done.output) == (0, f"{out}\n")
    samples, rate = soundfile.read(out)
    assert (rate, len(samples)) == (16000, 1.024 * 16000)
    assert abs(heard_pitch(samples, rate) - pitch_of(note)) < 0.5


def test_a_chord_is_played_without_settings(tmp_path: Path) -> None:
    """The power at the three pitches is more than 8 dB above the mean between them."""
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
