"""Checks of functions on integer arrays, such as recordings read as PCM."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array

integers = pytest.mark.parametrize(("dtype", "floats"), [(np.int16, np.float32), (np.int64, np.float64)])
"""Integer dtypes, each with the float dtype that holds all its numbers, as in numpy."""


def check_integers(function: Callable[..., Any], dtype: Any, floats: Any, *shapes: tuple[int, ...]) -> None:
    """Assert that a function gives the same result and dtype for integers as for floats of the same values."""
    arrays: list[Array] = [np.random.default_rng(1).integers(0, 1000, shape).astype(dtype) for shape in shapes]
    found, expected = np.asarray(function(*arrays)), np.asarray(function(*(x.astype(floats) for x in arrays)))
    assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert found.any()
