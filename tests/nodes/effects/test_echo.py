from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.effects.echo import Echo, echo
from helpers.integers import check_integers, integers
from helpers.speech import speech
from helpers.step_memory import most_bytes_of_a_step

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(Echo(seconds=0.02), x=(Audio(16000), speech(3000))),
    Example(Echo(seconds=0.0001, level=-1, feedback=-0.8), x=(Audio(44100, channels=2), STEREO)),
    Example(Echo(seconds=0.01, tail=0.1), x=(Audio(16000, channels=2), STEREO)),
]


def test_it_is_scipys_filter() -> None:
    zeros = [0.0] * 319
    expected = STEREO + 0.5 * lfilter([0, *zeros, 1], [1, *zeros, -0.4], STEREO, axis=0)
    assert_allclose(echo(STEREO, 320, 0.5, 0.4), expected, rtol=0, atol=1e-15)
    found = Example(Echo(seconds=0.02), x=(Audio(16000, channels=2), STEREO)).render()["y"]
    assert_allclose(found, expected, rtol=0, atol=1e-15)


def test_an_impulse_comes_again_and_again_softer() -> None:
    x = np.zeros(400)
    x[0] = 1
    assert_allclose(echo(x, 100, 0.5, 0.4)[::100], [1, 0.5, 0.2, 0.08])


def test_the_tail_is_the_echo_of_the_end() -> None:
    longer = np.concatenate((STEREO, np.zeros((1600, 2))))
    assert_array_equal(EXAMPLES[2].render()["y"], echo(longer, 160, 0.5, 0.4))


def test_a_delay_that_is_too_short_or_too_long_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"echo\.seconds is 1e-05, 0 samples .*: take 6\.25e-05 to 60 s"):
        Echo(seconds=1e-5).streams(Audio(16000))
    with pytest.raises(ParameterError, match=r"echo\.seconds is 60, .*: take 1e-06 to 11\.5 s"):
        Echo(seconds=60).streams(Audio(1_000_000))


def test_a_long_delay_is_not_copied_for_every_block() -> None:
    most = most_bytes_of_a_step(Echo(seconds=60), Audio(16000), speech(160))
    assert most < 2**16  # arrays of one block take 1280 bytes, the delay line 7.7 MB


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: echo(x, 3, 0.5, 0.5), dtype, floats, (50,))
