"""Metrics, compared with other programs, with recommendations, and with their formulas."""

import math
import warnings
from fractions import Fraction

import librosa
import numpy as np
import pytest
from scipy import signal

from dspgraph import Array
from dspgraph.evaluation.metrics import Pair, cepstral, loudness, measure, short_time
from dspgraph.evaluation.metrics.loudness import integrated_loudness
from helpers.measured import RATE, noise, noisy, tone, value
from helpers.speech import speech

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    import pysptk


MCD_SCALE = 10 * math.sqrt(2) / math.log(10)


def spectra(x: Array, n_fft: int, hop: int, length: int) -> Array:
    found: Array = np.abs(
        librosa.stft(x, n_fft=n_fft, hop_length=hop, win_length=length, center=True, pad_mode="constant")
    ).T.astype(np.float64)
    return found


def test_the_cepstra_are_those_of_pysptk() -> None:
    """The expected cepstra, from c_1 on, are those of pysptk's sp2mc for librosa's spectra, raised to the floor.

    Ours differ by rounding, about 1e-13. Frames are heard down to 60 dB below the loudest frame.
    """
    x = speech()
    powers = spectra(x, 512, 80, 400) ** 2
    floored = np.maximum(powers, powers.max(axis=1, keepdims=True) * 1e-10)
    expected = pysptk.sp2mc(floored, 24, 0.42)[:, 1:]
    found, _, heard = cepstral.cepstra(Pair(x, x, RATE))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    energy = powers.sum(axis=1)
    np.testing.assert_array_equal(heard, energy >= energy.max() * 1e-6)


@pytest.mark.parametrize("rate", [10000, 24000, 32000, 96000, 192000])
def test_other_rates_are_warped_as_pysptk_fits_them(rate: int) -> None:
    assert cepstral.mel_alpha(Fraction(rate)) == pytest.approx(pysptk.util.mcepalpha(rate), abs=0.001001)


def test_the_rates_of_the_table_are_warped_as_everybody_does() -> None:
    found = [cepstral.mel_alpha(Fraction(rate)) for rate in (8000, 16000, 22050, 44100, 48000)]
    assert found == [0.31, 0.42, 0.455, 0.53, 0.55]


@pytest.mark.parametrize(
    ("snr", "melcd", "pymcd", "pymcd_dtw"),
    [
        (30, 5.414500794071739, 0.642, 0.625),
        (20, 8.103630037478212, 2.902, 2.844),
        (10, 10.472919636727296, 11.001, 10.999),
    ],
)
def test_distortion_is_that_of_other_programs(snr: float, melcd: float, pymcd: float, pymcd_dtw: float) -> None:
    """The distortion equals that of nnmnkwii, and at the SNR 10 dB it is near that of pymcd.

    The values of nnmnkwii 0.1.3 and pymcd 0.2.1 were recorded with

        x, y, heard = cepstra(Pair(speech(), noisy(snr), 16000)); melcd(x[heard], y[heard])
        Calculate_MCD("plain" | "dtw").calculate_mcd("speech.wav", "noisy.wav")

    melcd has the same formula. pymcd differs: 22050 Hz, envelopes by WORLD, order 13, alpha 0.65, all frames, c_0 in
    the sum, an approximate DTW, and 1e-8 added to all powers, which hides the softer noise. So its values are compared
    only at the SNR 10 dB, to within 10 %.
    """
    found = measure(speech(), noisy(snr), RATE, ["mcd", "mcd_dtw"])
    assert found["mcd"] == pytest.approx(melcd, rel=1e-6)  # as far as machines agree on logarithms and sums
    if snr == 10:
        assert found["mcd"] == pytest.approx(pymcd, rel=0.1) and found["mcd_dtw"] == pytest.approx(pymcd_dtw, rel=0.1)


def test_the_path_of_warping_is_that_of_librosa() -> None:
    """`mcd_dtw` is the distortion along librosa's path, of the pairs whose frame of the reference is heard.

    The signals have 0.75 s, 151 frames, so that the limit of 200 frames has no effect on the path.
    """
    x, y = speech()[8000:20000], np.concatenate([speech()[9000:17000], speech()[15500:20000]])[:12000]
    pair = Pair(x, y, RATE)
    a, b, heard = cepstral.cepstra(pair)
    _, path = librosa.sequence.dtw(a.T, b.T, metric="euclidean")
    path = path[heard[path[:, 0]]]
    expected = MCD_SCALE * np.linalg.norm(a[path[:, 0]] - b[path[:, 1]], axis=1).mean()
    assert cepstral.mcd_dtw(pair) == pytest.approx(expected, rel=1e-9)
    assert len(path) != heard.sum(), "the path is not the diagonal"


def test_the_reach_of_warping_is_kept() -> None:
    """Warping reaches 1 s: a syllable that comes 1 s later is matched with itself, but not one that is 1.1 s late."""
    syllable, late = speech()[16000:17600], {}
    for seconds in (1.0, 1.1):
        x, y = np.zeros(48000), np.zeros(48000)
        x[4000:5600] = y[4000 + round(seconds * RATE) :][:1600] = syllable
        late[seconds] = value("mcd_dtw", x, y)
    assert late[1.0] == pytest.approx(0, abs=1e-9) and late[1.1] > 5


def test_log_spectral_distance_is_its_formula_on_spectra_of_librosa() -> None:
    x, y = speech(), noisy(20)
    floor = (signal.get_window("hann", 512).sum() / 2) * 1e-5
    a, b = (np.maximum(spectra(one, 512, 128, 512), floor) for one in (x, y))
    expected = np.sqrt(((20 * np.log10(a / b)) ** 2).mean(axis=1)).mean()
    assert value("lsd", x, y) == pytest.approx(expected, rel=1e-9)


def test_multi_resolution_distance_is_its_formula_on_spectra_of_librosa() -> None:
    x, y = speech(), noisy(20)
    parts = []
    for n_fft, hop, length in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        a, b = (np.sqrt(np.maximum(spectra(one, n_fft, hop, length) ** 2, 1e-7)) for one in (x, y))
        parts.append(np.linalg.norm(a - b) / np.linalg.norm(a) + np.abs(np.log(a) - np.log(b)).mean())
    assert value("mrstft", x, y) == pytest.approx(np.mean(parts), rel=1e-9)


def test_blocks_of_spectra_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(speech(), noisy(20), RATE, ["mcd", "lsd", "mrstft"])
    monkeypatch.setattr(short_time, "_BLOCK", 2**14)
    assert measure(speech(), noisy(20), RATE, ["mcd", "lsd", "mrstft"]) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_a_full_scale_sine_of_997_hz_has_the_loudness_the_recommendation_gives_it(rate: int) -> None:
    """BS.1770-4 gives -3.01 LKFS for one channel. Below 44.1 kHz, the bilinear transform bends the shelf filter.

    So the measured loudness is 0.20, 0.10, 0.05 and 0.02 dB too low at 8, 11.025, 16 and 22.05 kHz.
    """
    found = integrated_loudness(tone(997, 4, rate), rate)
    assert found == pytest.approx(-3.01, abs=0.01 + (0.22 * (8000 / rate) ** 2 if rate < 44100 else 0))


def test_the_filters_at_48_khz_are_those_of_the_recommendation() -> None:
    for b, a in loudness.K_WEIGHTING:
        top, bottom = loudness.filter_at_rate(b, a, 48000)
        np.testing.assert_allclose([*top, *bottom], [*b, *a], atol=1e-12)


@pytest.mark.parametrize("rate", [16000, 44100, 96000])
def test_the_filters_weigh_the_same_at_other_rates(rate: int) -> None:
    """The gains agree to 0.1 dB up to an eighth of the lower rate.

    Above that, the bilinear transform bends the response.
    """
    hertz = np.geomspace(20, min(rate, 48000) / 8, 50)
    gains = []
    for one in (48000, rate):
        sections = np.array([np.concatenate(loudness.filter_at_rate(b, a, one)) for b, a in loudness.K_WEIGHTING])
        gains.append(20 * np.log10(np.abs(signal.sosfreqz(sections, hertz, fs=one)[1])))
    np.testing.assert_allclose(gains[1], gains[0], atol=0.1)


def test_loudness_is_gated() -> None:
    """Silence does not count, and neither do blocks more than 10 LU below the mean of all blocks but the silent ones.

    A part that is 13.5 dB softer and equally long lies 10.7 LU below that mean; a part that is 12 dB softer lies 9.3 LU
    below it and counts. A signal that lies below -70 LUFS has no loudness.
    """
    loud, rate = tone(997, 10, 48000, -20), 48000
    alone = integrated_loudness(loud, rate)
    assert alone is not None and alone == pytest.approx(-23.01, abs=0.01)
    assert integrated_loudness(np.concatenate([loud, np.zeros(len(loud))]), rate) == pytest.approx(alone, abs=0.1)
    assert integrated_loudness(np.concatenate([loud, tone(997, 10, 48000, -33.5)]), rate) == pytest.approx(
        alone, abs=0.1
    )
    mean = 10 * math.log10((1 + 10**-1.2) / 2)
    assert integrated_loudness(np.concatenate([loud, tone(997, 10, 48000, -32)]), rate) == pytest.approx(
        alone + mean, abs=0.1
    )
    assert integrated_loudness(tone(997, 1, 48000, -70), rate) is None


def test_listening_models_are_what_their_packages_say() -> None:
    from pesq import pesq
    from pystoi import stoi

    x, y = speech(), noisy(20)
    assert value("pesq", x, y) == pesq(16000, x, y, "wb")
    assert value("stoi", x, y) == stoi(x, y, 16000)
    assert value("pesq", x, y, 8000) == pesq(8000, x, y, "nb")


def test_long_signals_are_cut_for_the_listening_models() -> None:
    """The metric `pesq` of a signal of 40 s is the mean over three pieces of equal length.

    The package pesq 0.0.4 crashes for a signal with 60 utterances, because it has memory for 50.
    """
    from pesq import pesq

    burst = np.concatenate([speech()[8000:14000], np.zeros(4000)])
    x = np.tile(burst, 64)  # 40 s: three pieces
    y = x + noise(len(x)) * 0.001
    pieces = [pesq(16000, a, b, "wb") for a, b in zip(np.array_split(x, 3), np.array_split(y, 3), strict=True)]
    assert value("pesq", x, y) == pytest.approx(np.mean(pieces), rel=1e-12)
