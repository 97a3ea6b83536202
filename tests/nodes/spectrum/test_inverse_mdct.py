"""The inverse MDCT, compared with a transposed matrix of cosines.

The pair of transforms is tested in tests/system/test_inverse_pairs.py.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.inverse_mdct import InverseMdct

ROWS = np.random.default_rng(97).standard_normal((70, 16))
STREAM = Frames(1000, "mdct", 16, "1/2000")
EXAMPLES = [
    Example(InverseMdct(), mdct=(STREAM, ROWS)),
    Example(InverseMdct(window="vorbis"), mdct=(STREAM.like(width=2), ROWS[:, :2])),
]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_it_is_the_sum_of_windowed_cosines(count: int) -> None:
    i, bins = np.arange(32), 16
    cosines = np.cos(np.pi / bins * (i[:, None] + 0.5 + bins / 2) * (np.arange(bins) + 0.5)) * np.sqrt(2 / bins)
    total = np.zeros((count + 1) * bins)
    for k, row in enumerate(ROWS[:count]):
        w = np.sin(np.pi / (2 * bins) * (i + 0.5))
        if k == 0:
            w[:8], w[8:16] = 0, 1
        if k == count - 1:
            w[16:24], w[24:] = 1, 0
        total[k * bins : (k + 2) * bins] += w * (cosines @ row)
    found = Example(InverseMdct(), mdct=(STREAM, ROWS[:count])).render()["y"]
    assert_allclose(found, total[8 : 8 + count * bins], rtol=0, atol=1e-13)


def test_an_odd_number_of_bins_is_refused() -> None:
    with pytest.raises(ParameterError, match="inverse_mdct takes an even number of real numbers per row"):
        InverseMdct().streams(STREAM.like(width=15))
