import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import pyworld
from dspgraph_nodes.envelope.code_aperiodicity import CodeAperiodicity, code_aperiodicity

ROWS = np.random.default_rng(95).uniform(0.001, 1, (70, 513))
STREAM = Frames(200, "aperiodicity", 513)
EXAMPLES = [Example(CodeAperiodicity(rate=48000), aperiodicity=(STREAM, ROWS))]


@pytest.mark.parametrize("rate", [12000, 16000, 24000, 44100, 48000, 96000])
def test_it_is_worlds(rate: int) -> None:
    found = code_aperiodicity(ROWS, rate)
    assert_allclose(found, pyworld().code_aperiodicity(ROWS, rate), rtol=0, atol=1e-11)
    assert CodeAperiodicity(rate=rate).streams(STREAM)[0].width == found.shape[1]


def test_silence_is_finite_and_one_bin_is_refused() -> None:
    assert np.isfinite(code_aperiodicity(np.zeros((2, 513)), 16000)).all()
    with pytest.raises(ParameterError, match="code_aperiodicity takes the bins of a transform, 2 at least"):
        CodeAperiodicity().streams(STREAM.like(width=1))
