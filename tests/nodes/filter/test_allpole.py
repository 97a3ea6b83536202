from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter, lfiltic

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.allpole import Allpole, allpole
from helpers.prediction import predictors

NOISE = np.random.default_rng(6).standard_normal(30000)


EXAMPLES = [
    Example(Allpole(), x=(Audio(16000), NOISE[:3333]), lpc=(Frames(100, "lpc", 17), predictors(16, 160, 3333))),
    # 220.5 samples to a frame: frames begin between samples
    Example(Allpole(), x=(Audio(22050), NOISE[:3333]), lpc=(Frames(100, "lpc", 9), predictors(8, 160)[:16])),
    # more frames than samples
    Example(
        Allpole(),
        x=(Audio(1000), NOISE[:3333]),
        lpc=(Frames(1500, "lpc", 3), np.tile(predictors(2, 16)[:1000], (5, 1))),
    ),
]


def by_lfilter(x: Array, coefficients: Array, ratio: Fraction) -> Array:
    """Return the output [n] of scipy's filter K / A(z), run for one frame at a time.

    The state at the start of a frame is computed from the past outputs. coefficients: rows (gain K, a[1..order]);
    ratio: rows per sample.
    """
    order = coefficients.shape[1] - 1
    row_of = [min(j * ratio.numerator // ratio.denominator, len(coefficients) - 1) for j in range(len(x))]
    y = np.zeros(0)
    while len(y) < len(x):
        begin = len(y)
        row = coefficients[row_of[begin]]
        end = begin + row_of[begin:].count(row_of[begin])
        a = [1.0, *row[1:]]
        state = lfiltic([row[0]], a, np.r_[y[::-1], np.zeros(order)][:order])
        y = np.r_[y, lfilter([row[0]], a, x[begin:end], zi=state)[0]]
    return y


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 8000, 90])
def test_it_is_scipys_filter_with_the_state_made_from_past_outputs(rate: int) -> None:
    coefficients, ratio = predictors(16, 160), Fraction(100, rate)
    x = NOISE[: min(len(NOISE), int(len(coefficients) / ratio))]
    y = allpole(x, coefficients, ratio, np.zeros(16))
    # Roundings of 1.1e-16 that ring on in the poles of speech; measured 3e-14 of the peak.
    assert_allclose(y, by_lfilter(x, coefficients, ratio), rtol=0, atol=1e-12 * np.abs(y).max())


def test_sample_j_lies_in_the_frame_of_its_time() -> None:
    gains = np.c_[np.arange(1.0, 9.0), np.zeros(8)]  # no feedback: the output shows the frame
    y = allpole(np.ones(1764), gains, Fraction(100, 22050), np.zeros(1))
    starts = 1 + np.flatnonzero(np.diff(y))
    assert starts.tolist() == [221, 441, 662, 882, 1103, 1323, 1544]  # ceil(220.5 k)


def test_it_goes_on_from_past_outputs() -> None:
    coefficients, ratio = predictors(16, 160), Fraction(1, 160)
    y = allpole(NOISE[:3200], coefficients[:20], ratio, np.zeros(16))
    rest = allpole(NOISE[1600:3200], coefficients[10:20], ratio, y[1584:1600])
    assert (rest == y[1600:]).all()


def test_a_silent_frame_is_silent_at_once() -> None:
    y = allpole(NOISE[:320], np.array([[1.0, -0.9], [0.0, 0.0]]), Fraction(1, 160), np.zeros(1))
    assert (y[160:] == 0).all()


def test_float32_is_computed_in_float32() -> None:
    x, coefficients = NOISE[:3200].astype(np.float32), predictors(16, 160).astype(np.float32)
    y = allpole(x, coefficients, Fraction(1, 160), np.zeros(16, np.float32))
    exact = allpole(x.astype(np.float64), coefficients.astype(np.float64), Fraction(1, 160), np.zeros(16))
    assert y.dtype == np.float32
    assert_allclose(y, exact, rtol=0, atol=1e-5 * np.abs(exact).max())  # measured 9e-7


def test_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="put a mono 'mix' before it"):
        Allpole().streams(Audio(16000, channels=2), Frames(100, "lpc", 17))
