from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter

from dspgraph import Array, Frames
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.levinson import autocorrelation, levinson
from dspgraph_nodes._kernels.signal.parcor import step_down, step_up
from dspgraph_nodes.excitation.pulse_gain import PulseGain, pulse_gain
from helpers.prediction import predictors

STREAM, ENVELOPE = Frames(100, "f0", 1, Fraction(3, 400)), Frames(100, "lpc", 17, Fraction(1, 200))
LPC = predictors(16, 160)
F0 = 200 + 150 * np.sin(np.arange(len(LPC)) / 17)
F0[np.arange(len(LPC)) % 41 < 13] = 0

EXAMPLES = [
    Example(PulseGain(), f0=(STREAM, F0[:, None]), lpc=(ENVELOPE, LPC)),
    Example(PulseGain(coef=0.85), f0=(STREAM, F0[:, None]), lpc=(ENVELOPE, LPC)),
]


def peak(hertz: float, width: float) -> Array:
    """Return a predictor (1, a1, a2), [1, 3], with one pair of poles, for 16 kHz.

    Its spectrum has a peak at `hertz` Hz that is `width` Hz wide.
    """
    radius = np.exp(-np.pi * width / 16000)
    return np.array([[1.0, -2 * radius * np.cos(2 * np.pi * hertz / 16000), radius**2]])


def power(lpc: Array, x: Array) -> float:
    """Return the variance of the second half of x [n] after the filter 1 / A(z), without the gain.

    lpc: [1, order + 1], the gain, a[1..order].
    """
    y = lfilter([1], np.concatenate(([1], lpc[0, 1:])), x)[len(x) // 2 :]
    return float(np.var(y))


@pytest.mark.parametrize("period", [32, 50, 80, 160])
@pytest.mark.parametrize("lpc", [peak(1000, 50), peak(1010, 50), peak(520, 200), LPC[200:201]], ids=range(4))
def test_pulses_with_this_gain_are_as_strong_as_white_noise(lpc: Array, period: int) -> None:
    pulses = np.zeros(period * 400)
    pulses[::period] = np.sqrt(period)
    impulse = lfilter([1], np.concatenate(([1], lpc[0, 1:])), np.eye(1, 16000)[0])
    ((f0, gain),) = pulse_gain(np.array([16000 / period]), lpc)
    assert f0 == 16000 / period
    # Of an even period, the line at rate / 2 has half the power that the formula counts: far below 1 % here.
    assert_allclose(gain**2 * power(lpc, pulses), (impulse**2).sum(), rtol=0.01)


@pytest.mark.parametrize("coef", [0.5, 0.85])
def test_with_a_deemphasis_the_powers_behind_it_are_equal(coef: float) -> None:
    lpc, period = LPC[200:201], 80
    behind = np.convolve(np.concatenate(([1], lpc[0, 1:])), [1, -coef])
    pulses = np.zeros(period * 400)
    pulses[::period] = np.sqrt(period)
    impulse = lfilter([1], behind, np.eye(1, 16000)[0])
    ((_, gain),) = pulse_gain(np.array([16000 / period]), lpc, coef=coef)
    assert abs(gain - pulse_gain(np.array([16000 / period]), lpc)[0, 1]) > 0.01
    assert_allclose(
        gain**2 * power(np.concatenate(([[1]], behind[None, 1:]), axis=1), pulses), (impulse**2).sum(), rtol=0.01
    )


def test_a_harmonic_that_meets_a_narrow_peak_is_softened_and_one_that_misses_it_is_not() -> None:
    lpc = peak(1000, 50)
    meets, misses = pulse_gain(np.array([250.0]), lpc)[0, 1], pulse_gain(np.array([400.0]), lpc)[0, 1]
    # Alone, a line at the top of a resonance of 50 Hz has pi / 2 * 50 Hz of its noise for the 250 Hz between lines.
    assert meets == pytest.approx(np.sqrt(np.pi / 2 * 50 / 250), rel=0.02)
    assert misses > 1.5


def test_unvoiced_frames_and_jumps_of_the_pitch_have_the_gain_1() -> None:
    f0 = np.array([0.0, 250, 260, 300, 300, np.nan, 250, -1, 9000, 1e-300])
    gain = pulse_gain(f0, np.repeat(peak(1000, 50), len(f0), axis=0), before=0)[:, 1]
    assert_array_equal(gain == 1, [True, False, False, True, False, True, False, True, True, True])
    assert pulse_gain(f0[1:2], peak(1000, 50), before=300)[0, 1] == 1


def test_the_gain_is_limited_both_ways() -> None:
    lpc = peak(1000, 1)
    assert pulse_gain(np.array([500.0]), lpc, most=2.0)[0, 1] == 0.5
    assert pulse_gain(np.array([400.0]), lpc, most=2.0)[0, 1] == 2


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_float32_and_integers_have_the_gain_of_their_values(dtype: Any) -> None:
    f0, lpc = np.array([200, 210, 0], dtype), np.repeat(np.array([[1, 0, 0]], dtype), 3, axis=0)
    found = pulse_gain(f0, lpc)
    assert found.dtype == np.result_type(dtype, np.float32)
    # Without a filter, the power of k lines is 2 * f0 * k / rate: 40 lines of 200 Hz have all of it, 38 of 210 Hz not.
    assert_allclose(found, [(200, 1), (210, np.sqrt(8000 / 210 / 38)), (0, 1)], rtol=1e-6)


def test_a_predictor_that_float32_made_unstable_is_taken_as_stable() -> None:
    """As in `lpc_to_parcor`: the poles of a tone are on the unit circle, and rounding moves them outside.

    The expected gain is that of the nearest stable predictor, whose poles are moved inwards. In float64 the same
    predictor is refused.
    """
    lpc = np.array([[1, -1.9, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    gain = pulse_gain(np.array([100.0]), lpc, most=1e6)[0, 1]
    expected = pulse_gain(np.array([100.0]), step_up(step_down(lpc)), most=1e6)[0, 1]
    assert_allclose(gain, expected, rtol=1e-3)
    assert expected > 10
    with pytest.raises(ValueError, match="row 0 is no stable predictor"):
        pulse_gain(np.array([100.0]), lpc.astype(np.float64))


@pytest.mark.parametrize("coef", [0.0, 0.97])
def test_a_gain_is_that_of_the_values_of_the_predictor_whatever_its_dtype(coef: float) -> None:
    """The gain for rows in float32 equals that for the same values in float64, bit for bit.

    `coef` multiplies the predictor by 1 - coef / z. If this product were rounded to float32, poles that are near each
    other, such as the poles of two tones, would move.
    """
    t = np.arange(512) / 16000
    x = np.cos(2 * np.pi * 400 * t) + np.cos(2 * np.pi * 800 * t) + 1e-4 * np.random.default_rng(0).standard_normal(512)
    rows = levinson(autocorrelation(x[None], 16), 0.0).astype(np.float32)
    wide = pulse_gain(np.array([200.0]), rows.astype(np.float64), coef=coef, most=1e6)
    assert_array_equal(pulse_gain(np.array([200.0]), rows, coef=coef, most=1e6), wide)


def test_an_unstable_predictor_is_named() -> None:
    with pytest.raises(ValueError, match="row 7 is no stable predictor"):
        pulse_gain(np.array([100.0]), np.array([[1.0, 0.0, 2.0]]), first_row=7)


def test_kind_and_centre_are_those_of_the_pulses() -> None:
    assert PulseGain().streams(STREAM, ENVELOPE) == (STREAM.like(kind="pulses", width=2),)
