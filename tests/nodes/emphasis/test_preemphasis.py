import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.emphasis.preemphasis import Preemphasis, preemphasis
from helpers.speech import speech

STEREO = np.stack((speech(3333), speech(6666)[3333:]), axis=1)

EXAMPLES = [
    Example(Preemphasis(coef=0.97), x=(Audio(16000), speech(3333))),
    Example(Preemphasis(), x=(Audio(44100, channels=2), STEREO)),
]


def test_it_is_the_filter_with_one_zero() -> None:
    x = speech()
    assert_allclose(preemphasis(x, 0.97), lfilter([1.0, -0.97], [1.0], x), rtol=0, atol=1e-15)  # 4 eps


def test_every_channel_is_filtered_alone() -> None:
    y = preemphasis(STEREO, 0.85)
    for channel in (0, 1):
        assert (y[:, channel] == preemphasis(STEREO[:, channel], 0.85)).all()


def test_the_first_sample_follows_the_sample_before() -> None:
    x = speech(1000)
    assert (preemphasis(x[400:], 0.9, before=x[399]) == preemphasis(x, 0.9)[400:]).all()


def test_float32_stays_float32() -> None:
    assert preemphasis(speech(100).astype(np.float32), 0.9, before=0.5).dtype == np.float32


def test_a_zero_on_the_unit_circle_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"preemphasis\.coef is 1\.0; it must be a number, at least 0, at most 0.9999"
    ):
        Preemphasis(coef=1.0)
