"""Every shipped vocoder is as loud as its input, whatever was recorded: the table of `python -m benchmarks.levels`."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.levels import KNOWN, Recording, Vocoder, compared, figures, recordings, vocoders
from helpers.speech import speech

pytestmark = pytest.mark.thorough

QUICK = ("recorded at 8000 Hz", "16 kHz in a pipeline of 48000 Hz", "tone DTMF 1, 24 bits", "offset 0.5")
"""One recording of each kind: an empty band, an emptier one at a higher rate, lines in silence, a constant."""

RECORDINGS = {recording.name: recording for recording in recordings()}
PREDICTIVE = ("lpc_vocoder", "bark_lpc_vocoder", "mcep_mlsa", "mlpg_mcep")
"""The vocoders that fit a smooth spectrum with code of dspgraph; WORLD's and the others are in the slow test."""


def name(of: Recording | Vocoder) -> str:
    return f"{of.name} {of.precision}" if isinstance(of, Vocoder) else of.name


@pytest.mark.parametrize("vocoder", list(vocoders(PREDICTIVE, ["float64"])), ids=name)
@pytest.mark.parametrize("recording", QUICK)
def test_a_vocoder_is_as_loud_as_its_input(recording: str, vocoder: Vocoder, tmp_path: Path) -> None:
    found = figures(RECORDINGS[recording], vocoder, tmp_path)
    assert found.met, found


@pytest.mark.slow
@pytest.mark.parametrize("vocoder", list(vocoders()), ids=name)
@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_whole_table(recording: str, vocoder: Vocoder, tmp_path: Path) -> None:
    found = figures(RECORDINGS[recording], vocoder, tmp_path)
    assert found.met != ((recording, vocoder.name) in KNOWN), found


def test_the_figures_are_decibels_above_20_hz() -> None:
    x = speech()[8000:40000]
    drift = 0.3 * np.sin(2 * np.pi * np.arange(32000) / 16000)  # 1 Hz: 104 dB less above 20 Hz, by four poles
    found = compared(x + drift, 2 * x, 16000, (0.8, 1.3))
    assert [round(figure or 0, 1) for figure in (found.level, found.peak, found.tone)] == [6.0, 6.0, 6.0]  # 20 log10(2)
    assert not found.met
    assert compared(x, x + drift, 16000, (0.8, 1.3)).met
