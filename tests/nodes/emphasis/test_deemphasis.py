import numpy as np
from numpy.testing import assert_allclose
from scipy.signal import lfilter

from dspgraph import Audio
from dspgraph.testing import Example
from dspgraph_nodes.emphasis.deemphasis import Deemphasis, deemphasis
from helpers.speech import speech

STEREO = np.stack((speech(3333), speech(6666)[3333:]), axis=1)

EXAMPLES = [
    Example(Deemphasis(coef=0.97), x=(Audio(16000), speech(3333))),
    Example(Deemphasis(), x=(Audio(44100, channels=2), STEREO)),
]


def test_it_is_the_filter_with_one_pole() -> None:
    x = speech()
    # Up to 1 / (1 - 0.97) = 33 roundings of a value whose peak is 9 here; equal bit for bit where scipy has no FMA.
    assert_allclose(deemphasis(x, 0.97), lfilter([1.0], [1.0, -0.97], x), rtol=0, atol=1e-13)


def test_every_channel_is_filtered_alone() -> None:
    y = deemphasis(STEREO, 0.85)
    for channel in (0, 1):
        assert (y[:, channel] == deemphasis(STEREO[:, channel], 0.85)).all()


def test_float32_is_computed_in_float32() -> None:
    x = speech()[9000:12000].astype(np.float32)
    y = deemphasis(x, 0.85)
    expected = lfilter(np.array([1.0], np.float32), np.array([1.0, -0.85], np.float32), x)
    assert y.dtype == np.float32
    assert_allclose(y, expected, rtol=0, atol=1e-6)  # 7 roundings of 6e-8
