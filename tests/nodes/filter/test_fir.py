import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import firwin, lfilter

from dspgraph import Array, Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.fir import Fir, fir
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
LOWPASS = tuple(firwin(101, 3000, fs=16000).tolist())

EXAMPLES = [
    Example(Fir(taps=LOWPASS), x=(Audio(16000), speech(3333))),
    Example(Fir(taps=(0.5, 0.0, -0.25, 2.0)), x=(Audio(44100, channels=2), STEREO)),
    Example(Fir(taps=(3.0,)), x=(Audio(8000), speech(1000))),
]


def filtered(x: Array, taps: tuple[float, ...]) -> Array:
    channels = 1 if x.ndim == 1 else x.shape[1]
    return Graph({"fir": Fir(taps=taps)}, {"fir.x": "x"}, {"x": Audio(16000, channels)}, {"y": "fir"})(x=x)["y"]


@pytest.mark.parametrize("count", [1, 2, 64, 1000, 5000])
def test_it_is_scipys(count: int) -> None:
    taps = np.random.default_rng(count).standard_normal(count)
    x = speech()[:6000]  # several tiles; and fewer samples than the longest filter has taps
    # A sum of `count` products, rounded at each: 1.1e-16 of the sum of magnitudes, twice.
    bound = 2.3e-16 * count * np.abs(taps).sum() * np.abs(x).max()
    assert_allclose(filtered(x, tuple(taps.tolist())), lfilter(taps, [1.0], x), rtol=0, atol=bound)
    assert_allclose(filtered(x[:100], tuple(taps.tolist())), lfilter(taps, [1.0], x[:100]), rtol=0, atol=bound)


def test_every_channel_is_filtered_alike() -> None:
    found = filtered(STEREO, LOWPASS)
    for channel in (0, 1):
        assert_array_equal(found[:, channel], filtered(STEREO[:, channel], LOWPASS))


def test_an_impulse_gives_the_taps() -> None:
    assert_array_equal(filtered(np.eye(1, 120)[0], LOWPASS)[:101], LOWPASS)


def test_samples_before_the_block_are_heard() -> None:
    x = speech(500)
    taps = np.array(LOWPASS)
    assert_array_equal(fir(x[200:], taps, x[100:200]), fir(x, taps, np.zeros(100))[200:])


def test_a_filter_without_taps_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"fir\.taps is \(\)"):
        Fir(taps=())
    with pytest.raises(ParameterError, match=r"fir\.taps"):
        Fir(taps=(1.0, float("nan")))
