import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import pyworld
from dspgraph_nodes.envelope.decode_aperiodicity import DecodeAperiodicity, decode_aperiodicity

ROWS = -np.random.default_rng(96).uniform(0.01, 30, (70, 5))
ROWS[::7] = -0.1  # mean above -0.5 dB: noise
STREAM = Frames(200, "coded_aperiodicity", 5)
EXAMPLES = [Example(DecodeAperiodicity(rate=48000, n_fft=256), coded=(STREAM, ROWS))]


@pytest.mark.parametrize(("rate", "bands"), [(12000, 1), (16000, 1), (24000, 3), (44100, 5), (48000, 5)])
def test_it_is_worlds(rate: int, bands: int) -> None:
    rows = np.ascontiguousarray(ROWS[:, :bands])
    assert_allclose(decode_aperiodicity(rows, rate, 1024), pyworld().decode_aperiodicity(rows, rate, 1024), rtol=1e-11)


def test_another_number_of_bands_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"rate is 16000 Hz, where 1 bands are coded; .*: give the rate of the"):
        DecodeAperiodicity().streams(STREAM)
