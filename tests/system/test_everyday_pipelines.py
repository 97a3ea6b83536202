"""Pipelines for everyday tasks: another tempo, another pitch, noise at a given level."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Pipeline, load, render
from dspgraph.cli.main import main
from dspgraph.testing import check_graph
from helpers.speech import speech

X = speech()[8000:24000]


@pytest.mark.parametrize("swap", [{}, {"stretched": "wsola"}])
def test_speech_slowed_to_80_percent_lasts_a_quarter_longer_at_the_same_pitch(swap: dict[str, str]) -> None:
    y = load("tempo", swap=swap)(speech=X)["speech"]
    assert len(y) == 20000
    before, after = (load("f0", swap={"pitch": "swipe"})(speech=one)["f0"][:, 0] for one in (X, y))
    cents = 1200 * np.log2(np.median(after[after > 0]) / np.median(before[before > 0]))
    assert abs(cents) < 20  # a step of the pitch tracker is 4 cents; measured -4 and 4


def test_music_in_stereo_is_slowed_at_its_own_rate(tmp_path: Path) -> None:
    """Music at 44100 Hz is not converted to 16 kHz: a tone of 12 kHz is still there. The channels keep their levels."""
    tone = 0.3 * np.sin(2 * np.pi * 12000 / 44100 * np.arange(22050))
    soundfile.write(tmp_path / "music.wav", np.stack((tone, 0.25 * tone), axis=1), 44100, "DOUBLE")
    render(Pipeline("tempo", ["rate=file", "channels=file"]), [tmp_path / "music.wav"], tmp_path / "out")
    y, rate = soundfile.read(tmp_path / "out" / "music.flac")
    assert (rate, y.shape) == (44100, (27563, 2))  # ceil(1.25 * 22050)
    spectrum = np.abs(np.fft.rfft(y[5000:21000, 0] * np.hanning(16000)))
    assert abs(spectrum.argmax() / 16000 * 44100 - 12000) < 3  # Hz, a bin
    assert_allclose(y[:, 1], 0.25 * y[:, 0], rtol=0, atol=2e-7)  # 24 bits


def test_world_raises_the_pitch_by_three_semitones() -> None:
    pitches = []
    for overrides in ([], ["semitones=3"]):
        y = load("world", overrides)(speech=X)["speech"]
        f0 = load("f0", swap={"pitch": "swipe"})(speech=y)["f0"][:, 0]
        pitches.append(np.median(f0[f0 > 0]))
    assert abs(1200 * np.log2(pitches[1] / pitches[0]) - 300) < 20  # cents; measured 3


def test_a_recording_with_noise_has_the_ratio_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    noise = 0.1 * np.random.default_rng(1).standard_normal(40000)
    check_graph(load("noisy"), {"speech": X[:3000], "noise": noise[:3000]})
    soundfile.write("speech.wav", X, 16000, "DOUBLE")
    soundfile.write("noise.wav", noise, 16000, "DOUBLE")
    words = ["render", "noisy", "speech=speech.wav", "noise=noise.wav", "-o", "out", "-s", "snr=5", "--format", "wav"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    y, _ = soundfile.read("out/speech.wav")
    assert_array_equal(y.shape, X.shape)
    assert_allclose(10 * np.log10(np.sum(X**2) / np.sum((y - X) ** 2)), 5, atol=1e-4)  # the file has 32 bits
