from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.power_to_magnitude import PowerToMagnitude, power_to_magnitude
from helpers.integers import check_integers, integers

STREAM = Frames(100, "power", 33, "1/200")
ROWS = np.random.default_rng(33).random((99, 33)) ** 4
ROWS[20:25] = 0

EXAMPLES = [Example(PowerToMagnitude(), power=(STREAM, ROWS))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_square_root(dtype: Any) -> None:
    found = power_to_magnitude(np.array([[0, 1, 4, 2.25]], dtype))
    assert found.dtype == dtype
    assert_array_equal(found, [[0, 1, 2, 1.5]])


def test_a_negative_power_is_refused() -> None:
    with pytest.raises(ValueError, match="the power of a bin is at least 0; row 1 has -0.5"):
        power_to_magnitude(np.array([[0.0, 1], [1, -0.5]]))


def test_rate_and_centre_are_kept() -> None:
    assert PowerToMagnitude().streams(STREAM) == (Frames(100, "magnitude", 33, "1/200"),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(power_to_magnitude, dtype, floats, (9, 33))
