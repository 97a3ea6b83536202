from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.cartesian import Cartesian, cartesian
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(32)
MAGNITUDE, PHASE = Frames(100, "magnitude", 33, "1/200"), Frames(100, "phase", 33, "1/200")
SQUARES, ANGLES = RNG.random((99, 33)) ** 2, RNG.uniform(-40, 40, (99, 33))
SIZES = 1e-7 + 1000 * (SQUARES * SQUARES) * (SQUARES * SQUARES)  # no power, no exp: the same on every machine
SIZES[20:25] = 0

EXAMPLES = [Example(Cartesian(), magnitude=(MAGNITUDE, SIZES), phase=(PHASE, ANGLES))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_magnitude_times_e_to_the_i_phase(dtype: Any) -> None:
    sizes, angles = SIZES.astype(dtype), ANGLES.astype(dtype)
    found = cartesian(sizes, angles)
    assert found.dtype == np.result_type(dtype, np.complex64)
    expected = sizes.astype(float) * np.exp(1j * angles.astype(float))
    assert (np.abs(found - expected) <= 2 * np.finfo(dtype).eps * sizes).all()  # a rounding each way


def test_magnitude_and_phase_give_the_spectrum_back() -> None:
    spectrum = SIZES * np.exp(1j * ANGLES)
    found = cartesian(np.abs(spectrum), np.angle(spectrum))
    assert (np.abs(found - spectrum) <= 1e-15 * SIZES).all()


def test_nothing_has_no_phase() -> None:
    assert_array_equal(np.abs(cartesian(np.zeros((2, 3)), np.full((2, 3), 1.0))), 0)


def test_rate_centre_and_precision_are_kept() -> None:
    (spectrum,) = Cartesian().streams(MAGNITUDE.at_precision(np.float32), PHASE.at_precision(np.float32))
    assert spectrum == Frames(100, "spectrum", 33, "1/200", np.complex64)


def test_more_phases_than_magnitudes_are_refused() -> None:
    with pytest.raises(ParameterError, match="cartesian takes as many magnitudes as phases"):
        Cartesian().streams(MAGNITUDE, PHASE.like(width=32))


def test_a_constant_q_transform_comes_back_as_one() -> None:
    magnitude, phase = MAGNITUDE.like(kind="constant_q_magnitude"), PHASE.like(kind="constant_q_phase")
    assert Cartesian().streams(magnitude, phase)[0].kind == "constant_q"
    for one, other in ((MAGNITUDE, phase), (magnitude, PHASE)):
        with pytest.raises(ParameterError, match="takes magnitudes and phases of the same bins; found .* one spectrum"):
            Cartesian().streams(one, other)


def test_allclose_sees_another_phase() -> None:
    """`assert_allclose`, which the other tests use, raises an error for spectra that are conjugate to each other."""
    with pytest.raises(AssertionError):
        assert_allclose(cartesian(SIZES, -ANGLES), cartesian(SIZES, ANGLES))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(cartesian, dtype, floats, (9, 33), (9, 33))
