from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import butter, freqz_sos, sosfilt

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.butterworth import Butterworth, butterworth_sections
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(Butterworth(kind="lowpass", frequency=3000), x=(Audio(16000), speech(2000))),
    Example(Butterworth(kind="highpass", frequency=100, order=3), x=(Audio(44100, channels=2), STEREO)),
]


@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("frequency", [50, 3000, 7000])
def test_it_is_scipys_filter(kind: Any, order: int, frequency: float) -> None:
    scipys = butter(order, frequency, kind, fs=16000, output="sos")
    found = np.insert(butterworth_sections(kind, order, frequency / 16000), 3, 1.0, axis=1)
    at = np.linspace(1, 7990, 300)
    ours, theirs = (freqz_sos(sections, at, fs=16000)[1] for sections in (found, scipys))
    assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    y = Example(Butterworth(kind=kind, order=order, frequency=frequency), x=(Audio(16000), speech(4000))).render()["y"]
    assert_allclose(y, sosfilt(scipys, speech(4000)), rtol=0, atol=1e-9)  # near 0 Hz poles lie close to the circle


def test_a_corner_beyond_half_the_rate_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"butterworth\.frequency is 8000 Hz; .* frequencies below 8000 Hz"):
        Butterworth(kind="lowpass", frequency=8000).streams(Audio(16000))
