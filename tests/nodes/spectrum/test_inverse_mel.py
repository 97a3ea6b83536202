from fractions import Fraction
from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.mel import mel_filterbank
from dspgraph_nodes._kernels.signal.stft import spectra
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.spectrum.inverse_mel import InverseMel, inverse_mel
from helpers.integers import check_integers, integers
from helpers.speech import speech

RNG = np.random.default_rng(38)


def bands_of(n: int, count: int) -> Array:
    """Return new random mel bands [n, count] over many orders of magnitude; four rows and four other values are 0.

    They are computed by sums and products only, so that they are the same on every machine.
    """
    u = RNG.random((n, count)) ** 2
    found: Array = 1e-8 + 100 * (u * u) * (u * u)
    found[n // 2 : n // 2 + 4] = 0
    found[3, 5:9] = 0
    return found


EXAMPLES = [
    Example(InverseMel(n_fft=512), mel=(Frames("62.5", "mel", 40, "1/125"), bands_of(70, 40))),
    Example(
        InverseMel(n_fft=256, kind="power", f_min=100, f_max=7000, scale="htk", norm="none", iterations=7),
        mel=(Frames(100, "mel", 13), bands_of(70, 13)),
    ),
]

MATRIX = mel_filterbank(80, 16000.0, 513, 0.0, 8000.0, "slaney", "slaney")


def magnitudes() -> Array:
    """Return magnitudes [63, 513] of 1 s of speech at 16 kHz, with FFTs of 1024 samples and hop 256."""
    window = window_values("hann", "none", 1024, np.dtype(np.float64))
    found: Array = np.abs(spectra(Framing(1024, 256, -384).whole(speech()[16000:32000]), window, 1024))
    return found


def decibel(found: Array, expected: Array) -> float:
    return float(20 * np.log10(np.linalg.norm(found - expected) / np.linalg.norm(expected)))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_it_is_nearer_than_librosas_in_bands_and_in_spectra(power: float) -> None:
    true = magnitudes() ** power
    bands = true @ MATRIX
    peer = librosa.feature.inverse.mel_to_stft(bands.T, sr=16000, n_fft=1024, power=power).T
    found = inverse_mel(bands)
    assert (found >= 0).all()
    # Over the whole clip: bands to -99 dB of magnitudes and -51 of powers, librosa's to -27 and -19.
    assert decibel(found @ MATRIX, bands) <= min(decibel(peer**power @ MATRIX, bands), -40)
    # spectra to -12.2 and -13.5 dB, librosa's to -9.9 and -7.6
    assert decibel(found ** (1 / power), magnitudes()) <= decibel(peer, magnitudes()) - 1


def test_no_round_makes_the_divergence_worse() -> None:
    bands = magnitudes()[20:30] @ MATRIX
    divergences = []
    for rounds in (0, 1, 2, 3, 5, 8, 13, 30, 100):
        model = inverse_mel(bands, iterations=rounds) @ MATRIX
        divergences.append(float(np.sum(bands * np.log(bands / model) - bands + model)))
    assert (np.diff(divergences) <= 1e-12 * divergences[0]).all()
    assert divergences[-1] <= 1e-9 * divergences[0]


def test_bands_of_a_smooth_spectrum_give_it_back() -> None:
    smooth = np.exp(-((np.arange(513) - 200) ** 2) / 2e4)[None]
    found = inverse_mel(smooth @ MATRIX)
    # measured 0.8 percent between the centres of the first band and the last
    assert_allclose(found[0, 6:500], smooth[0, 6:500], rtol=0, atol=0.02)


def test_silence_is_silence_and_bins_without_a_band_are_0() -> None:
    assert_array_equal(inverse_mel(np.zeros((2, 80))), np.zeros((2, 513)))
    found = inverse_mel(np.ones((1, 20)), f_min=1000, f_max=4000)[0]
    covered = mel_filterbank(20, 16000.0, 513, 1000.0, 4000.0, "slaney", "slaney").any(axis=1)
    assert_array_equal(found > 0, covered)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends_of_the_precision_stay_finite(dtype: Any) -> None:
    for level in (np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny, 1.0, 1e30):
        found = inverse_mel(np.full((1, 80), level, dtype))
        assert found.dtype == dtype
        assert np.isfinite(found).all()
    assert_array_equal(inverse_mel(np.full((1, 80), -1.0)), np.zeros((1, 513)))


def test_rate_and_centre_are_kept() -> None:
    stream = Frames("62.5", "mel", 80, "1/125")
    assert InverseMel().streams(stream) == (Frames("62.5", "magnitude", 513, "1/125"),)
    assert InverseMel(kind="power").streams(stream) == (Frames("62.5", "power", 513, "1/125"),)


@pytest.mark.parametrize("rate", [16000, 22050.5, 11000])
def test_a_rate_that_the_frames_were_not_cut_at_is_refused(rate: float) -> None:
    """The frames come from audio at 22050 Hz with hop 256; with the default rate, all frequencies would be wrong.

    The rate 22050 is taken. A rate above 1,000,000 is refused for any frames.
    """
    stream = Frames(Fraction(22050, 256), "mel", 40)
    with pytest.raises(
        ParameterError, match=rf"inverse_mel\.rate is {rate:g} Hz; 86\.1328 rows per second .* the rate of the"
    ):
        InverseMel(rate=rate).streams(stream)
    InverseMel(rate=22050).streams(stream)
    with pytest.raises(ParameterError, match="rate is 1e[+]?18; it must be a number, above 0, at most 1000000"):
        InverseMel(rate=1e18)


def test_bands_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"inverse_mel\.bands is 80; band \d+ lies between two of 65 bins"):
        InverseMel(n_fft=128).streams(Frames(100, "mel", 80))
    with pytest.raises(ParameterError, match=r"inverse_mel\.f_max is 9000 Hz"):
        InverseMel(f_max=9000).streams(Frames(100, "mel", 80))
    with pytest.raises(ParameterError, match=r"inverse_mel\.f_min is 4000 Hz; it must be below f_max, 4000 Hz"):
        InverseMel(f_min=4000, f_max=4000).streams(Frames(100, "mel", 80))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(inverse_mel, dtype, floats, (9, 80))
