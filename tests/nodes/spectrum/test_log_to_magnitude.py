"""Magnitudes from their logarithms, compared with NumPy."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.log_to_magnitude import LogToMagnitude, log_to_magnitude
from helpers.integers import check_integers, integers

STREAM = Frames(100, "log_magnitude", 33, "1/200")
ROWS = np.random.default_rng(35).uniform(-80, 20, (99, 33))

EXAMPLES = [
    Example(LogToMagnitude(), log_magnitude=(STREAM, ROWS)),
    Example(LogToMagnitude(), log_magnitude=(STREAM.like(kind="log_mel"), ROWS)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_numpys_exponential(dtype: Any) -> None:
    rows = ROWS.astype(dtype)
    found = log_to_magnitude(rows)
    assert found.dtype == dtype
    assert_allclose(found, np.exp(rows.astype(float)), rtol=2 * float(np.finfo(dtype).eps))  # two roundings


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("log_magnitude", "magnitude"), ("log_mel", "mel"), ("constant_q_log_magnitude", "constant_q_magnitude")],
)
def test_rate_and_centre_are_kept_and_the_kind_loses_its_logarithm(kind: str, expected: str) -> None:
    assert LogToMagnitude().streams(STREAM.like(kind=kind)) == (STREAM.like(kind=expected),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(log_to_magnitude, dtype, floats, (9, 33))
