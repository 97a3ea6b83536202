import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.pan import Pan, pan
from helpers.speech import speech

EXAMPLES = [Example(Pan(position=0.3), x=(Audio(16000), speech(2000)))]


@pytest.mark.parametrize(("position", "left", "right"), [(-1, 1, 0), (0, 0.5**0.5, 0.5**0.5), (1, 0, 1)])
def test_the_ends_and_the_middle(position: float, left: float, right: float) -> None:
    x = speech(2000)
    assert_allclose(pan(x, position), np.stack((left * x, right * x), axis=1), rtol=0, atol=1e-16)


def test_the_power_is_the_same_everywhere() -> None:
    x = speech(2000)
    for position in (-0.9, -0.2, 0.3, 0.8):
        assert_allclose((pan(x, position) ** 2).sum(), (x**2).sum(), rtol=1e-14)


def test_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="pan takes one channel"):
        Pan().streams(Audio(16000, channels=2))
