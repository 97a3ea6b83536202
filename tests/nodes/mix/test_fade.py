from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Frames, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.fade import Fade
from helpers.speech import speech

CONTROL = Frames(100, "control", 1)
MOVES = np.repeat([0.0, 1.0, 0.25, -0.5], 8)[:, None]

EXAMPLES = [
    Example(Fade(), x=(Audio(16000), speech(5003)), gain=(CONTROL, MOVES)),
    Example(Fade(), x=(Audio(22050, channels=2), speech(10000).reshape(-1, 2)), gain=(CONTROL, MOVES[:23])),
    Example(Fade(), x=(Audio(11025), speech(2000)), gain=(CONTROL, MOVES[:19])),
]


def faded(x: Array, gain: Array, rate: int = 16000) -> Array:
    inputs = {"x": Audio(rate, dtype=x.dtype), "gain": CONTROL}
    return Graph({"fade": Fade()}, {"fade.x": "x", "fade.gain": "gain"}, inputs, {"y": "fade"})(x=x, gain=gain)["y"]


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 48000])
def test_the_gain_goes_straight_from_item_to_item(rate: int) -> None:
    items = np.random.default_rng(0).uniform(-1, 1, 40)
    n = int(0.4 * rate)
    # Item k is reached at the end of its span, (k + 1) / 100 s; before the end of the first span it stays.
    expected = np.interp(np.arange(n) / rate, np.arange(41) / 100, np.concatenate((items[:1], items)))
    np.testing.assert_allclose(faded(np.ones(n), items[:, None], rate), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_control_at_1_changes_nothing_and_one_at_0_is_silence(dtype: Any) -> None:
    x = speech(4000).astype(dtype)
    assert_array_equal(faded(x, np.ones((25, 1))), x)
    assert not faded(x, np.zeros((25, 1))).any()


def test_a_gain_that_jumps_makes_no_click() -> None:
    """When the gain of a sine of 440 Hz jumps to 1/2, the energy above 3 kHz, relative to all energy, is below -85 dB.

    If the samples jumped, it would be above -45 dB. Measured: -90 and -38 dB, in a window of 0.25 s around the jump.
    """
    x = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    y = faded(x, np.repeat([1.0, 0.5], 50)[:, None])
    hard = np.where(np.arange(16000) < 8009, x, x / 2)  # at a peak

    def above(z: Array) -> float:
        spectrum = np.abs(np.fft.rfft(z[6000:10000] * np.blackman(4000))) ** 2
        return float(10 * np.log10(spectrum[750:].sum() / spectrum.sum()))

    assert above(y) < -85 < -45 < above(hard)


def test_a_control_has_one_number_per_item() -> None:
    with pytest.raises(ParameterError, match="one number per item"):
        Fade().streams(Audio(16000), Frames(100, "control", 2))
