import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import idct

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal import bark
from dspgraph_nodes.envelope.bark_cepstrum import BarkCepstrum, bark_cepstrum
from helpers.lpcnet import COMPENSATION, EDGES, cepstra, features, windowed
from helpers.speech import speech

STREAM = Frames(100, "wave", 320)


def fading(count: int) -> Array:
    """Return windowed frames [count, 320] of speech with pre-emphasis, one for every 160 samples.

    The signal is silent from its middle to 5/8 of its length.
    """
    x = features()[0][8000 : 8000 + 160 * count].copy()
    x[80 * count : 100 * count] = 0
    return windowed(x)


EXAMPLES = [
    Example(BarkCepstrum(), frames=(STREAM, fading(99))),
    Example(BarkCepstrum(bands=50, rate=48000), frames=(STREAM.like(width=960), fading(99).repeat(3, axis=1))),
    Example(BarkCepstrum(floor=1e-8), frames=(STREAM, fading(99))),
    Example(BarkCepstrum(bands=2, rate=50.5), frames=(STREAM.like(width=2), fading(99)[:, 150:152])),
]


def test_it_is_the_definition_written_out_on_every_frame_of_speech() -> None:
    x, expected, _ = features()
    assert_allclose(bark_cepstrum(windowed(x)), expected, rtol=0, atol=1e-12)  # 1e3 roundings; measured 1e-14


def test_float32_frames_have_the_cepstra_of_their_values() -> None:
    frames = windowed(features()[0]).astype(np.float32)
    assert_array_equal(bark_cepstrum(frames), bark_cepstrum(frames.astype(np.float64)).astype(np.float32))


@pytest.mark.parametrize("amplitude", [0.0, 1.0, 32768.0])
def test_extremes_are_the_definition_too(amplitude: float) -> None:
    draw = np.random.default_rng(4)
    n = np.arange(320)
    signals = [np.ones(320), (-1.0) ** n, np.sin(0.3 * n), np.sign(np.sin(0.1 * n)), n == 7, draw.uniform(-1, 1, 320)]
    frames = windowed(np.concatenate(signals)) * (amplitude / 32768)
    assert_allclose(bark_cepstrum(frames), cepstra(frames), rtol=0, atol=1e-11)


def test_silence_has_every_band_at_its_floor() -> None:
    # L = -2, so c[0] = -2 sqrt(18) - 4
    expected = np.r_[-2 * np.sqrt(18) - 4, np.zeros(17)]
    assert_allclose(bark_cepstrum(np.zeros((1, 320)))[0], expected, rtol=0, atol=1e-14)
    assert_array_equal(bark.silence_cepstrum(18), bark_cepstrum(np.zeros((1, 320)))[0])


def test_a_floor_in_proportion_to_the_power_changes_the_level_only() -> None:
    frames = fading(99)
    soft = bark_cepstrum(1e-3 * frames, floor=1e-8)
    soft[:, 0] += 6 * np.sqrt(18)  # log10(1e6) in every band
    assert_allclose(soft, bark_cepstrum(frames, floor=1e-2), rtol=0, atol=1e-11)
    assert_allclose(bark_cepstrum(frames[:1] * 0, floor=1e-8)[0, 0], -8 * np.sqrt(18) - 4, rtol=0, atol=1e-13)


def test_a_band_lies_at_most_25_decibels_below_the_one_under_it() -> None:
    # A loud tone at 200 Hz: above it the bands come down in steps of 2.5, until they are 8 below the strongest.
    frames = 0.9 * np.sin(2 * np.pi * 4 / 320 * np.arange(320)) * windowed(np.ones(480))[1:2]
    values = bark_cepstrum(frames)[0]
    values[0] += 4
    levels = idct(values, norm="ortho")
    assert levels.argmax() == 1
    assert_allclose(np.diff(levels[2:5]), [-2.5, -2.5], rtol=0, atol=1e-12)
    assert_allclose(levels[5:], levels[1] - 8, rtol=0, atol=1e-12)


def test_18_bands_at_16_kilohertz_are_lpcnets() -> None:
    assert_array_equal(bark.band_peaks(18, 16000, 320), EDGES)
    assert_allclose(4 / bark._triangles(18, 16000, 320).sum(axis=0), COMPENSATION, rtol=1e-14)


def test_21_bands_to_20_kilohertz_are_celts() -> None:
    # RFC 6716, table 55: the start of every band and the stop of the last
    expected = [0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 2000, 2400, 2800, 3200, 4000, 4800, 5600, 6800, 8000]
    assert_array_equal(bark.band_peaks(22, 40000, 800) * 50, [*expected, 9600, 12000, 15600, 20000])


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("bands", [2, 3, 18, 50, 161])
@pytest.mark.parametrize("length", [320, 322, 1920])
def test_every_layout_rises_from_0_to_the_last_bin(bands: int, rate: int, length: int) -> None:
    edges = bark.band_peaks(bands, rate, length)
    assert edges[0] == 0
    assert edges[-1] == length // 2
    assert (np.diff(edges) >= 1).all()


def test_bands_that_do_not_crowd_lie_on_one_scale_at_every_rate() -> None:
    # At 8 kHz the scale of 16 kHz ends at 4 kHz, its point 13.
    assert_array_equal(bark.band_peaks(14, 8000, 160) * 50, EDGES[:14] * 50)


def test_what_has_too_few_bins_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"bands is 162; .* an even length of at least 322 samples; found 320"):
        BarkCepstrum(bands=162).streams(STREAM)
    with pytest.raises(ParameterError, match="even length of at least 34 samples; found 401"):
        BarkCepstrum().streams(STREAM.like(width=401))


def test_a_nan_in_one_frame_stays_there() -> None:
    frames = windowed(speech(3200))
    expected = bark_cepstrum(frames)
    frames[7, 100] = np.nan
    found = bark_cepstrum(frames)
    assert np.isnan(found[7]).all()
    assert_array_equal(np.delete(found, 7, axis=0), np.delete(expected, 7, axis=0))


def test_rate_and_centre_are_kept() -> None:
    stream = STREAM.like(dtype=np.float32)
    assert BarkCepstrum(bands=20).streams(stream) == (stream.like(kind="bark_cepstrum", width=20),)


@pytest.mark.parametrize("rate", [1e7, 1e15])
def test_a_rate_beyond_any_audio_is_refused_at_once(rate: float) -> None:
    with pytest.raises(ParameterError, match=r"bark_cepstrum\.rate is"):
        BarkCepstrum(rate=rate)
