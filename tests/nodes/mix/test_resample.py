import math
import zlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import soxr
from scipy.signal import resample_poly

from dspgraph import Array, Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.polyphase import bank, half_width
from dspgraph_nodes.mix.resample import Resample
from helpers.speech import speech

PAIRS = [(16000, 48000), (48000, 16000), (44100, 16000), (22050, 16000), (16000, 22050), (16000, 11025)]

EXAMPLES = [
    *(Example(Resample(rate=after), x=(Audio(Fraction(before)), speech(4001))) for before, after in PAIRS),
    Example(Resample(rate=16000), x=(Audio(Fraction(22050), channels=2), speech(8002).reshape(-1, 2))),
    Example(Resample(rate=8000.5), x=(Audio(Fraction(16001)), speech(4001))),
    Example(Resample(rate=16000), x=(Audio(Fraction(16000)), speech(4001))),
]

pairs = pytest.mark.parametrize(("before", "after"), PAIRS)


def resampled(x: Array, before: int, after: int) -> Array:
    stream = Audio(Fraction(before), channels=x.shape[1] if x.ndim == 2 else 1, dtype=x.dtype)
    node = Resample(rate=after)
    state, y = node.step(node.start(stream), x)
    return np.concatenate((y, *node.flush(state)))


def decibel(error: Array, reference: Array) -> float:
    """Return the power of an error relative to a reference, in dB, without the first and the last 1500 samples.

    The edges of the signal affect fewer samples: a filter reaches at most 286 samples to each side.
    """
    inner = slice(1500, -1500)
    return float(10 * np.log10(np.mean(error[inner] ** 2) / np.mean(reference[inner] ** 2)))


def sine(hertz: float, rate: int, n: int) -> Array:
    return np.sin(2 * np.pi * hertz * np.arange(n) / rate + 0.3)


def below(x: Array, band: float) -> Array:
    """Return x without the frequencies above `band` times half the rate of x."""
    spectrum = np.fft.rfft(x)
    spectrum[int(band * len(spectrum)) :] = 0
    return np.fft.irfft(spectrum, len(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("band", [0.01, 0.5, 0.9, 0.913])
@pairs
def test_a_tone_in_the_band_is_that_tone_at_the_new_rate(before: int, after: int, band: float, dtype: Any) -> None:
    # Level, delay and every image at once: the same sine, sampled at k / after. Measured -124.8 dB at worst, at 0.913 in float32.
    hertz, n = band * min(before, after) / 2, before // 2
    y = resampled(sine(hertz, before, n).astype(dtype), before, after)
    assert len(y) == math.ceil(Fraction(n * after, before))
    assert y.dtype == dtype
    expected = sine(hertz, after, len(y))
    assert decibel(y - expected, expected) < -124


@pytest.mark.parametrize("band", [1.0, 1.02, 1.2, 1.37])
@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_what_the_new_rate_cannot_hold_is_gone(before: int, after: int, band: float) -> None:
    # The stop band begins at the new Nyquist frequency: measured -130 dB at worst.
    x = sine(band * after / 2, before, before)
    assert decibel(resampled(x, before, after), x) < -125


@pytest.mark.parametrize("band", [0.93, 0.96, 0.99])
@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[0] < pair[1]])
def test_a_tone_in_the_transition_band_leaves_no_image(before: int, after: int, band: float) -> None:
    # What is left beside the tone itself, in whatever level and phase it comes, is image: -127.9 dB measured.
    hertz = band * before / 2
    x = sine(hertz, before, before)
    y = resampled(x, before, after)[1500:-1500]
    angle = 2 * np.pi * hertz * np.arange(1500, 1500 + len(y)) / after
    tone = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    image = y - tone @ np.linalg.lstsq(tone, y, rcond=None)[0]
    assert 10 * np.log10(np.mean(image**2) / np.mean(x**2)) < -125


def prototype(up: int, down: int) -> Array:
    """Return the taps of the low-pass filter whose phases are the rows of `bank(up, down)`.

    The filter runs at `up` times the input rate, has the gain `up`, and is symmetric about the middle tap.
    """
    rows = bank(up, down, "float64")
    w = half_width(up, down)
    taps: Array = np.concatenate((rows[:, ::-1][:, : 2 * w].T.ravel(), [0.0]))
    return taps


@pytest.mark.parametrize(("up", "down"), [(3, 1), (1, 3), (160, 441), (441, 320), (441, 640), (160, 147)])
def test_the_response_is_flat_and_the_filter_symmetric(up: int, down: int) -> None:
    # Measured 4.2e-6 dB of ripple up to 0.913, -126.46 dB from 1 on, over these ratios.
    taps = prototype(up, down)
    np.testing.assert_allclose(taps, taps[::-1], rtol=0, atol=1e-15)
    response = np.abs(np.fft.rfft(taps, 1 << math.ceil(math.log2(16 * len(taps))))) / up
    frequency = np.linspace(0, max(up, down), len(response))  # of the lower Nyquist frequency
    assert np.abs(20 * np.log10(response[frequency <= 0.913])).max() < 5e-6
    assert 20 * np.log10(response[frequency >= 1].max()) < -126


def test_the_taps_have_the_same_bits_on_every_machine() -> None:
    # Recorded from the line itself: IEEE sums and products only, so any other value is another formula.
    assert zlib.crc32(bank(160, 441, "float64").astype("<f8").tobytes()) == 381320889


@pairs
def test_it_is_scipys_filter_with_the_same_taps(before: int, after: int) -> None:
    # The same sums in another order: measured 5.4e-15 for samples of RMS 1.
    up, down = Fraction(after, before).as_integer_ratio()
    x = np.random.default_rng(0).standard_normal(5003)
    theirs = resample_poly(x, up, down, window=prototype(up, down) / up)  # type: ignore[call-overload]  # stubs: no taps
    np.testing.assert_allclose(resampled(x, before, after), theirs, rtol=0, atol=2e-14)


@pytest.mark.parametrize("voice", [False, True])
@pairs
def test_it_agrees_with_soxr(before: int, after: int, voice: bool) -> None:
    # soxr's HQ keeps to 0.01 dB only, so to half the band, and at 3 : 1, where it is flatter, to nine tenths of it.
    # Measured: -119.1 dB at worst, noise from 22050 to 16000 Hz; -132.6 at 3 : 1.
    threefold = max(before, after) == 3 * min(before, after)
    x = np.resize(speech(), 2 * before) if voice else np.random.default_rng(1).standard_normal(2 * before)
    x = below(x, (0.9 if threefold else 0.5) * min(1.0, after / before))
    y = resampled(x, before, after)
    theirs = soxr.resample(x, before, after, "HQ")
    n = min(len(y), len(theirs))
    assert decibel(y[:n] - theirs[:n], y[:n]) < (-130 if threefold else -115)


def test_channels_are_resampled_apart() -> None:
    x = speech(8002).reshape(-1, 2)
    y = resampled(x, 44100, 16000)
    for channel in (0, 1):
        assert np.array_equal(y[:, channel], resampled(x[:, channel].copy(), 44100, 16000))


def test_equal_rates_pass_unchanged_and_at_once() -> None:
    x = speech(1000)
    assert np.array_equal(resampled(x, 16000, 16000), x)
    assert Resample(rate=16000).lookahead(Audio(Fraction(16000))) == 0


@pairs
def test_the_lookahead_is_the_longest_wait_for_a_sample(before: int, after: int) -> None:
    # Fed sample by sample: sample k, whose span ends at (k + 1) / after, comes out when n / before have gone in.
    node, stream = Resample(rate=after), Audio(Fraction(before))
    state, waits = node.start(stream), list[Fraction]()
    for n in range(1, 1500):
        state, y = node.step(state, np.zeros(1))
        waits += [Fraction(n, before) - Fraction(len(waits) + k + 1, after) for k in range(len(y))]
    assert max(waits) == node.lookahead(stream)
    assert max(waits) < Fraction(61, 10000) * Fraction(16000, min(before, after))  # 96 samples of the lower rate


@pytest.mark.parametrize(("rate", "way_out"), [(16001, 16000), (15999, 16000), (16000.5, 16000)])
def test_a_ratio_of_too_many_phases_is_refused_with_the_nearest_that_is_not(rate: float, way_out: int) -> None:
    with pytest.raises(ParameterError, match=f"take {way_out} Hz"):
        Graph({"r": Resample(rate=rate)}, {"r.x": "x"}, {"x": Audio(Fraction(44100))}, {"y": "r"})
    Graph({"r": Resample(rate=way_out)}, {"r.x": "x"}, {"x": Audio(Fraction(44100))}, {"y": "r"})


def test_a_rate_with_no_simple_ratio_near_it_is_refused_at_once() -> None:
    with pytest.raises(ParameterError, match="take a rate in a simpler ratio to it"):
        Resample(rate=16000).streams(Audio(Fraction("16000.123457")))
