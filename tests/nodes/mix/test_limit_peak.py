import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.limit_peak import LimitPeak, limit_peak
from helpers.speech import speech

X = speech()[8000:12000]
NOISE = 0.2 * np.random.default_rng(1).standard_normal(len(X))
STEREO = Audio(16000, channels=2)

EXAMPLES = [
    Example(LimitPeak(ratio=1.5), x=(Audio(16000), NOISE), like=(Audio(16000), X)),
    Example(LimitPeak(), x=(STEREO, NOISE.reshape(-1, 2)), like=(STEREO, X.reshape(-1, 2))),
]


def limited(x: Array, like: Array, ratio: float = 2.0) -> Array:
    return limit_peak(x, like, ratio, 0.0)[0]


def test_the_limit_is_a_multiple_of_the_peak_so_far() -> None:
    like = np.array([0.0, 0.5, -1.0, 0.25, 0.0])
    assert_array_equal(limited(np.full(5, 9.0), like), [0, 1, 2, 2, 2])
    assert_array_equal(limited(np.full(5, -9.0), like), [0, -1, -2, -2, -2])
    assert_array_equal(limited(np.full(5, 0.75), like), [0, 0.75, 0.75, 0.75, 0.75])


def test_the_peak_is_that_of_all_channels() -> None:
    like = np.array([[0.5, 0.0], [0.0, -1.0]])
    assert_array_equal(limited(np.full((2, 2), 9.0), like), [[1, 1], [2, 2]])


def test_the_signal_itself_comes_back_bit_for_bit() -> None:
    assert_array_equal(limited(X, X, 1.0), X)


def test_signals_of_different_streams_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"limit_peak takes .*; x is .*16000 Hz.*, like is .*8000 Hz"):
        LimitPeak().streams(Audio(16000), Audio(8000))
