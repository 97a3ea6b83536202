import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.testing import Example
from dspgraph_nodes.effects.reverb import Reverb
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(Reverb(), x=(Audio(16000), speech(3000))),
    Example(Reverb(room=0.9, damp=0.1, dry=0), x=(Audio(8000, channels=2), STEREO)),
    Example(Reverb(tail=0.1), x=(Audio(8000, channels=2), STEREO)),
]


def restated(x: Array, node: Reverb, rate: float) -> Array:
    """Return the output of Freeverb, [n, channels], by circular buffers, sample by sample, as `Reverb` describes it.

    x: [n, channels]; node: gives room, damp, wet and dry, but its tail is not computed; rate: Hz.
    """
    y = np.empty_like(x)
    for channel in range(x.shape[1]):
        combs = [
            np.zeros(max(1, round((d + 23 * channel) * rate / 44100)))
            for d in (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
        ]
        passes = [np.zeros(max(1, round((d + 23 * channel) * rate / 44100))) for d in (556, 441, 341, 225)]
        stores = [0.0] * 8
        for n in range(len(x)):
            entering, total = 0.03 * x[n].mean(), 0.0
            for k, buffer in enumerate(combs):
                out = buffer[n % len(buffer)]
                stores[k] = out * (1 - 0.4 * node.damp) + stores[k] * 0.4 * node.damp
                buffer[n % len(buffer)] = entering + stores[k] * (0.28 * node.room + 0.7)
                total += out
            for buffer in passes:
                out = buffer[n % len(buffer)]
                buffer[n % len(buffer)] = total + out * 0.5
                total = out - total
            y[n, channel] = node.dry * x[n, channel] + node.wet * 3 * total
    return y


@pytest.mark.parametrize("number", [0, 1])
def test_it_is_freeverb(number: int) -> None:
    example = EXAMPLES[number]
    stream, x = example.signals["x"]
    node = example.node
    assert isinstance(node, Reverb)
    expected = restated(x.reshape(len(x), -1), node, float(stream.rate)).reshape(x.shape)
    assert_allclose(example.render()["y"], expected, rtol=0, atol=1e-14)


def test_the_tail_is_the_reverberation_of_the_end() -> None:
    longer = np.concatenate((STEREO, np.zeros((800, 2))))
    expected = Example(Reverb(), x=(Audio(8000, channels=2), longer)).render()["y"]
    assert_array_equal(EXAMPLES[2].render()["y"], expected)


def test_without_reverberation_the_signal_is_itself() -> None:
    assert_array_equal(Example(Reverb(wet=0), x=(Audio(16000), speech(3000))).render()["y"], speech(3000))
