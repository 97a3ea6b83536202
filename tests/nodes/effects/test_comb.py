from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter

from dspgraph import Audio
from dspgraph.testing import Example
from dspgraph_nodes.effects.comb import Comb, comb
from helpers.integers import check_integers, integers
from helpers.speech import speech
from helpers.step_memory import most_bytes_of_a_step

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(Comb(samples=3, forward=0.5, back=-0.7), x=(Audio(16000), speech(2000))),
    Example(Comb(samples=441, back=0.9), x=(Audio(44100, channels=2), STEREO)),
]


@pytest.mark.parametrize("samples", [1, 2, 100, 5000])
@pytest.mark.parametrize(("forward", "back"), [(0.5, 0.0), (0.0, -0.9), (0.3, 0.7)])
def test_it_is_scipys_filter(samples: int, forward: float, back: float) -> None:
    zeros = [0.0] * (samples - 1)
    expected = lfilter([1, *zeros, forward], [1, *zeros, -back], STEREO, axis=0)
    assert_allclose(comb(STEREO, samples, forward, back), expected, rtol=0, atol=1e-14)


def test_a_long_delay_is_not_copied_for_every_block() -> None:
    most = most_bytes_of_a_step(Comb(samples=960_000, forward=0.5, back=0.5), Audio(16000), speech(160))
    assert most < 2**16  # arrays of one block take 1280 bytes, the delay line 7.7 MB


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: comb(x, 3, 0.5, 0.5), dtype, floats, (50,))
