import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.match_level import MatchLevel
from helpers.speech import speech

X = speech()[8000:12000]
NOISE = np.random.default_rng(1).standard_normal(len(X))
STREAM = Audio(16000)

EXAMPLES = [
    Example(MatchLevel(seconds=0.02), x=(STREAM, NOISE), like=(STREAM, X)),
    Example(MatchLevel(seconds=0.0001, most=2.0), x=(STREAM, NOISE), like=(STREAM, X)),  # a hop of one sample
]


def matched(x: Array, like: Array, most: float = 10.0) -> Array:
    return Example(MatchLevel(seconds=0.04, most=most), x=(STREAM, x), like=(STREAM, like)).render()["y"]


def test_a_signal_that_is_as_loud_as_it_should_be_comes_back_bit_for_bit() -> None:
    assert_array_equal(matched(X, X), X)
    assert_array_equal(matched(X, -X), X)


@pytest.mark.parametrize("n", [1, 159, 160, 161, 320, 641, 4000])
def test_a_constant_ratio_is_the_gain_from_the_first_sample_to_the_last(n: int) -> None:
    x = NOISE[:n]
    # The floor of 1e-14 is a share of 1e-14 of a power of 1, but of 1e-11 of a single sample in a window of 640.
    assert_allclose(matched(4 * x, x), x, rtol=1e-10)
    assert_allclose(matched(x, 3 * x), 3 * x, rtol=1e-10)
    assert_allclose(matched(x, 3 * x, most=2.0), 2 * x, rtol=1e-10)
    assert_allclose(matched(3 * x, x, most=2.0), 1.5 * x, rtol=1e-10)


def test_the_output_has_the_short_time_power_of_the_other_signal() -> None:
    swelling = NOISE[::-1] * (1 + 0.7 * np.sin(2 * np.pi * 3 * np.arange(len(NOISE)) / 16000))  # by 15 dB, 3 times a s
    y, window = matched(0.01 * NOISE, swelling, most=1e3), np.hanning(960)
    found, wanted = (np.lib.stride_tricks.sliding_window_view(s, 960)[::160] ** 2 @ window for s in (y, swelling))
    assert np.abs(10 * np.log10(found / wanted)).max() < 1  # in windows of 60 ms, of gains of 40 ms


def test_what_is_below_the_floor_is_no_signal() -> None:
    assert_allclose(matched(1e-9 * NOISE, 0 * NOISE), 1e-9 * NOISE, rtol=1e-3)  # -180 dB beside a floor of -140 dB


def test_signals_of_different_streams_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"match_level takes .*; x is .*16000 Hz.*, like is .*8000 Hz"):
        MatchLevel().streams(STREAM, Audio(8000))
    with pytest.raises(ParameterError, match="match_level"):
        MatchLevel().streams(Audio(16000, channels=2), Audio(16000, channels=2))
