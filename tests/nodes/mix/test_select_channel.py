import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.select_channel import SelectChannel
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(SelectChannel(channel=1), x=(Audio(44100, channels=2), STEREO)),
    Example(SelectChannel(), x=(Audio(16000), speech(2000))),
]


def test_it_is_the_channel() -> None:
    assert_array_equal(EXAMPLES[0].render()["y"], STEREO[:, 1])
    assert_array_equal(EXAMPLES[1].render()["y"], speech(2000))


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"select_channel\.channel is 2; .* has channels 0 to 1: take one"):
        SelectChannel(channel=2).streams(Audio(44100, channels=2))
