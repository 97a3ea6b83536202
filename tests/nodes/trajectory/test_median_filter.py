import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.trajectory.median_filter import MedianFilter, median_filter

RNG = np.random.default_rng(61)
STREAM = Frames(100, "f0", 2, "1/200")
ROWS = RNG.standard_normal((90, 2))
EXAMPLES = [Example(MedianFilter(length=length), x=(STREAM, ROWS)) for length in (1, 5, 21)]


@pytest.mark.parametrize("length", [1, 3, 5, 21])
@pytest.mark.parametrize("count", [1, 2, 7, 90])
def test_it_is_scipys_median_with_the_ends_repeated(length: int, count: int) -> None:
    expected = ndimage.median_filter(ROWS[:count], size=(length, 1), mode="nearest")
    assert_array_equal(median_filter(ROWS[:count], length), expected)
    assert_array_equal(Example(MedianFilter(length=length), x=(STREAM, ROWS[:count])).render()["y"], expected)


@pytest.mark.parametrize("gap", [2, 3])
def test_gaps_of_at_most_half_the_length_are_filled(gap: int) -> None:
    x = np.full((20, 1), 100.0)
    x[8 : 8 + gap] = 0
    assert (median_filter(x, 5) > 0).all() == (gap <= 2)


def test_even_lengths_and_complex_rows_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"median_filter\.length is 4; it must be odd: take 5"):
        MedianFilter(length=4).streams(STREAM)
    with pytest.raises(ParameterError, match="median_filter takes real rows"):
        MedianFilter().streams(STREAM.like(dtype="complex64"))
