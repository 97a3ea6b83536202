import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Array, Audio
from dspgraph.testing import Example
from dspgraph_nodes.effects.compressor import Compressor, gain_reduction
from helpers.speech import speech

LOUD = speech()[9000:12000] / np.abs(speech()[9000:12000]).max()
STEREO = np.stack((LOUD, -0.5 * speech()[9100:12100]), axis=1)
EXAMPLES = [
    Example(Compressor(), x=(Audio(16000), LOUD)),
    Example(Compressor(threshold=-30, attack=0, knee=0, makeup=6), x=(Audio(44100, channels=2), STEREO)),
]


def restated(x: Array, node: Compressor, rate: float) -> Array:
    """Return the output of a compressor, sample by sample from the formulas in the docstring of `Compressor`.

    x: [n] or [n, channels]; rate: Hz.
    """
    y, smooth = np.empty_like(x), 0.0
    for n, row in enumerate(x):
        level = 20 * np.log10(max(np.abs(row).max(), 1e-12))
        over = level - node.threshold
        if 2 * abs(over) < node.knee:
            reduction = (1 - 1 / node.ratio) * (over + node.knee / 2) ** 2 / (2 * node.knee)
        else:
            reduction = (1 - 1 / node.ratio) * max(over, 0)
        seconds = node.attack if reduction > smooth else node.release
        c = np.exp(-1 / (seconds * rate)) if seconds else 0
        smooth = c * smooth + (1 - c) * reduction
        y[n] = row * 10 ** ((node.makeup - smooth) / 20)
    return y


@pytest.mark.parametrize("number", [0, 1])
def test_it_is_the_published_compressor(number: int) -> None:
    example = EXAMPLES[number]
    stream, x = example.signals["x"]
    node = example.node
    assert isinstance(node, Compressor)
    assert_allclose(example.render()["y"], restated(x, node, float(stream.rate)), rtol=0, atol=1e-13)


def test_far_above_the_threshold_a_ratio_of_4_leaves_a_quarter_of_the_level() -> None:
    levels = np.array([-60.0, -23.0, -20.0, -17.0, 0.0])
    # At the threshold the knee of 6 dB has bent by 3**2 / 12 * 3/4 dB; at its ends the lines meet.
    assert_allclose(gain_reduction(levels, -20, 4, 6), [0, 0, 0.5625, 2.25, 15], atol=1e-12)
    assert_allclose(gain_reduction(levels, -20, 4, 0), [0, 0, 0, 2.25, 15], atol=1e-12)
