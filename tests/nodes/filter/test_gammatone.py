import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import gammatone as scipys
from scipy.signal import lfilter

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.gammatone import Gammatone, erb_frequencies, gammatone_sections
from helpers.speech import speech

EXAMPLES = [Example(Gammatone(bands=5), x=(Audio(16000), speech()[9000:11000]))]


@pytest.mark.parametrize("frequency", [500.0, 1000.0, 6000.0])
def test_the_filters_are_scipys(frequency: float) -> None:
    b, a = scipys(frequency, "iir", fs=16000)
    x = speech()[9000:13000]
    node = Gammatone(bands=2, f_min=frequency, f_max=7500)
    found = Example(node, x=(Audio(16000), x)).render()["y"][:, 0]
    expected = lfilter(b, a, x)
    assert_allclose(found, expected, rtol=0, atol=1e-6 * abs(expected).max())  # its eight poles in one polynomial


def test_the_gain_is_1_at_the_centre() -> None:
    z = np.exp(2j * np.pi * 440 / 16000)
    gain = [np.polyval(row[:3], z) / np.polyval([1, *row[3:]], z) for row in gammatone_sections(440, 16000)]
    assert_allclose(abs(np.prod(gain)), 1, rtol=1e-13)


def test_centres_are_equally_spaced_on_the_erb_scale() -> None:
    found = erb_frequencies(9, 100, 7000)
    scale = 21.4 * np.log10(1 + 0.00437 * found)
    assert_allclose(np.diff(scale), (scale[-1] - scale[0]) / 8, rtol=1e-12)
    assert_allclose(found[[0, -1]], [100, 7000], rtol=1e-12)
    assert_allclose(Gammatone(bands=9, f_min=100).frequencies(Audio(16000)), found)


def test_a_band_beyond_half_the_rate_is_refused() -> None:
    with pytest.raises(ParameterError, match="they must rise, and stay below 4000 Hz"):
        Gammatone().streams(Audio(8000))
