import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.pitch.f0_from_continuous import F0FromContinuous, f0_from_continuous

RNG = np.random.default_rng(65)
STREAM = Frames(200, "log_f0", 1, "3/400")
VOICED = STREAM.like(kind="voicing")
LOG_F0, VOICING = RNG.uniform(4, 6, (100, 1)), RNG.random((100, 1)).round(1)
EXAMPLES = [Example(F0FromContinuous(threshold=0.3), log_f0=(STREAM, LOG_F0), voicing=(VOICED, VOICING))]


def test_a_frame_is_voiced_from_the_threshold_on() -> None:
    expected = np.exp(LOG_F0) * (VOICING >= 0.3)
    assert_allclose(EXAMPLES[0].render()["f0"], expected, rtol=1e-15)
    assert f0_from_continuous(LOG_F0.astype(np.float32), VOICING).dtype == np.float32


def test_it_gives_the_pitch_back() -> None:
    f0 = np.where(VOICING > 0.5, np.exp(LOG_F0), 0)
    found = f0_from_continuous(LOG_F0, (f0 > 0).astype(float))
    assert_allclose(found, f0, rtol=1e-15)


def test_more_than_one_pitch_per_frame_is_refused() -> None:
    with pytest.raises(ParameterError, match="takes one pitch and one voicing per frame; found"):
        F0FromContinuous().streams(STREAM.like(width=2), VOICED)
