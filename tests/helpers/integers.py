"""A check that a function accepts integer arrays, such as recordings read as PCM."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array

integers = pytest.mark.parametrize(("dtype", "floats"), [(np.int16, np.float32), (np.int64, np.float64)])
"""Test parameters: an integer dtype, and the float dtype to which numpy converts it."""


def check_integers(function: Callable[..., Any], dtype: Any, floats: Any, *shapes: tuple[int, ...]) -> None:
    """Assert that a function returns the same values and dtype for integers as for floats of the same values.

    function: takes one array for each of `shapes`, of random integers from 0 to 999, and returns one array, which must
    not be all zeros; dtype: the dtype of the integers; floats: the dtype of the floats.
    """
    arrays: list[Array] = [np.random.default_rng(1).integers(0, 1000, shape).astype(dtype) for shape in shapes]
    found, expected = np.asarray(function(*arrays)), np.asarray(function(*(x.astype(floats) for x in arrays)))
    assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert found.any()
