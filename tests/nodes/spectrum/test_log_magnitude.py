import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.log_magnitude import LogMagnitude, log_magnitude
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(34)
STREAM = Frames(100, "magnitude", 33, "1/200")
SQUARES = RNG.random((99, 33)) ** 2
ROWS = 1e-9 + 1000 * (SQUARES * SQUARES) * (SQUARES * SQUARES)  # no power, no exp: the same on every machine
ROWS[20:25] = 0

EXAMPLES = [
    Example(LogMagnitude(), magnitude=(STREAM, ROWS)),
    Example(LogMagnitude(floor=1e-6), magnitude=(STREAM, ROWS)),
    Example(LogMagnitude(), magnitude=(STREAM.like(kind="mel"), ROWS)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_numpys_logarithm(dtype: Any) -> None:
    rows = ROWS[30:].astype(dtype)
    # within an ulp of 21, the largest logarithm there is
    assert_allclose(log_magnitude(rows), np.log(rows.astype(float)), rtol=0, atol=32 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_is_the_logarithm_of_the_smallest_normal_number(dtype: Any) -> None:
    for silent in (0.0, 5e-324, np.finfo(dtype).smallest_subnormal):
        found = log_magnitude(np.full((2, 3), silent, dtype))
        assert_allclose(found, math.log(float(np.finfo(dtype).tiny)), rtol=2 * float(np.finfo(dtype).eps))
        assert np.isfinite(found).all()


def test_a_floor_is_the_least_magnitude() -> None:
    found = log_magnitude(ROWS, 1e-6)
    assert_array_equal(found[20:25], found.min())
    assert_allclose(found.min(), -13.815510557964274, rtol=1e-15)  # ln 1e-6
    # A floor that float32 rounds to 0 is the smallest normal number.
    assert np.isfinite(log_magnitude(np.zeros((1, 1), np.float32), 1e-100)).all()


def test_rate_and_centre_are_kept() -> None:
    assert LogMagnitude().streams(STREAM) == (Frames(100, "log_magnitude", 33, "1/200"),)


def test_a_constant_q_transform_has_logarithms_of_its_own() -> None:
    """These logarithms have a kind that the node `cepstrum` does not take.

    The cosines of a cepstrum belong to the bins of a Fourier transform.
    """
    (found,) = LogMagnitude().streams(STREAM.like(kind="constant_q_magnitude"))
    assert found.kind == "constant_q_log_magnitude"


def test_a_floor_of_0_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"log_magnitude\.floor is 0; it must be a number, above 0"):
        LogMagnitude(floor=0)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(log_magnitude, dtype, floats, (9, 33))


def test_log_mel_bands_have_their_own_kind() -> None:
    assert LogMagnitude().streams(STREAM.like(kind="mel")) == (STREAM.like(kind="log_mel"),)
