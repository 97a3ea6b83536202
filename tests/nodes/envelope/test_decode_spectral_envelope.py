import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import pyworld
from dspgraph_nodes.envelope.decode_spectral_envelope import DecodeSpectralEnvelope, decode_spectral_envelope

ROWS = np.random.default_rng(94).standard_normal((70, 24)) / np.arange(1, 25) - 2
STREAM = Frames(200, "coded_spectral_envelope", 24)
EXAMPLES = [Example(DecodeSpectralEnvelope(n_fft=512), coded=(STREAM, ROWS))]


@pytest.mark.parametrize(("rate", "n_fft"), [(16000, 1024), (24000, 512), (48000, 2048)])
@pytest.mark.parametrize("dimensions", [1, 24])
def test_it_is_worlds(rate: int, n_fft: int, dimensions: int) -> None:
    rows = np.ascontiguousarray(ROWS[:, :dimensions])
    expected = pyworld().decode_spectral_envelope(rows, rate, n_fft)
    assert_allclose(decode_spectral_envelope(rows, rate, n_fft), expected, rtol=1e-11)


def test_too_short_a_transform_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"decode_spectral_envelope\.n_fft is 46; .* needs 48 at least"):
        DecodeSpectralEnvelope(n_fft=46).streams(STREAM)
