import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.pitch.lpcnet_pitch import LpcnetPitch, lpcnet_pitch
from helpers.lpcnet import cepstra, emphasised, features, pitches, predictors, windowed

AUDIO = Audio(16000)
STREAM = Frames(100, "lpc", 17)


def analysed(x: Array) -> tuple[Array, Array]:
    """Return a signal x [n] after pre-emphasis, and its predictors [ceil(n / 160), 17], rows (gain, a[1..16])."""
    y = emphasised(x)
    return y, predictors(cepstra(windowed(y)))


def fading() -> Array:
    """Return 8037 samples of speech after pre-emphasis: 1000 of them are silent, and the last frame is not full."""
    x = features()[0][30000:38037].copy()
    x[4000:5000] = 0
    return x


# Rounded: what is compared over machines must not begin with the last bit of numpy's logarithm.
EXAMPLES = [
    Example(LpcnetPitch(), x=(AUDIO, fading()), lpc=(STREAM, predictors(cepstra(windowed(fading()))).round(9))),
    Example(
        LpcnetPitch(),
        x=(Audio(22050), features()[0][8000:10005]),
        lpc=(Frames(Audio(22050).rate / 160, "lpc", 2), features()[2][50:63, :2].round(9)),
    ),
    Example(
        LpcnetPitch(ahead=3),
        x=(AUDIO, fading()[:4000]),
        lpc=(STREAM, predictors(cepstra(windowed(fading()[:4000]))).round(9)),
    ),
]


def harmonics(period: float, count: int = 16000) -> Array:
    phase = 2 * np.pi * np.arange(count) / period
    x: Array = sum((np.cos(k * phase) / k for k in range(1, int(0.45 * period))), np.zeros(count))
    x *= 0.3 / np.abs(x).max()
    return x


def test_it_is_the_definition_written_out() -> None:
    x, _, rows = features()
    x, rows = x[16000:48000], rows[100:300]
    pitch, correlation = lpcnet_pitch(x, rows)
    expected = pitches(x, rows)
    assert_allclose(pitch[:, 0], expected[0], rtol=0, atol=1e-14)
    assert_allclose(correlation[:, 0], expected[1], rtol=0, atol=1e-12)  # sums of 80 products; measured 2e-15


def test_it_is_what_the_published_program_found_on_the_recording() -> None:
    """Pitch and correlation equal those that the C program found in every tenth frame from 60 to 370.

    The program was run in its mode for single frames, without dither and high-pass filter.
    """
    pitch = [
        0.63, 0.26, 0.5, 0.12, 0.21, 0.4, 0.29, 0.37, 0.52, 0.89, 0.93, 0.62, 0.95, 1.07, 0.72, 0.66,
        1.16, 0.73, 0.88, 0.31, 0.46, 0.75, 1.0, 1.14, 1.25, 0.8, 0.87, 1.03, 1.66, 1.95, 1.48, 1.44,
    ]  # fmt: skip
    correlation = [
        -0.260921, -0.117919, 0.281129, 0.389902, 0.115207, -0.341054, 0.233885, -0.294211,
        -0.183843, -0.231023, -0.340985, 0.225863, -0.276725, -0.399852, 0.112786, 0.120716,
        -0.42057, -0.270404, -0.267442, 0.404858, 0.0623341, 0.21311, -0.413881, -0.194838,
        -0.264441, -0.212606, -0.0234113, 0.0222592, 0.0809101, -0.347438, -0.169589, -0.304193,
    ]  # fmt: skip
    x, _, rows = features()
    found = lpcnet_pitch(x, rows)
    assert_allclose(found[0][60:380:10, 0], pitch, rtol=0, atol=1e-6)  # whole hundredths
    assert_allclose(found[1][60:380:10, 0], correlation, rtol=0, atol=3e-5)  # its floats; measured 1.2e-5


@pytest.mark.parametrize("period", [40, 64, 100, 160, 230])
def test_the_period_of_a_tone_is_found(period: int) -> None:
    pitch, correlation = lpcnet_pitch(*analysed(harmonics(period)))
    assert_allclose(pitch[10:], (2 * period - 200) / 100, rtol=0, atol=1e-12)
    # A whole period correlates to 1; the path may lag a little where a half frame holds little: measured 0.37 to 0.51.
    assert ((correlation[10:] > 0.35) & (correlation[10:] < 0.52)).all()
    assert np.median(correlation[10:]) > 0.498


@pytest.mark.parametrize("period", [252, 253, 254, 255, 256])
def test_the_longest_periods_are_the_definitions_too(period: int) -> None:
    # There is nothing to interpolate with beyond a lag of 252; T1 + T2 is 510 at most.
    x, rows = analysed(harmonics(period, 6400))
    pitch, correlation = lpcnet_pitch(x, rows)
    expected = pitches(x, rows)
    assert_allclose(pitch[:, 0], expected[0], rtol=0, atol=1e-12)
    assert_allclose(correlation[:, 0], expected[1], rtol=0, atol=1e-9)
    assert pitch.max() == 3.1 if period > 254 else pitch[10:].max() <= (2 * period - 200) / 100


def test_a_silence_at_the_start_has_the_largest_sum_of_lags() -> None:
    x, rows = analysed(np.r_[np.zeros(3200), harmonics(100, 3200)])
    pitch, _ = lpcnet_pitch(x, rows)
    assert_array_equal(pitch[:20], 3.1)
    assert_allclose(pitch[:, 0], pitches(x, rows)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [6, 8])
def test_another_number_of_predictors_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"1000 samples take 7; found {count}"):
        lpcnet_pitch(np.zeros(1000), np.zeros((count, 17)))


def test_a_leap_of_the_pitch_is_followed_as_the_definition_does() -> None:
    # Speech moves too little for it: only leaps show what one costs, and the best total it is paid from.
    leaps = np.concatenate([harmonics(period, 1600) for period in (60, 150, 40, 100, 220, 45)])
    x, rows = analysed(leaps)
    pitch, correlation = lpcnet_pitch(x, rows)
    expected = pitches(x, rows)
    assert len(np.unique(expected[0])) > 5
    assert_allclose(pitch[:, 0], expected[0], rtol=0, atol=1e-12)
    assert_allclose(correlation[:, 0], expected[1], rtol=0, atol=1e-9)


def test_silence_has_the_longest_lags_and_no_correlation() -> None:
    pitch, correlation = lpcnet_pitch(np.zeros(4800), np.zeros((30, 17)))
    assert_array_equal(pitch, 3.1)  # (510 - 200) / 100: two lags of 256, taken as 510
    assert_array_equal(correlation, -0.5)


def test_the_pitch_before_a_silence_is_kept_through_it() -> None:
    # Weights are 0 there: every path costs only its moves.
    x = harmonics(100)
    x[8000:12000] = 0
    pitch, correlation = lpcnet_pitch(*analysed(x))
    assert np.abs(pitch[54]) < 0.05  # the edge moves it by a sample
    assert_array_equal(pitch[54:74], np.full((20, 1), pitch[54, 0]))
    assert_array_equal(correlation[54:74], -0.5)


@pytest.mark.parametrize("kind", ["square", "noise", "constant", "alternating", "narrow"])
def test_int16_extremes_are_the_definition_too(kind: str) -> None:
    draw, n = np.random.default_rng(8), np.arange(3300)
    signals = {
        "square": np.where(n // 50 % 2, -1.0, 32767 / 32768),
        "noise": draw.choice([-1.0, 32767 / 32768], 3300),
        "constant": np.full(3300, -1.0),
        "alternating": (-1.0) ** n,
        "narrow": np.round(300 * np.sin(0.02 * n) * draw.uniform(0.5, 1, 3300)) / 32768,
    }
    x, rows = analysed(signals[kind])
    pitch, correlation = lpcnet_pitch(x, rows)
    expected = pitches(x, rows)
    assert_allclose(pitch[:, 0], expected[0], rtol=0, atol=1e-12)
    assert_allclose(correlation[:, 0], expected[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [1, 79, 80, 81, 159, 160, 161, 333])
def test_a_signal_of_any_length_has_a_row_for_every_frame(n: int) -> None:
    x = features()[0][20000 : 20000 + n]
    rows = predictors(cepstra(windowed(x)))
    pitch, correlation = lpcnet_pitch(x, rows)
    assert pitch.shape == correlation.shape == (-(-n // 160), 1)
    expected = pitches(x, rows)
    assert_allclose(pitch[:, 0], expected[0], rtol=0, atol=1e-12)
    assert_allclose(correlation[:, 0], expected[1], rtol=0, atol=1e-12)


def test_a_nan_is_no_crash() -> None:
    x, rows = features()[0][:1600].copy(), features()[2][:10].copy()
    x[500], rows[2, 3] = np.nan, np.nan
    lpcnet_pitch(x, rows)


@pytest.mark.parametrize(
    ("x", "lpc", "message"),
    [
        (Audio(16000, channels=2), STREAM, "put a mono 'mix' before it"),
        (AUDIO, STREAM.like(rate=AUDIO.rate / 80), "a predictor every 160 samples; found .* with hop 160"),
        (AUDIO, Frames(100, "lpc", 17, "1/200"), "cut the frames with centre 0"),
    ],
)
def test_streams_that_do_not_line_up_are_refused(x: Audio, lpc: Frames, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LpcnetPitch().streams(x, lpc)


def test_both_rows_are_one_wide_at_the_rate_of_the_predictors() -> None:
    pitch, correlation = LpcnetPitch().streams(AUDIO, STREAM)
    assert pitch == STREAM.like(kind="pitch", width=1)
    assert correlation == STREAM.like(kind="correlation", width=1)


@pytest.mark.parametrize("ahead", [1, 4])
def test_later_frames_decide(ahead: int) -> None:
    """The pitch of frame k lies on the best path of lags up to frame k + ahead, as a plain search in numpy finds it.

    It is not that of the best path up to frame k.
    """
    x, _, rows = features()
    x, rows = x[16000:24000], rows[100:150]
    found = lpcnet_pitch(x, rows, ahead)
    expected = pitches(x, rows, ahead)
    assert_allclose(found[0][:, 0], expected[0], rtol=0, atol=1e-14)
    assert_allclose(found[1][:, 0], expected[1], rtol=0, atol=1e-12)  # as above
    assert np.abs(found[0] - lpcnet_pitch(x, rows)[0]).max() > 0.1
