from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.mdct import Mdct, mdct
from helpers.integers import check_integers, integers
from helpers.speech import speech

EXAMPLES = [
    Example(Mdct(bins=64), x=(Audio(16000), speech(3001))),
    Example(Mdct(bins=10, window="vorbis"), x=(Audio(8000), speech(500))),
]


def restated(x: Array, bins: int, window: str) -> Array:
    """Return the MDCT of x [n], [ceil(n / bins), bins], by the formula in the docstring of `Mdct`.

    bins: an even number; window: "sine" or "vorbis".
    """
    i, count = np.arange(2 * bins), -(-len(x) // bins)
    w = np.sin(np.pi / (2 * bins) * (i + 0.5))
    w = np.sin(np.pi / 2 * w**2) if window == "vorbis" else w
    cosines = np.cos(np.pi / bins * (i[:, None] + 0.5 + bins / 2) * (np.arange(bins) + 0.5)) * np.sqrt(2 / bins)
    padded = np.concatenate((np.zeros(bins // 2), x, np.zeros(2 * bins)))
    rows = []
    for k in range(count):
        own = w.copy()
        if k == 0:
            own[: bins // 2], own[bins // 2 : bins] = 0, 1
        if k == count - 1:
            own[bins : bins + bins // 2], own[bins + bins // 2 :] = 1, 0
        rows.append((padded[k * bins : (k + 2) * bins] * own) @ cosines)
    return np.array(rows)


@pytest.mark.parametrize("window", ["sine", "vorbis"])
@pytest.mark.parametrize(("count", "bins"), [(1, 8), (16, 16), (17, 16), (500, 64), (3001, 64), (40, 2)])
def test_it_is_the_sum_of_cosines(window: Any, count: int, bins: int) -> None:
    x = speech()[9000 : 9000 + count]
    assert_allclose(mdct(x, bins, window), restated(x, bins, window), rtol=0, atol=1e-14)


def test_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="mdct takes one channel"):
        Mdct().streams(Audio(16000, channels=2))
    assert_allclose(Mdct(bins=4).frequencies(Audio(16000)), [1000, 3000, 5000, 7000])


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: mdct(x, 8), dtype, floats, (50,))
