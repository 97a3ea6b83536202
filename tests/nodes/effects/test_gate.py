import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.testing import Example
from dspgraph_nodes.effects.gate import Gate, recently_loud
from helpers.speech import speech

LOUD = speech()[9000:12000] / np.abs(speech()[9000:12000]).max()
STEREO = np.stack((LOUD, -0.5 * speech()[9100:12100]), axis=1)
EXAMPLES = [
    Example(Gate(threshold=-10, hold=0.001), x=(Audio(16000), LOUD)),
    Example(Gate(threshold=-30, attack=0, hold=0, range=20), x=(Audio(44100, channels=2), STEREO)),
]


def restated(x: Array, node: Gate, rate: float) -> Array:
    """Return the output of a gate, sample by sample from the formulas in the docstring of `Gate`.

    x: [n] or [n, channels]; rate: Hz.
    """
    y, smooth, hold = np.empty_like(x), -node.range, round(node.hold * rate)
    loud = np.abs(x).reshape(len(x), -1).max(axis=1) >= 10 ** (node.threshold / 20)
    for n, row in enumerate(x):
        target = 0.0 if loud[max(0, n - hold) : n + 1].any() else -node.range
        seconds = node.attack if target > smooth else node.release
        c = np.exp(-1 / (seconds * rate)) if seconds else 0
        smooth = c * smooth + (1 - c) * target
        y[n] = row * 10 ** (smooth / 20)
    return y


@pytest.mark.parametrize("number", [0, 1])
def test_it_does_what_it_says(number: int) -> None:
    example = EXAMPLES[number]
    stream, x = example.signals["x"]
    node = example.node
    assert isinstance(node, Gate)
    found = example.render()["y"]
    assert_allclose(found, restated(x, node, float(stream.rate)), rtol=0, atol=1e-13)
    assert not np.allclose(found, x)
    assert np.abs(found).max() > 0.5 * np.abs(x).max()


def test_the_gate_stays_open_for_the_hold() -> None:
    loud = np.array([0, 0, 1, 0, 0, 0, 0, 1], bool)
    assert_array_equal(recently_loud(loud, 2, 1)[0], [1, 0, 1, 1, 1, 0, 0, 1])
    assert recently_loud(loud[3:7], 2, 0)[1] == 4
