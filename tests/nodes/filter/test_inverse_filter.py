from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter, lfiltic

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.inverse_filter import InverseFilter, inverse_filter
from helpers.prediction import predictors
from helpers.speech import speech

EXAMPLES = [
    Example(InverseFilter(), x=(Audio(16000), speech(3333)), lpc=(Frames(100, "lpc", 17), predictors(16, 160, 3333))),
    # 220.5 samples to a frame: frames begin between samples
    Example(InverseFilter(), x=(Audio(22050), speech(3333)), lpc=(Frames(100, "lpc", 9), predictors(8, 160)[:16])),
]


def by_lfilter(x: Array, coefficients: Array, ratio: Fraction) -> Array:
    """Return the output [n] of scipy's filter A(z) / K, run for one frame at a time.

    The state at the start of a frame is computed from the past inputs. coefficients: rows (gain K, a[1..order]);
    ratio: rows per sample.
    """
    order = coefficients.shape[1] - 1
    row_of = [min(j * ratio.numerator // ratio.denominator, len(coefficients) - 1) for j in range(len(x))]
    e = np.zeros(0)
    while len(e) < len(x):
        begin = len(e)
        row = coefficients[row_of[begin]]
        end = begin + row_of[begin:].count(row_of[begin])
        b = [1.0, *row[1:]]
        past = np.r_[x[:begin][::-1], np.zeros(order)][:order]
        e = np.r_[e, lfilter(b, [1.0], x[begin:end], zi=lfiltic(b, [1.0], [], past))[0] / row[0]]
    return e


@pytest.mark.parametrize("rate", [16000, 22050, 90])
def test_it_is_scipys_filter_with_the_state_made_from_past_inputs(rate: int) -> None:
    coefficients, ratio = predictors(16, 160), Fraction(100, rate)
    x = speech(min(len(speech()), int(len(coefficients) / ratio)))
    e = inverse_filter(x, coefficients, ratio, np.zeros(16))
    assert_allclose(
        e, by_lfilter(x, coefficients, ratio), rtol=0, atol=1e-12 * np.abs(e).max()
    )  # 17 roundings; measured 2e-14


def test_the_residual_of_speech_is_near_white() -> None:
    x = speech()[8000:24000]
    e = inverse_filter(x, predictors(16, 160)[50:150], Fraction(1, 160), np.zeros(16))
    flatness = [np.exp(np.mean(np.log(p))) / np.mean(p) for p in (np.abs(np.fft.rfft(s)) ** 2 for s in (x, e))]
    assert flatness[1] > 10 * flatness[0]  # the definition of the method; measured 23 times flatter


def test_a_frame_without_gain_gives_zeros() -> None:
    x = speech()[9000:9480]
    e = inverse_filter(x, np.array([[2.0, 0.5], [0.0, 0.0], [1e-310, 0.0]]), Fraction(1, 160), np.zeros(1))
    assert (e[160:] == 0).all()
    assert_allclose(e[:160], (x[:160] + 0.5 * np.r_[0, x[:159]]) / 2, rtol=0, atol=1e-16)


def test_it_goes_on_from_past_inputs() -> None:
    x, coefficients, ratio = speech(3200), predictors(16, 160), Fraction(1, 160)
    e = inverse_filter(x, coefficients[:20], ratio, np.zeros(16))
    assert (inverse_filter(x[1600:], coefficients[10:20], ratio, x[1584:1600]) == e[1600:]).all()


def test_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="put a mono 'mix' before it"):
        InverseFilter().streams(Audio(16000, channels=2), Frames(100, "lpc", 17))
