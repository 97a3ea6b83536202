import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.add_noise import AddNoise, noise_factor
from helpers.speech import speech

NOISE = 3 * np.random.default_rng(81).standard_normal((3001, 2))
STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
STREAM = Audio(16000)
EXAMPLES = [
    Example(AddNoise(snr=5), x=(STREAM, speech(3001)), noise=(STREAM, NOISE[:, 0])),
    Example(AddNoise(snr=-3), x=(STREAM.like(channels=2), STEREO), noise=(STREAM.like(channels=2), NOISE)),
]


@pytest.mark.parametrize("number", [0, 1])
def test_the_ratio_of_the_powers_is_that_asked_for(number: int) -> None:
    x, noise = (EXAMPLES[number].signals[name][1] for name in ("x", "noise"))
    added = EXAMPLES[number].render()["y"] - x
    assert_allclose(10 * np.log10(np.mean(x**2) / np.mean(added**2)), [5, -3][number], rtol=0, atol=1e-10)
    assert_allclose(added / noise, (added / noise).flat[0], rtol=1e-9)  # the same factor everywhere


def test_a_silent_signal_gets_no_noise_and_silent_noise_is_refused() -> None:
    assert noise_factor(np.zeros(9), NOISE[:9, 0], 10) == 0
    silent = Example(AddNoise(), x=(STREAM, speech(99)), noise=(STREAM, np.zeros(99)))
    with pytest.raises(NodeError, match="the noise is silent: no factor gives it a level"):
        silent.render()
    assert_array_equal(Example(AddNoise(), x=(STREAM, np.zeros(99)), noise=(STREAM, NOISE[:99, 0])).render()["y"], 0)


def test_signals_that_differ_are_refused() -> None:
    with pytest.raises(ParameterError, match="add_noise takes signals of one rate"):
        AddNoise().streams(STREAM, STREAM.like(rate=8000))
