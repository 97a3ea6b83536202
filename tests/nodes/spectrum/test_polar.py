from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.polar import Polar, polar
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(31)
STREAM = Frames(100, "spectrum", 33, "1/200", np.complex128)


def rows(n: int = 99) -> Array:
    """Return new random complex rows [n, 33] over many orders of magnitude and all angles; some bins and rows are 0.

    No exponential is used, so that they are the same on every machine.
    """
    u = RNG.random((n, 33, 1)) ** 2
    parts = RNG.standard_normal((n, 33, 2)) * (1e-7 + 1000 * (u * u) * (u * u))
    spectrum: Array = parts.view(np.complex128)[..., 0]
    spectrum[::7, 3:9] = 0
    spectrum[11:14] = -0.0
    return spectrum


EXAMPLES = [Example(Polar(), spectrum=(STREAM, rows()))]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_it_is_numpys_absolute_and_angle(dtype: Any) -> None:
    spectrum = rows().astype(dtype)
    magnitude, phase = polar(spectrum)
    assert magnitude.dtype == phase.dtype == spectrum.real.dtype
    eps = float(np.finfo(dtype).eps)
    assert_allclose(magnitude, np.abs(spectrum), rtol=2 * eps)  # each within an ulp or so
    heard = magnitude > 0
    assert_allclose(phase[heard], np.angle(spectrum)[heard], rtol=0, atol=4 * eps)
    assert_array_equal(phase[~heard], 0)  # where numpy says pi for -0


def test_the_ends_of_float32_are_not_lost_in_squares() -> None:
    spectrum = np.array([[3e-30 + 4e-30j, 3e30 - 4e30j]], np.complex64)
    assert_allclose(polar(spectrum)[0], [[5e-30, 5e30]], rtol=2e-7)


def test_half_a_turn_is_pi() -> None:
    assert_allclose(polar(np.array([[-1.0 + 0j, -1.0 - 0j, 1j, -1j, 1.0 + 0j]]))[1] / np.pi, [[1, 1, 0.5, -0.5, 0]])


def test_rate_and_centre_are_kept() -> None:
    magnitude, phase = Polar().streams(STREAM.at_precision(np.float32))
    assert magnitude == Frames(100, "magnitude", 33, "1/200", np.float32)
    assert phase == Frames(100, "phase", 33, "1/200", np.float32)


def test_a_constant_q_transform_has_a_magnitude_and_a_phase_of_its_own() -> None:
    """For a constant-Q transform, the kinds are constant_q_magnitude and constant_q_phase, not magnitude and phase.

    Mel bands, cepstra and Griffin-Lim need the bins of a Fourier transform.
    """
    found = [stream.kind for stream in Polar().streams(STREAM.like(kind="constant_q"))]
    assert found == ["constant_q_magnitude", "constant_q_phase"]


def test_real_rows_are_refused() -> None:
    with pytest.raises(ParameterError, match="polar takes complex rows"):
        Polar().streams(Frames(100, "spectrum", 33))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(polar, dtype, floats, (9, 33))
