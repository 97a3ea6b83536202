from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, ParameterError, to_fraction
from dspgraph.testing import Example
from dspgraph_nodes.trajectory.interpolate_frames import InterpolateFrames

RNG = np.random.default_rng(63)
STREAM = Frames(200, "mel", 3, "3/400")
ROWS = RNG.standard_normal((101, 3))
PITCH = np.where(RNG.random((101, 1)) < 0.3, 0.0, RNG.uniform(80, 200, (101, 1)))
EXAMPLES = [
    Example(InterpolateFrames(rate=62.5), x=(STREAM, ROWS)),
    Example(InterpolateFrames(rate=440), x=(STREAM, ROWS)),
    Example(InterpolateFrames(rate=1000), x=(STREAM.like(kind="f0", width=1), PITCH)),
    Example(InterpolateFrames(rate=200), x=(STREAM, ROWS)),
]


@pytest.mark.parametrize("rate", [7.3, 62.5, 100.0, 200.0, 441.0, 1000.0])
@pytest.mark.parametrize("count", [1, 2, 101])
def test_it_is_numpys_interpolation_in_time(rate: float, count: int) -> None:
    found = Example(InterpolateFrames(rate=rate), x=(STREAM, ROWS[:count])).render()["y"]
    times = np.arange(len(found)) / rate
    expected = [np.interp(times, np.arange(count) / 200, column) for column in ROWS[:count].T]
    assert_allclose(found, np.transpose(expected), rtol=0, atol=1e-12)
    assert len(found) == -(-count * to_fraction(rate) // 200)


def test_the_same_rate_changes_nothing() -> None:
    assert_array_equal(EXAMPLES[3].render()["y"], ROWS)


def test_voiced_and_unvoiced_frames_are_not_mixed() -> None:
    f0 = np.array([100.0, 200.0, 0.0, 0.0, 150.0])[:, None]
    found = Example(InterpolateFrames(rate=800), x=(STREAM.like(kind="f0", width=1), f0)).render()["y"][:, 0]
    assert_allclose(found[:5], [100, 125, 150, 175, 200])
    assert_array_equal(found[5:], [200, 200, 0, 0, 0, 0, 0, 0, 0, 0, 150, 150, 150, 150, 150])


def test_rate_changes_and_centre_stays() -> None:
    assert InterpolateFrames(rate=62.5).streams(STREAM) == (STREAM.like(rate=Fraction(125, 2)),)


def test_a_rate_of_too_many_digits_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"interpolate_frames\.rate is .*: this ratio has too many digits; take 100"
    ):
        InterpolateFrames(rate=100.12345678901).streams(STREAM)
