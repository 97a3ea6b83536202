import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.sptk import sptk
from dspgraph_nodes.envelope.freqt import Freqt, warped

ROWS = np.random.default_rng(91).standard_normal((80, 25)) / np.arange(1, 26)
STREAM = Frames(100, "cepstrum", 25, "1/200")
EXAMPLES = [Example(Freqt(), cepstrum=(STREAM, ROWS)), Example(Freqt(order=9, alpha=-0.3), cepstrum=(STREAM, ROWS))]


@pytest.mark.parametrize("order", [0, 9, 24, 50])
@pytest.mark.parametrize("alpha", [-0.3, 0.0, 0.42])
def test_it_is_sptks(order: int, alpha: float) -> None:
    expected = [sptk.freqt(row, order, alpha) for row in ROWS]
    assert_allclose(warped(ROWS, order, alpha), expected, rtol=0, atol=1e-13)


def test_the_opposite_constant_warps_back() -> None:
    assert_allclose(warped(warped(ROWS, 200, 0.42), 24, -0.42), ROWS, rtol=0, atol=1e-12)
