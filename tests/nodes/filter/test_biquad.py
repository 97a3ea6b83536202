from typing import Any, get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, freqz, iirnotch, iirpeak, sosfilt

from dspgraph import Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.biquad import BiquadKind, design
from dspgraph_nodes.filter.biquad import Biquad
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
KINDS: tuple[BiquadKind, ...] = get_args(BiquadKind)

EXAMPLES = [
    Example(Biquad(kind="highpass", frequency=80), x=(Audio(16000), speech(3333))),
    Example(Biquad(kind="low_shelf", frequency=500, gain_db=-9), x=(Audio(44100, channels=2), STEREO)),
    Example(Biquad(kind="peaking", frequency=3000, q=30, gain_db=12), x=(Audio(8000), speech(1000))),
]


def response(kind: BiquadKind, frequency: float, q: float, gain_db: float, at: float) -> complex:
    b0, b1, b2, a1, a2 = design(kind, 2 * np.pi * frequency / 16000, q, gain_db)
    return complex(freqz([b0, b1, b2], [1, a1, a2], worN=[at], fs=16000)[1][0])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_scipys_section(kind: BiquadKind) -> None:
    x = speech(8000)
    coefs = design(kind, 0.7, 2.0, 6.0)
    gain = 6.0 if kind in ("peaking", "low_shelf", "high_shelf") else 0.0
    node = Biquad(kind=kind, frequency=0.7 * 16000 / (2 * np.pi), q=2.0, gain_db=gain)
    found = Graph({"biquad": node}, {"biquad.x": "x"}, {"x": Audio(16000)}, {"y": "biquad"})(x=x)["y"]
    expected = sosfilt(np.insert(coefs, 3, 1.0)[None], x)
    # The same form in the same order; the corner in Hz and back may be one rounding off.
    assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_a_butterworth_is_scipys() -> None:
    kinds: tuple[Any, ...] = ("lowpass", "highpass")
    for kind in kinds:
        b, a = butter(2, 1000, kind, fs=16000)
        assert_allclose(design(kind, 2 * np.pi / 16, 0.5**0.5, 0), [*b, *a[1:]], rtol=0, atol=1e-15)


def test_peaks_and_notches_are_scipys() -> None:
    # scipy's have the bandwidth at -3 dB in Hz on the warped scale of the bilinear transform, the cookbook's q is the
    # analogue one: where the frequency is low they meet, at 160 Hz of 16 kHz to a part in 3000.
    peers: dict[BiquadKind, Any] = {"bandpass": iirpeak, "notch": iirnotch}
    for kind, peer in peers.items():
        b, a = peer(160, 20, fs=16000)
        assert_allclose(design(kind, 2 * np.pi / 100, 20, 0), [*b, *a[1:]], rtol=0, atol=1e-5)


@pytest.mark.parametrize("frequency", [50, 1000, 7500])
@pytest.mark.parametrize("q", [0.5, 0.7071, 5])
def test_every_kind_does_at_its_frequency_what_the_cookbook_says(frequency: float, q: float) -> None:
    def gain(kind: Any, at: float = frequency, gain_db: float = 0.0) -> complex:
        return response(kind, frequency, q, gain_db, at)

    # Within 1e-6: the quotients are of differences such as 1 - cos w, 2e-4 at 50 Hz, squared.
    assert abs(gain("lowpass")) == pytest.approx(q, rel=1e-6)
    assert abs(gain("highpass")) == pytest.approx(q, rel=1e-6)
    assert gain("bandpass") == pytest.approx(1, rel=1e-6)
    assert abs(gain("notch")) < 1e-9
    assert gain("allpass") == pytest.approx(-1, rel=1e-6)
    for decibels in (-20, 6):
        assert abs(gain("peaking", frequency, decibels)) == pytest.approx(10 ** (decibels / 20), rel=1e-6)
        for shelf in ("low_shelf", "high_shelf"):
            assert abs(gain(shelf, frequency, decibels)) == pytest.approx(10 ** (decibels / 40), rel=1e-6)
        assert abs(gain("low_shelf", 0, decibels)) == pytest.approx(10 ** (decibels / 20), rel=1e-6)
        assert abs(gain("high_shelf", 8000, decibels)) == pytest.approx(10 ** (decibels / 20), rel=1e-6)
        for kind, at in (("low_shelf", 8000), ("high_shelf", 0), ("peaking", 0), ("peaking", 8000)):
            assert abs(gain(kind, at, decibels)) == pytest.approx(1, rel=1e-6)
    for kind, passed, stopped in (("lowpass", 0, 8000), ("highpass", 8000, 0)):
        assert abs(gain(kind, passed)) == pytest.approx(1, rel=1e-6)
        assert abs(gain(kind, stopped)) < 1e-9
    for at in (0, 100, 3000, 8000):
        assert abs(gain("allpass", at)) == pytest.approx(1, rel=1e-6)


def test_an_allpass_keeps_the_energy() -> None:
    x = np.pad(speech(8000), (0, 8000))
    node = Biquad(kind="allpass", frequency=500, q=2)
    y = Graph({"biquad": node}, {"biquad.x": "x"}, {"x": Audio(16000)}, {"y": "biquad"})(x=x)["y"]
    assert_allclose((y**2).sum(), (x**2).sum(), rtol=1e-12)  # it rings for exp(-pi 500 t / 2): gone in half a second


def test_every_channel_is_filtered_alike() -> None:
    def run(x: np.ndarray, channels: int) -> np.ndarray:
        node = Biquad(kind="lowpass", frequency=1000)
        return Graph({"biquad": node}, {"biquad.x": "x"}, {"x": Audio(16000, channels)}, {"y": "biquad"})(x=x)["y"]

    for channel in (0, 1):
        assert_array_equal(run(STEREO, 2)[:, channel], run(STEREO[:, channel], 1))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"biquad\.frequency is 8000 Hz; Audio\(16000 Hz\) .* below 8000 Hz"):
        Biquad(kind="lowpass", frequency=8000).streams(Audio(16000))
    with pytest.raises(
        ParameterError, match=r"biquad\.gain_db is 3, but a notch has no gain; peaking, low_shelf, high_shelf have"
    ):
        Biquad(kind="notch", frequency=50, gain_db=3).streams(Audio(16000))
    with pytest.raises(ParameterError, match=r"biquad\.q is 0"):
        Biquad(kind="notch", frequency=50, q=0)
