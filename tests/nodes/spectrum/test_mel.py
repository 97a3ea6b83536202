from fractions import Fraction
from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.mel import MelNorm, MelScale, hertz_to_mel, mel_filterbank, mel_to_hertz
from dspgraph_nodes.spectrum.mel import Mel, mel
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(37)
POWER, MAGNITUDE = Frames("62.5", "power", 257, "1/125"), Frames(100, "magnitude", 129)


def rows(n: int, width: int) -> Array:
    """Return new random rows [n, width] over many orders of magnitude; four rows in the middle are 0.

    They are computed by sums and products only, so that they are the same on every machine.
    """
    u = RNG.random((n, width)) ** 2
    found: Array = 1e-8 + 100 * (u * u) * (u * u)
    found[n // 2 : n // 2 + 4] = 0
    return found


EXAMPLES = [
    Example(Mel(bands=40), spectrum=(POWER, rows(80, 257))),
    Example(Mel(bands=17, f_min=133.3, f_max=6855.4, scale="htk", norm="none"), spectrum=(MAGNITUDE, rows(80, 129))),
]

CASES = [(80, 16000, 513, 0, None), (40, 22050, 257, 80, 7600), (128, 48000, 1025, 20, 24000), (1, 16000, 65, 0, None)]


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_filters_are_librosas(
    case: tuple[int, int, int, float, float | None], scale: MelScale, norm: MelNorm
) -> None:
    count, rate, width, f_min, f_max = case
    expected = librosa.filters.mel(
        sr=rate,
        n_fft=2 * (width - 1),
        n_mels=count,
        fmin=f_min,
        fmax=f_max,
        htk=scale == "htk",
        norm=None if norm == "none" else "slaney",
        dtype=np.float64,
    ).T
    found = mel_filterbank(count, rate, width, f_min, f_max or rate / 2, scale, norm)
    # Edges in Hz are rounded to some 1e-15 of themselves, and divided by bands a hundredth as wide.
    assert_allclose(found, expected, rtol=0, atol=2e-13 * expected.max())
    spectrum = rows(20, width)
    bands = mel(spectrum, count, rate, f_min, f_max, scale, norm)
    assert_allclose(bands, spectrum @ expected, rtol=1e-11, atol=1e-15)


def test_the_scales_are_librosas() -> None:
    hertz = np.array([0.0, 440, 999.9, 1000, 1000.1, 8000, 24000])
    for scale in ("slaney", "htk"):
        expected = librosa.hz_to_mel(hertz, htk=scale == "htk")
        assert_allclose(hertz_to_mel(hertz, scale), expected, rtol=1e-14)
        assert_allclose(mel_to_hertz(expected, scale), hertz, rtol=1e-13, atol=1e-12)


def test_float32_is_summed_in_float32() -> None:
    spectrum = rows(20, 513)
    found = mel(spectrum.astype(np.float32))
    assert found.dtype == np.float32
    assert_allclose(found, mel(spectrum), rtol=5e-6)  # up to 30 terms above 0, each rounded to 6e-8


def test_silence_is_0_in_every_band() -> None:
    assert_array_equal(mel(np.zeros((3, 513))), np.zeros((3, 80)))


def test_rate_and_centre_are_kept() -> None:
    assert Mel(bands=40).streams(POWER) == (Frames("62.5", "mel", 40, "1/125"),)


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (
            Mel(bands=300),
            r"mel\.bands is 300; band \d+ lies between two of 257 bins .*: take fewer bands, or a longer n_",
        ),
        (Mel(bands=20, f_max=9000), r"mel\.f_max is 9000 Hz; samples at 16000 Hz have frequencies up to 8000"),
        (Mel(bands=20, f_min=8000), r"mel\.f_min is 8000 Hz; it must be below f_max, 8000 Hz"),
    ],
)
def test_bands_that_hold_nothing_are_refused(node: Mel, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        node.streams(POWER)


@pytest.mark.parametrize("rate", [16000, 22050.5, 11000])
def test_a_rate_that_the_frames_were_not_cut_at_is_refused(rate: float) -> None:
    """The frames come from audio at 22050 Hz with hop 256; with the default rate, all frequencies would be wrong.

    The rate 22050 is taken. A rate above 1,000,000 is refused for any frames.
    """
    stream = Frames(Fraction(22050, 256), "power", 513)
    with pytest.raises(ParameterError, match=rf"mel\.rate is {rate:g} Hz; 86\.1328 rows per second .* the rate of the"):
        Mel(rate=rate).streams(stream)
    Mel(rate=22050).streams(stream)
    with pytest.raises(ParameterError, match="rate is 1e[+]?18; it must be a number, above 0, at most 1000000"):
        Mel(rate=1e18)


def test_rows_of_one_bin_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"mel\.spectrum is 1 wide; mel bands need 2 bins or more"):
        Mel().streams(Frames(100, "power", 1))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(mel, dtype, floats, (9, 513))
