"""Relative scales, compared with their formula and with the prediction gain of a known predictor."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter
from scipy.special import softmax

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.neural.relative_scale import RelativeScale, relative_scale

RNG = np.random.default_rng(91)
STREAM, SPEECH = Frames(16000, "logistic_mixture", 12), Audio(16000)
ROWS = np.concatenate((RNG.standard_normal((700, 4)), RNG.uniform(-1, 1, (700, 4)), RNG.uniform(-9, 0, (700, 4))), 1)
X = 0.1 * RNG.standard_normal(700)
X[300:400] = 0

EXAMPLES = [
    Example(RelativeScale(), mixture=(STREAM, ROWS), x=(SPEECH, X)),
    Example(RelativeScale(window=0.0001), mixture=(STREAM, ROWS), x=(SPEECH, X)),
    Example(RelativeScale(window=0.002, floor=0.5), mixture=(STREAM, ROWS), x=(SPEECH, X)),
]


def plain(x: Array, half: int, floor: float) -> Array:
    """Return the relative scales [700] of the mixtures ROWS [700, 12] for a signal x [700], computed from the formula.

    half: samples before and after a sample over which the level is measured; floor: the least level.
    """
    padded = np.pad(x, half)
    rms = np.array([math.sqrt(np.mean(padded[n : n + 2 * half + 1] ** 2)) for n in range(len(x))])
    found: Array = (softmax(ROWS[:, :4], axis=1) * ROWS[:, 8:]).sum(axis=1) - np.log(np.maximum(rms, floor))
    return found


@pytest.mark.parametrize(("half", "floor"), [(0, 1e-3), (1, 0.01), (16, 2.0**-15)])
def test_it_is_the_formula(half: int, floor: float) -> None:
    found = relative_scale(ROWS, np.pad(X, half), half, floor)
    assert_allclose(found[:, 0], plain(X, half, floor), rtol=0, atol=1e-12)


def test_it_is_minus_the_prediction_gain_of_a_predictor_at_every_level() -> None:
    """For x[n] = 0.95 * x[n-1] + e[n], the mean relative scale is ln(sqrt(3) / pi) - ln(G) / 2, to 0.1 nats.

    G = 1 / (1 - 0.95**2) is the gain of the predictor of x. e is logistic noise, whose scale is std * sqrt(3) / pi. The
    mean is over two seconds, and is the same if x is 40 dB softer.
    """
    e = RNG.logistic(size=32000)
    x = lfilter([1], [1, -0.95], e)
    expected = -0.5 * math.log(1 / (1 - 0.95**2)) - math.log(math.pi / math.sqrt(3))
    for gain in (0.01, 0.0001):
        rows = np.tile([0.0, 0.0, math.log(gain)], (32000, 1))
        found = relative_scale(rows, np.pad(gain * x, 160), 160)
        assert abs(found[1000:-1000].mean() - expected) < 0.1


def test_what_does_not_fit_is_refused() -> None:
    node = RelativeScale()
    with pytest.raises(ParameterError, match=r"relative_scale\.mixture takes real rows of K logits"):
        node.streams(STREAM.like(width=11), SPEECH)
    with pytest.raises(ParameterError, match="relative_scale takes a row for each sample; found .* at its rate"):
        node.streams(STREAM, Audio(8000))
    assert node.streams(STREAM, SPEECH) == (STREAM.like(kind="log_scale", width=1),)
