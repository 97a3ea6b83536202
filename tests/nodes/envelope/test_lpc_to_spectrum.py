import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import freqz

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.envelope.lpc_to_spectrum import LpcToSpectrum, lpc_to_spectrum
from helpers.prediction import predictors

ROWS = predictors(16, 160, 16000)
ROWS[10] = 0
STREAM = Frames(100, "lpc", 17, "1/200")
EXAMPLES = [Example(LpcToSpectrum(n_fft=256), lpc=(STREAM, ROWS))]


def test_it_is_the_response_that_scipy_computes() -> None:
    found = lpc_to_spectrum(ROWS, 512)
    for row, power in zip(ROWS[::7], found[::7], strict=True):
        _, response = freqz([row[0]], [1, *row[1:]], worN=257, include_nyquist=True)
        assert_allclose(power, np.abs(response) ** 2, rtol=1e-10)
    assert_array_equal(found[10], 0)


def test_a_transform_shorter_than_the_predictor_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"lpc_to_spectrum\.n_fft is 16; .*: take a longer n_fft"):
        LpcToSpectrum(n_fft=16).streams(STREAM)
