import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal import bark
from dspgraph_nodes.envelope.bark_cepstrum_to_lpc import BarkCepstrumToLpc, bark_cepstrum_to_lpc
from helpers.lpcnet import cepstra, emphasised, features, predictors, windowed

STREAM = Frames(100, "bark_cepstrum", 18)
# Silent for a while. Rounded: what is compared over machines must not begin with the last bit of numpy's logarithm.
QUIET = np.array([*features()[1][50:149].round(9), *[bark.silence_cepstrum(18)] * 5, *features()[1][:20].round(9)])

EXAMPLES = [
    Example(BarkCepstrumToLpc(), cepstrum=(STREAM, QUIET)),
    Example(BarkCepstrumToLpc(order=32, rate=22050, length=512, lpc_gamma=0.9), cepstrum=(STREAM, QUIET)),
    Example(BarkCepstrumToLpc(floor=1e-8), cepstrum=(STREAM, QUIET)),
]


def test_it_is_the_definition_written_out_on_every_frame_of_speech() -> None:
    _, c, expected = features()
    found = bark_cepstrum_to_lpc(c)
    # r is in doubles on both sides, and 1e-4 of it added: condition 1e4 at most; measured 2e-12
    assert_allclose(found[:, 1:], expected[:, 1:], rtol=0, atol=1e-10)
    assert_allclose(found[:, 0], expected[:, 0], rtol=1e-10)


@pytest.mark.parametrize("steep", [1.0, 3.0, 8.0])
def test_the_recursion_stops_where_prediction_has_won_30_decibels(steep: float) -> None:
    draw = np.random.default_rng(5)
    c = np.cumsum(steep * draw.standard_normal((200, 18)) / (1 + np.arange(18)), axis=1)
    expected, found = predictors(c), bark_cepstrum_to_lpc(c)
    if steep > 3:
        assert ((expected == 0).any(axis=1)).sum() > 10
    assert_array_equal(found == 0, expected == 0)
    assert_allclose(found[:, 1:], expected[:, 1:], rtol=0, atol=1e-8)


def test_the_gain_is_the_rms_of_the_residual_of_speech() -> None:
    # The residual of each frame under its window, whose squares sum to 160. The noise that is added and the tails of
    # the triangles make the gain a little larger: measured 0.91 over the clip, 0.78 to 0.99 in single frames.
    x, c, rows = features()
    pairs = zip(windowed(x), rows, strict=True)
    rms = np.array([np.sqrt((lfilter([1, *a[1:]], [1], np.pad(f, (0, 16))) ** 2).sum() / 160) for f, a in pairs])
    gain = bark_cepstrum_to_lpc(c)[:, 0]
    assert 0.88 < np.sqrt((rms**2).mean() / (gain**2).mean()) < 0.94
    assert (rms < gain).all()
    assert (rms > 0.75 * gain).all()


@pytest.mark.parametrize("level", [1e-3, 0.1, 1.0])
def test_noise_of_any_level_gives_its_own_level_as_the_gain(level: float) -> None:
    # White noise has nothing to predict but what 18 bands of one frame happen to show: measured 0.98 of the level.
    noise = level * np.random.default_rng(6).standard_normal(64000)
    rows = bark_cepstrum_to_lpc(cepstra(windowed(noise)))
    assert abs(np.sqrt((rows[:, 0] ** 2).mean()) / level - 0.98) < 0.01


def test_with_a_lower_floor_soft_signals_have_the_predictors_of_loud_ones() -> None:
    frames = windowed(features()[0])[50:150]
    loud = bark_cepstrum_to_lpc(bark.bark_cepstra(frames, 18, 16000))
    soft = bark_cepstrum_to_lpc(bark.bark_cepstra(1e-3 * frames, 18, 16000, floor=1e-8), floor=1e-8)
    assert_allclose(soft[:, 1:], loud[:, 1:], rtol=0, atol=1e-7)  # the bound of the definition above is 1e-8
    assert_allclose(soft[:, 0], 1e-3 * loud[:, 0], rtol=1e-7)
    assert not bark_cepstrum_to_lpc(bark.silence_cepstrum(18, 1e-8)[None], floor=1e-8)[0, 0]


def test_silence_has_no_gain_and_an_impulse_has() -> None:
    for dtype in (np.float32, np.float64):
        silent = np.array([bark.silence_cepstrum(18)] * 2).astype(dtype)
        rows = bark_cepstrum_to_lpc(silent)
        assert_array_equal(rows[:, 0], 0)
        assert_allclose(rows[:, 1:], predictors(silent)[:, 1:], rtol=0, atol=1e-6)
    assert (
        bark_cepstrum_to_lpc(np.repeat(bark.silence_cepstrum(18)[None], 2, axis=0) + 1e-15)[0, 0] < 1e-10
    )  # and no threshold
    # One step of 16 bits anywhere but at the very edge of the window is something.
    x = np.zeros(3200)
    x[1610] = 1 / 32768
    rows = bark_cepstrum_to_lpc(cepstra(windowed(emphasised(x))))
    assert rows[10, 0] > 0
    assert rows[11, 0] > 0
    assert np.delete(rows[:, 0], [10, 11]).max() < 1e-11  # -220 dB: the roundings of that cepstrum of silence


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gain_falls_with_the_level_to_nothing(dtype: type) -> None:
    # White noise, 10 dB softer each time, through the floor of the bands, which is at -96 dB or so.
    noise = np.random.default_rng(6).standard_normal(16000)
    levels = 10 ** (-np.arange(60, 180, 10) / 20)
    rows = [bark_cepstrum_to_lpc(cepstra(windowed(level * noise)).astype(dtype)) for level in levels]
    found = np.array([float(np.sqrt((one[:, 0].astype(np.float64) ** 2).mean())) for one in rows])
    # What rounding of c[0], -12.5, by 1e-6 (float32) or 4e-15 makes of the floor's 7e-5: its root times that.
    rounding = 7e-5 * np.sqrt(np.log(10) * 13 * np.finfo(dtype).eps)
    # Down there nothing is predicted but noise remains to be: the tails of the triangles count; measured 0.99 to 1.044
    assert (found < 1.06 * levels + rounding).all()
    assert (found > 0.97 * levels - rounding).all()


def test_a_power_that_leaves_the_dtype_is_refused() -> None:
    for dtype, c in ((np.float64, 200), (np.float32, 30)):
        with pytest.raises(ValueError, match=f"overflows {np.dtype(dtype)}; the largest c.0. is {c}, .* of full scale"):
            bark_cepstrum_to_lpc(np.full((2, 18), c, dtype))


@pytest.mark.parametrize("rate", [1e7, 1e15])
def test_a_rate_beyond_any_audio_is_refused_at_once(rate: float) -> None:
    with pytest.raises(ParameterError, match=r"bark_cepstrum_to_lpc\.rate is"):
        BarkCepstrumToLpc(rate=rate)


def test_every_frame_of_speech_has_a_stable_filter() -> None:
    for row in bark_cepstrum_to_lpc(features()[1])[::7]:
        assert np.abs(np.roots([1, *row[1:]])).max() < 1


def test_gamma_scales_the_coefficients_by_its_powers() -> None:
    c = features()[1][100:110]
    plain, drawn_in = bark_cepstrum_to_lpc(c), bark_cepstrum_to_lpc(c, lpc_gamma=0.9)
    assert_allclose(drawn_in[:, 1:], plain[:, 1:] * 0.9 ** np.arange(1, 17), rtol=1e-14)
    assert_array_equal(drawn_in[:, 0], plain[:, 0])


def test_another_layout_gives_the_envelope_of_the_same_sound() -> None:
    # 20 bands on 10 kHz beside 18 on 8 kHz, both of noise through a resonance at 1 kHz: the peak stays where it is.
    for rate, length, bands in ((16000, 320, 18), (22050, 440, 20), (48000, 960, 50)):
        pole = 0.95 * np.exp(2j * np.pi * 1000 / rate)
        noise = 0.01 * np.random.default_rng(7).standard_normal(40 * length)
        y = lfilter([1], np.poly([pole, pole.conj()]).real, noise).reshape(40, length)
        rows = bark_cepstrum_to_lpc(bark.bark_cepstra(y * np.hanning(length), bands, rate), 16, rate, length)
        spectra = [1 / np.abs(np.fft.rfft([1, *row[1:]], 4096)) for row in rows]
        peak = np.mean(spectra, axis=0).argmax() * rate / 4096
        assert abs(peak - 1000) < 150, rate


def test_what_no_frame_can_have_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"length is 30; 18 bands need an even length of at least 34 samples"):
        BarkCepstrumToLpc(length=30).streams(STREAM)
    with pytest.raises(ParameterError, match=r"order is 20; frames of 34 samples have an order of at most 17"):
        BarkCepstrumToLpc(length=34, order=20).streams(STREAM)


def test_a_nan_is_no_crash() -> None:
    c = features()[1][:4].copy()
    c[1, 3] = np.nan
    found = bark_cepstrum_to_lpc(c)
    assert_array_equal(found[[0, 2, 3]], bark_cepstrum_to_lpc(features()[1][[0, 2, 3]]))


def test_rate_and_centre_are_kept() -> None:
    stream = STREAM.like(dtype=np.float32)
    assert BarkCepstrumToLpc(order=10).streams(stream) == (stream.like(kind="lpc", width=11),)
