from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.testing import Example
from dspgraph_nodes.effects.limiter import Limiter
from helpers.speech import speech

LOUD = speech()[9000:12000] / np.abs(speech()[9000:12000]).max()
STEREO = np.stack((LOUD, -0.5 * speech()[9100:12100]), axis=1)
EXAMPLES = [
    Example(Limiter(ceiling=-12), x=(Audio(16000), LOUD)),
    Example(Limiter(ceiling=-10, lookahead_seconds=0.0005, release=0), x=(Audio(44100, channels=2), STEREO)),
    Example(Limiter(ceiling=-15, lookahead_seconds=0), x=(Audio(16000), LOUD)),
    Example(Limiter(ceiling=0), x=(Audio(16000), 4 * np.cos(2 * np.pi * 200 / 16000 * np.arange(400)))),  # loud at once
]


def restated(x: Array, node: Limiter, rate: float) -> Array:
    """Return the output of a limiter, sample by sample from the formulas in the docstring of `Limiter`.

    In the letters of that docstring, g is 1 outside the signal, and r begins at n = -L; the r before it is 1. x: [n] or
    [n, channels]; rate: Hz.
    """
    ceiling, ahead = 10 ** (node.ceiling / 20), round(node.lookahead_seconds * rate)
    peak = np.maximum(np.abs(x).reshape(len(x), -1).max(axis=1), 1e-300)
    gain = np.concatenate((np.ones(ahead), np.minimum(1, ceiling / peak), np.ones(ahead)))
    c = np.exp(-1 / (node.release * rate)) if node.release else 0
    followed = [1.0]
    for n in range(ahead + len(x)):
        least = gain[n : n + ahead + 1].min()
        followed.append(least if least < followed[-1] else c * followed[-1] + (1 - c) * least)
    mean = [np.mean(followed[n + 1 : n + ahead + 2]) for n in range(len(x))]
    return x * np.reshape(mean, (-1, *[1] * (x.ndim - 1)))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_it_does_what_it_says(number: int) -> None:
    example = EXAMPLES[number]
    stream, x = example.signals["x"]
    node = example.node
    assert isinstance(node, Limiter)
    assert_allclose(example.render()["y"], restated(x, node, float(stream.rate)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_sample_exceeds_the_ceiling(dtype: Any) -> None:
    for example in EXAMPLES:
        node = example.node
        assert isinstance(node, Limiter)
        assert np.abs(example.render(dtype)["y"]).max() <= dtype(10 ** (node.ceiling / 20))


def test_what_stays_below_the_ceiling_is_unchanged() -> None:
    x = 0.5 * LOUD
    assert_array_equal(Example(Limiter(ceiling=-6), x=(Audio(16000), x)).render()["y"], x)
