"""The mel-cepstral vocoder: the quality of its output, as numbers."""

import numpy as np
import pytest
import soxr
from numpy.lib.stride_tricks import sliding_window_view

from dspgraph import Array, load
from dspgraph.pipeline.pipeline import variants
from helpers.speech import speech

pytestmark = pytest.mark.thorough


def envelopes(x: Array) -> Array:
    """Return the log spectra of the frames of x in dB, [frames, bins], smoothed to the cepstral coefficients 0 to 24.

    Frames of 512 samples begin every 80 samples; those in which the recording pauses are left out. x: as long as the
    recording `speech()`.
    """
    frames = sliding_window_view(x, 512)[::80]
    loud = (sliding_window_view(speech(), 512)[::80] ** 2).mean(axis=1) > 1e-5
    cepstra = np.fft.irfft(10 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(512), axis=1)) ** 2 + 1e-9), axis=1)
    cepstra[:, 25:-24] = 0
    smooth: Array = np.fft.rfft(cepstra, axis=1).real[loud]
    return smooth


def distance(y: Array) -> float:
    """Return the RMS difference between the smoothed spectra of y and the recording, in dB, as the mean over frames.

    y: as long as the recording.
    """
    return float(np.sqrt(((envelopes(y) - envelopes(speech())) ** 2).mean(axis=1)).mean())


def rendered(swap: dict[str, str], *overrides: str) -> Array:
    return load("mcep_mlsa", overrides, swap)(speech=speech())["speech"]


@pytest.mark.parametrize(("excitation", "most"), [("pulse_noise", 3.5), ("whisper", 3.75)])
def test_the_envelope_of_the_speech_comes_back(excitation: str, most: float) -> None:
    # Measured 3.00 and 3.24 dB; a periodogram of noise smoothed like this scatters by 2.6 dB around its own envelope.
    assert distance(rendered({"excitation": excitation})) < most


@pytest.mark.parametrize("swap", variants("mcep_mlsa"), ids=str)
def test_it_is_as_loud_as_the_speech_and_stable(swap: dict[str, str]) -> None:
    x, y = speech(), rendered(swap)
    assert len(y) == len(x)
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 1.5  # unit power in; measured 0.3 to 0.9 dB
    assert np.abs(y).max() < 2 * np.abs(x).max()


@pytest.mark.parametrize("swap", variants("mcep_mlsa"), ids=str)
def test_an_empty_band_does_not_make_it_unstable(swap: dict[str, str]) -> None:
    # A recording made at 8 kHz: above 4 kHz nothing but the floor, 150 dB down, which one section cannot bear.
    x = soxr.resample(soxr.resample(speech(), 16000, 8000, "HQ"), 8000, 16000, "HQ")
    y = load("mcep_mlsa", (), swap)(speech=x)["speech"]
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 1.5


def test_frames_centred_where_the_filter_reaches_them_fit_best() -> None:
    # Measured 3.00 dB with the centre one hop after the start of the span; 3.57, 3.13 and 3.67 elsewhere.
    right = distance(rendered({}))
    for centre in (0, 40, 160):
        assert distance(rendered({}, f"frames.centre={centre}")) > right + 0.1


def test_the_postfilter_parts_peaks_and_valleys() -> None:
    def depth(y: Array) -> float:
        return float(envelopes(y).std(axis=1).mean())

    # c[2..] times 1.4, c[1] alone unchanged: deeper by a factor between 1 and 1.4; measured 1.13
    ratio = depth(rendered({"synth": "sharpened"})) / depth(rendered({}))
    assert 1.05 < ratio < 1.4


def test_silence_is_below_half_a_step_of_24_bits() -> None:
    # The floor of the mel-cepstrum, 1e-16 of power, times Gaussian noise: 4e-8 at most in 5000 samples.
    found = load("mcep_mlsa")(speech=np.zeros(5000))["speech"]
    assert np.abs(found).max() < 2**-24


def test_the_postfilter_runs_only_where_it_is_heard() -> None:
    assert "sharp" in load("mcep_mlsa").unused
    assert "sharp" not in load("mcep_mlsa", (), {"synth": "sharpened"}).unused


@pytest.mark.parametrize("swap", variants("mcep_mlsa"), ids=str)
def test_a_constant_beside_the_speech_is_not_heard(swap: dict[str, str]) -> None:
    # Without the highpass it is a peak so narrow that it rings: a constant of 1 comes to 6e4.
    x, graph = speech(), load("mcep_mlsa", (), swap)
    alone, beside = graph(speech=x)["speech"], graph(speech=x + 0.3)["speech"]
    assert abs(10 * np.log10((beside**2).mean() / (alone**2).mean())) < 0.3  # measured up to 0.1 dB
    y = graph(speech=np.ones(8000))["speech"]
    assert np.abs(y).max() < 400  # the step at its start is one; measured 1.3 to 160
