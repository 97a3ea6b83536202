import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.excitation.sine import Sine

RNG = np.random.default_rng(101)
STREAM = Frames(200, "f0", 1, "3/400")
F0 = np.where(RNG.random((99, 1)) < 0.3, 0.0, RNG.uniform(80, 400, (99, 1)))
EXAMPLES = [Example(Sine(), f0=(STREAM, F0)), Example(Sine(rate=11025.5, amplitude=1), f0=(STREAM, F0))]


@pytest.mark.parametrize("rate", [16000, 11025.5])
def test_the_phase_is_the_sum_of_the_pitch(rate: float) -> None:
    found = Example(Sine(rate=rate, amplitude=0.5), f0=(STREAM, F0)).render()["y"]
    pitch = F0[(np.arange(len(found)) * (200 / rate) + 1e-9).astype(int), 0]
    phase = np.concatenate(([0.0], np.cumsum(pitch / rate)))[:-1]
    expected = np.where(pitch > 0, 0.5 * np.sin(2 * np.pi * phase), 0)
    assert_allclose(found, expected, rtol=0, atol=1e-10)  # the sum of the phases, some 100 turns, in 2**-53 of each


def test_an_hour_of_a_tone_does_not_drift() -> None:
    """After an hour, a period of a tone of 100 Hz (160 samples at 16 kHz) still equals the first one.

    The only error is the rounding of the phase step, 2**-53 turns per sample.
    """
    node, found = Sine(rate=16000, amplitude=1), []
    state = node.start(STREAM)
    for _ in range(3600):
        state, y = node.step(state, np.full((200, 1), 100.0))
        found.append(y[:160])
    assert_allclose(found[-1], found[0], rtol=0, atol=2 * np.pi * 3600 * 16000 * 2**-53)
    assert_array_equal(found[0].shape, (160,))


def test_a_pitch_above_half_the_rate_is_refused() -> None:
    with pytest.raises(NodeError, match=r"at most 4000 Hz; row 1 has 5000 Hz"):
        Example(Sine(rate=8000), f0=(STREAM, np.array([[100.0], [5000.0]]))).render()
    with pytest.raises(ParameterError, match="sine takes one pitch per frame"):
        Sine().streams(STREAM.like(width=2))
    with pytest.raises(
        ParameterError, match=r"sine\.rate is 16000.1234567891, .*: this ratio has too many digits; take 16000"
    ):
        Sine(rate=16000.1234567891).streams(STREAM)
