"""Shipped vocoders are as loud as their input for all recordings of the table of `python -m benchmarks.levels`.

Those in LEFT_OUT are not in this table.
"""

import numpy as np
import pytest

from benchmarks.levels import LEFT_OUT, VOCODERS, Vocoder, compared, figures, main, recordings, vocoders
from dspgraph import Audio, load
from dspgraph.registry import shipped_pipelines
from helpers.networks import overrides
from helpers.speech import speech

FITS = ("lpc_vocoder", "bark_lpc_vocoder", "mcep_mlsa")
"""Three vocoders that fit a smooth spectrum, each in its own way."""

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
    *(("clipped, float32", Vocoder(pipeline)) for pipeline in FITS),
]
"""For every cause of wrong levels one recording, through the vocoders that once failed on it or are likely to."""


def name(of: Vocoder | str) -> str:
    return of if isinstance(of, str) else f"{of.name} {of.precision}"


@pytest.mark.parametrize(("recording", "vocoder"), QUICK, ids=name)
def test_a_vocoder_is_as_loud_as_its_input(recording: str, vocoder: Vocoder) -> None:
    (one,) = (one for one in recordings() if one.name == recording)
    found = figures(one, vocoder)
    assert found.met, found


@pytest.mark.slow
@pytest.mark.parametrize("vocoder", list(vocoders()), ids=name)
def test_the_whole_table(vocoder: Vocoder) -> None:
    found = {recording.name: figures(recording, vocoder) for recording in recordings()}
    assert not {recording: str(row) for recording, row in found.items() if not row.met}


def test_every_shipped_pipeline_that_makes_audio_is_in_the_table_or_left_out_with_a_reason() -> None:
    graphs = {name: load(name, overrides(name)) for name in shipped_pipelines()}
    with_audio = {
        name for name, graph in graphs.items() if any(isinstance(stream, Audio) for stream in graph.outputs.values())
    }
    assert with_audio == {*VOCODERS, *(name for name in LEFT_OUT if " " not in name)}
    assert not {*VOCODERS} & {*LEFT_OUT}


def test_the_table_has_the_extremes_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["noise", "mulaw_bits"]) == 0
    printed = capsys.readouterr().out
    assert "OUT" not in printed and "6 rows, 0 outside the bounds" in printed
    assert "extremes of every vocoder" in printed


def test_a_row_outside_the_bounds_has_a_mark() -> None:
    """A row outside the bounds ends in OUT.

    The recording is noise of one 16-bit step. 8-bit mu-law makes it silent, because its finest step is larger.
    """
    (one,) = (one for one in recordings() if one.name == "noise of one step of 16 bits")
    graph = load("mulaw_bits", ["levels=256"])
    found = compared(one.samples, graph(speech=one.samples)["speech"], 16000)
    assert not found.met and str(found).endswith("OUT")


def test_the_figures_are_decibels_above_20_hz() -> None:
    x = speech()[8000:40000]
    drift = 0.3 * np.sin(2 * np.pi * np.arange(32000) / 16000)  # 1 Hz: 104 dB less above 20 Hz, by four poles
    found = compared(x + drift, 2 * x, 16000, (0.8, 1.3))
    assert [round(figure or 0, 1) for figure in (found.level, found.tone)] == [6.0, 6.0]  # 20 log10(2)
    assert not found.met
    assert compared(x, x + drift, 16000, (0.8, 1.3)).met


def test_the_peak_of_an_input_with_an_offset_is_a_range() -> None:
    # A square wave, 0 or 1, is as high as 0.5 above 20 Hz, and as 1 as it is.
    x = np.resize(np.repeat((0.0, 1.0), 8), 16000)
    peaks = [compared(x, gain * (x - 0.5), 16000).peak for gain in (0.5, 1.0, 1.5, 2.0, 4.0)]
    np.testing.assert_allclose(peaks, [-6.02, 0, 0, 0, 6.02], atol=0.2)  # 20 log10(2); the high-pass tilts the edges


def test_what_a_recording_begins_with_raises_no_peak() -> None:
    # Extended by its mirror image with the other sign, as filters usually do, this would begin 6 dB too high.
    x = np.random.default_rng(1).choice([-0.25, 0.25], 16000)
    x[:8], x[-8:] = 0.25, 0.25
    y = np.where(np.arange(16000) == 8000, 0.5, x)
    assert 4 < compared(x, y, 16000).peak < 6.1  # 20 log10(2) = 6.02; what is below 20 Hz moves x by up to a quarter
