"""The command `notes`."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dspgraph.cli.main import main
from helpers.gansynth import overrides

SMALL = [word for one in overrides() for word in ("-s", one)]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["notes", *arguments])
    return done.exit_code, done.output


def test_a_chord_is_written_and_depends_on_the_seed(tmp_path: Path) -> None:
    out = str(tmp_path / "chord.wav")
    assert run("C1 E1 F#1", "--seed", "3", "-o", out, "--seconds", "0.02", *SMALL) == (0, f"{out}\n")
    samples, rate = soundfile.read(out)
    assert (rate, len(samples)) == (800, 256)  # 0.02 s, and 0.3 s in which the notes fade
    assert np.abs(samples).max() == pytest.approx(0.5)
    again = str(tmp_path / "again.wav")
    run("C1 E1 F#1", "--seed", "4", "-o", again, "--seconds", "0.02", *SMALL)
    assert np.abs(soundfile.read(again)[0] - samples).max() > 0.05


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    code, said = run("C1, C4", "-o", str(tmp_path / "a.wav"), *SMALL)
    assert code == 0
    assert "note: 1 of 2 notes is left out, outside of the pitches of this pipeline, C1 to F#1\n" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["C1 H1", *SMALL], "'H1' is no note: write a letter A to G"),
        (["nowhere.mid", *SMALL], "nowhere.mid does not exist"),
        (["C4", "-s", "weights=missing.safetensors"], "gansynth.weights is missing.safetensors; there is no such file"),
        (["C4", "--pipeline", "lpc_vocoder"], "this pipeline makes no notes"),
        (["C1", "-o", "a.mp9", *SMALL], "mp9"),
    ],
)
def test_a_bad_request_is_refused_and_nothing_is_written(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run(*arguments, *([] if "-o" in arguments else ["-o", "a.wav"]))
    assert code == 2
    assert expected in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())
