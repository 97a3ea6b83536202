"""Every shipped vocoder is as loud as its input, whatever was recorded: the table of `python -m benchmarks.levels`."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.levels import KNOWN, Recording, Vocoder, compared, figures, main, recordings, vocoders
from helpers.speech import speech

RECORDINGS = {recording.name: recording for recording in recordings()}
FITS = ("lpc_vocoder", "bark_lpc_vocoder", "mcep_mlsa")
"""The vocoders that fit a smooth spectrum, each in its own way."""

QUICK = [
    *((recording, Vocoder(pipeline)) for recording in ("recorded at 8000 Hz", "offset 0.5") for pipeline in FITS),
    *(
        (recording, Vocoder(pipeline))
        for recording in ("tone 390 Hz, 24 bits", "tone 100 Hz, 24 bits")
        for pipeline in FITS
    ),
    *(("rumble of 5 Hz 12 dB above", Vocoder(pipeline)) for pipeline in (*FITS, "world")),
    ("tone 2600 Hz, 24 bits", Vocoder("griffin_lim", (("seen", "mel"),))),
    ("noise of two values", Vocoder("griffin_lim", (("seen", "mel"),))),
    ("noise of one step of 16 bits", Vocoder("bark_lpc_vocoder", (("excitation", "whisper"),))),
]
"""For every cause of wrong levels one recording, through the vocoders that once failed on it or are likely to."""


def name(of: Recording | Vocoder | str) -> str:
    return of if isinstance(of, str) else f"{of.name} {of.precision}" if isinstance(of, Vocoder) else of.name


@pytest.mark.parametrize(("recording", "vocoder"), QUICK, ids=name)
def test_a_vocoder_is_as_loud_as_its_input(recording: str, vocoder: Vocoder, tmp_path: Path) -> None:
    found = figures(RECORDINGS[recording], vocoder, tmp_path)
    assert found.met, found


@pytest.mark.slow
@pytest.mark.parametrize("vocoder", list(vocoders()), ids=name)
@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_whole_table(recording: str, vocoder: Vocoder, tmp_path: Path) -> None:
    found = figures(RECORDINGS[recording], vocoder, tmp_path)
    assert found.met != ((recording, vocoder.name) in KNOWN), found


def test_the_table_gives_the_reason_beside_a_known_row_and_the_extremes_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["noise", "mulaw_bits"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("OUT below half of the finest step of 8-bit mu-law") == 4  # two recordings, two precisions
    assert "6 rows, 4 outside the bounds for a known reason, 0 others" in printed
    assert "extremes of every vocoder" in printed


def test_the_figures_are_decibels_above_20_hz() -> None:
    x = speech()[8000:40000]
    drift = 0.3 * np.sin(2 * np.pi * np.arange(32000) / 16000)  # 1 Hz: 104 dB less above 20 Hz, by four poles
    found = compared(x + drift, 2 * x, 16000, (0.8, 1.3))
    assert [round(figure or 0, 1) for figure in (found.level, found.peak, found.tone)] == [6.0, 6.0, 6.0]  # 20 log10(2)
    assert not found.met
    assert compared(x, x + drift, 16000, (0.8, 1.3)).met
