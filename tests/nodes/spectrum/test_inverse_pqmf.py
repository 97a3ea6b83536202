"""Synthesis from sub-bands, compared with ParallelWaveGAN's formulas.

The pair of transforms is tested in tests/system/test_inverse_pairs.py.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal.windows import kaiser

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.inverse_pqmf import InversePqmf

ROWS = np.random.default_rng(98).standard_normal((300, 4))
STREAM = Frames(4000, "pqmf", 4)
EXAMPLES = [
    Example(InversePqmf(), bands=(STREAM, ROWS)),
    Example(InversePqmf(taps=20, cutoff=0.2), bands=(STREAM.like(width=3), ROWS[:, :3])),
]


@pytest.mark.parametrize(("bands", "taps", "cutoff"), [(4, 62, 0.142), (3, 20, 0.2)])
@pytest.mark.parametrize("count", [1, 5, 300])
def test_it_is_the_published_synthesis(bands: int, taps: int, cutoff: float, count: int) -> None:
    rows = ROWS[:count, :bands]
    n, k = np.arange(taps + 1) - taps / 2, np.arange(bands)[:, None]
    prototype = cutoff * np.sinc(cutoff * n) * kaiser(taps + 1, 9.0)
    filters = 2 * prototype * np.cos((2 * k + 1) * np.pi / (2 * bands) * n - (-1.0) ** k * np.pi / 4)
    expected = np.zeros(count * bands)
    for band, own in zip(rows.T, filters, strict=True):
        spread = np.zeros(count * bands)
        spread[::bands] = band * bands
        expected += np.correlate(np.pad(spread, taps // 2), own, "valid")
    node = InversePqmf(taps=taps, cutoff=cutoff)
    found = Example(node, bands=(STREAM.like(width=bands), rows)).render()["y"]
    assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_more_bands_than_the_filters_reach_are_refused() -> None:
    with pytest.raises(ParameterError, match="inverse_pqmf takes real rows of 2 to taps / 2 = 3 bands"):
        InversePqmf(taps=6).streams(STREAM)
