import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import pyworld
from dspgraph_nodes.envelope.code_spectral_envelope import CodeSpectralEnvelope, code_spectral_envelope

ROWS = np.exp(np.cumsum(np.random.default_rng(93).standard_normal((70, 513)), axis=1) / 4 - 8)
STREAM = Frames(200, "power", 513)
EXAMPLES = [Example(CodeSpectralEnvelope(dimensions=24), power=(STREAM, ROWS))]


@pytest.mark.parametrize(("rate", "width"), [(16000, 513), (24000, 513), (48000, 257)])
@pytest.mark.parametrize("dimensions", [1, 24, 60])
def test_it_is_worlds(rate: int, width: int, dimensions: int) -> None:
    rows = np.ascontiguousarray(ROWS[:, :width])
    expected = pyworld().code_spectral_envelope(rows, rate, dimensions)
    assert_allclose(code_spectral_envelope(rows, rate, dimensions), expected, rtol=0, atol=1e-11)


def test_silence_is_finite_and_what_does_not_fit_is_refused() -> None:
    assert np.isfinite(code_spectral_envelope(np.zeros((2, 513)), 16000, 5)).all()
    with pytest.raises(ParameterError, match="determines at most 512, and has 4097 bins at most"):
        CodeSpectralEnvelope(dimensions=513).streams(STREAM)
    with pytest.raises(ParameterError, match=r"rate is 160; it must be a number, above 160"):
        CodeSpectralEnvelope(rate=160)


def test_the_rate_of_the_rows_need_not_divide_the_rate_of_the_audio() -> None:
    coded = STREAM.like(kind="coded_spectral_envelope", width=60)
    assert CodeSpectralEnvelope(rate=22050.5).streams(STREAM) == (coded,)
