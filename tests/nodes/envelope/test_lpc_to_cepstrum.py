import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.sptk import sptk
from dspgraph_nodes.envelope.lpc_to_cepstrum import LpcToCepstrum, lpc_to_cepstrum
from helpers.prediction import predictors

ROWS = predictors(16, 160, 16000)
STREAM = Frames(100, "lpc", 17, "1/200")
EXAMPLES = [Example(LpcToCepstrum(order=30), lpc=(STREAM, ROWS))]


@pytest.mark.parametrize("order", [0, 5, 16, 40])
def test_it_is_sptks(order: int) -> None:
    found = lpc_to_cepstrum(ROWS, order)
    for row, c in zip(ROWS, found, strict=True):
        assert_allclose(c, sptk.lpc2c(row, order), rtol=0, atol=1e-12)


def test_silence_has_a_finite_level() -> None:
    c = lpc_to_cepstrum(np.zeros((1, 17), np.float32), 3)
    assert_allclose(c[0], [np.log(np.finfo(np.float32).tiny), 0, 0, 0])
