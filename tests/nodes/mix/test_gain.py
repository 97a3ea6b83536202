import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.gain import Gain, gain
from helpers.speech import speech

EXAMPLES = [
    Example(Gain(gain=-0.3), x=(Audio(16000), speech(3333))),
    Example(Gain(gain=2.0), x=(Audio(44100, channels=2), speech(6666).reshape(-1, 2))),
]


def test_every_sample_is_multiplied() -> None:
    x = speech(100)
    assert_array_equal(gain(x, -0.3), [-0.3 * sample for sample in x.tolist()])  # one rounding each, as in Python


def test_float32_stays_float32() -> None:
    assert gain(np.ones(3, np.float32), 0.1).tolist() == [float(np.float32(0.1))] * 3


def test_an_infinite_gain_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"gain\.gain is inf"):
        Gain(gain=float("inf"))
