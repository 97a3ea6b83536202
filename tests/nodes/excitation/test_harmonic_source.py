import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.excitation.harmonic_source import HarmonicSource

RNG = np.random.default_rng(102)
STREAM = Frames(200, "f0", 1, "3/400")
F0 = np.where(RNG.random((66, 1)) < 0.3, 0.0, RNG.uniform(300, 900, (66, 1)))
EXAMPLES = [
    Example(HarmonicSource(rate=8000), f0=(STREAM, F0)),
    Example(HarmonicSource(rate=11025, harmonics=3), f0=(STREAM, F0)),
]


@pytest.mark.parametrize("most", [3, 10_000])
def test_it_is_the_sum_of_the_harmonics_below_half_the_rate(most: int) -> None:
    found = Example(HarmonicSource(rate=8000, harmonics=most), f0=(STREAM, F0)).render()["y"]
    pitch = np.repeat(F0[:, 0], 40)
    phase = np.concatenate(([0.0], np.cumsum(pitch / 8000)))[:-1]
    for n in range(0, len(found), 37):
        k = np.arange(1, most + 1)[: max(0, int(np.ceil(4000 / pitch[n]) - 1))] if pitch[n] else np.array([])
        expected = np.sqrt(2 / len(k)) * np.cos(2 * np.pi * k * phase[n]).sum() if len(k) else 0
        assert_allclose(found[n], expected, rtol=0, atol=1e-8)


def test_a_steady_pitch_gives_a_line_spectrum_of_unit_power() -> None:
    found = Example(HarmonicSource(), f0=(STREAM, np.full((200, 1), 100.0))).render()["y"]
    assert_allclose(np.mean(found**2), 1, rtol=1e-9)  # one second: whole periods of every harmonic
    lines = np.abs(np.fft.rfft(found)) / len(found) * 2
    assert_allclose(lines[100:8000:100], np.sqrt(2 / 79), rtol=1e-6)
    assert_array_equal(np.delete(lines, np.s_[100:8000:100]) < 1e-6, True)


def test_a_pitch_above_half_the_rate_is_refused() -> None:
    with pytest.raises(NodeError, match=r"at most 4000 Hz; row 1 has 5000 Hz"):
        Example(HarmonicSource(rate=8000), f0=(STREAM, np.array([[100.0], [5000.0]]))).render()
    with pytest.raises(ParameterError, match="harmonic_source takes one pitch per frame"):
        HarmonicSource().streams(STREAM.like(width=2))
