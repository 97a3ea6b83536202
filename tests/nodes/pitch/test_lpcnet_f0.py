import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, ParameterError, load
from dspgraph.testing import Example
from dspgraph_nodes.pitch.lpcnet_f0 import LpcnetF0, lpcnet_f0
from helpers.speech import speech

PITCH, CORRELATION = Frames(100, "pitch", 1), Frames(100, "correlation", 1)
DRAW = np.random.default_rng(0)

EXAMPLES = [
    Example(
        LpcnetF0(threshold=0.1),
        pitch=(PITCH, DRAW.uniform(-1.34, 3.1, (80, 1))),
        correlation=(CORRELATION, DRAW.uniform(-0.5, 0.5, (80, 1))),
    )
]


@pytest.mark.parametrize("period", [40, 64, 100, 160, 230])
def test_the_pitch_of_a_tone_is_found(period: int) -> None:
    phase = 2 * np.pi * np.arange(16000) / period
    x = sum((np.cos(k * phase) / k for k in range(1, int(0.45 * period))), np.zeros(16000))
    found = load("lpcnet_features")(speech=0.3 * x / np.abs(x).max())
    f0 = lpcnet_f0(found["pitch"], found["correlation"], 16000, 0.0)
    assert_allclose(f0[10:], 16000 / period, rtol=1e-12)


def test_speech_has_a_pitch_near_that_of_another_tracker() -> None:
    found, other = load("lpcnet_features")(speech=speech()), load("f0", hop=160)(speech=speech())["f0"][:, 0]
    f0 = lpcnet_f0(found["pitch"], found["correlation"], 16000, 0.0)[:, 0]
    both = (f0 > 0) & (other > 0)
    assert both.sum() > 0.6 * np.count_nonzero(other)
    assert np.mean(np.abs(np.log2(f0[both] / other[both])) > 0.25) < 0.05


def test_frames_without_correlation_are_unvoiced() -> None:
    found = lpcnet_f0(np.array([[0.0], [0.0], [-2.0]]), np.array([[0.2], [0.1], [0.4]]), 16000, 0.1)
    assert_array_equal(found, [[160.0], [0.0], [0.0]])  # a lag of 0 is no period


def test_frames_that_are_wider_are_refused() -> None:
    with pytest.raises(ParameterError, match="one pitch and one correlation per frame"):
        LpcnetF0().streams(Frames(100, "pitch", 2), CORRELATION)
