"""Glottal pulses, compared with the conditions of the LF model, by numerical integration, and with Fant's shape."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.excitation.glottal_pulse import GlottalPulse, lf_pulse, lf_shape

RNG = np.random.default_rng(103)
STREAM = Frames(200, "f0", 1, "3/400")
F0 = np.where(RNG.random((66, 1)) < 0.3, 0.0, RNG.uniform(80, 300, (66, 1)))
EXAMPLES = [
    Example(GlottalPulse(), f0=(STREAM, F0)),
    Example(GlottalPulse(rate=11025, rd=0.5, amplitude=0.1), f0=(STREAM, F0)),
]


@pytest.mark.parametrize("rd", [0.3, 0.7, 1.0, 2.0, 2.7])
def test_the_flow_returns_to_0_and_the_excitation_is_minus_1(rd: float) -> None:
    te, _, _, e, ta = lf_shape(rd)
    at, weights = np.polynomial.legendre.leggauss(300)
    halves = ((0.0, te), (te, 1.0))
    areas = [float((b - a) / 2 * (weights @ lf_pulse((a + b) / 2 + (b - a) / 2 * at, rd))) for a, b in halves]
    assert abs(sum(areas)) < 1e-12
    assert_allclose(lf_pulse(np.array([0.0, te, np.nextafter(te, 1)]), rd), [0, -1, -1], atol=1e-9)
    assert_allclose(lf_pulse(np.array([1 - 1e-12]), rd), 0, atol=1e-9)
    assert_allclose(e * ta, 1 - np.exp(-e * (1 - te)), rtol=1e-12)


def test_the_shape_is_fants() -> None:
    """The shape for Rd = 1 is that of Fant (1995).

    He gives Ra = 0.038 and Rk = 0.342; Rg follows from the approximation of Rd.
    """
    te, w, _, _, ta = lf_shape(1.0)
    rk = 0.342
    rg = rk * (0.5 + 1.2 * rk) / (0.44 - 4 * 0.038 * (0.5 + 1.2 * rk))
    assert_allclose([ta, w, te], [0.038, 2 * np.pi * rg, (1 + rk) / (2 * rg)], rtol=1e-12)


def test_a_pulse_comes_once_in_a_period() -> None:
    found = Example(GlottalPulse(amplitude=2), f0=(STREAM, np.full((100, 1), 100.0))).render()["y"]
    expected = 2 * lf_pulse(np.arange(160) / 160, 1.0)
    assert_allclose(found.reshape(-1, 160), np.tile(expected, (50, 1)), rtol=0, atol=1e-9)


def test_a_pitch_above_half_the_rate_is_refused() -> None:
    with pytest.raises(NodeError, match=r"at most 4000 Hz; row 1 has 5000 Hz"):
        Example(GlottalPulse(rate=8000), f0=(STREAM, np.array([[100.0], [5000.0]]))).render()
    with pytest.raises(ParameterError, match="glottal_pulse takes one pitch per frame"):
        GlottalPulse().streams(STREAM.like(width=2))
