"""The elementary functions, compared with numpy's in extended precision, and at the ends of their domains."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.maths.elementary import angle, cos, exp, log, phasor, sin, squared_magnitude

RNG = np.random.default_rng(70)
N = 50_000


def units(found: Array, expected: Array) -> float:
    """Return the largest error, in units of the last place that the expected value has in the dtype of `found`."""
    return float(
        np.max(np.abs(found.astype(np.longdouble) - expected) / np.spacing(np.abs(expected.astype(found.dtype))))
    )


# The bounds are what was measured, rounded up: a wrong coefficient or reduction costs thousands of units.
@pytest.mark.parametrize(
    ("function", "oracle", "x", "bound"),
    [
        (exp, np.exp, RNG.uniform(-700, 700, N), 1.2),
        (exp, np.exp, RNG.uniform(-1, 1, N), 1.2),
        (log, np.log, np.ldexp(RNG.uniform(0.5, 1, N), RNG.integers(-1000, 1000, N)), 0.9),
        (log, np.log, RNG.uniform(0.5, 2, N), 0.9),
        (log, np.log, 1 + RNG.uniform(-1e-5, 1e-5, N), 0.9),
        (cos, np.cos, RNG.uniform(-1000, 1000, N), 0.8),
        (sin, np.sin, RNG.uniform(-1000, 1000, N), 0.8),
        (sin, np.sin, RNG.uniform(-1e6, 1e6, N), 1.7),
        (cos, np.cos, np.arange(1, 2000, 2) * (np.pi / 2), 0.6),  # where it is nearly 0
        (sin, np.sin, np.arange(2, 2000, 2) * (np.pi / 2), 0.6),
    ],
)
def test_a_function_is_right_to_its_last_place(
    function: Callable[[Array], Array], oracle: Callable[[Array], Array], x: Array, bound: float
) -> None:
    assert units(function(x), oracle(x.astype(np.longdouble))) <= bound
    both = np.abs([x, oracle(x)])
    single = x[np.all((both < 1e38) & (both > 1e-37), axis=0)].astype(np.float32)
    assert units(function(single), oracle(single.astype(np.longdouble))) <= 0.501  # rounded once


def test_the_phasor_of_the_largest_numbers_lies_on_the_circle() -> None:
    assert np.abs(squared_magnitude(phasor(10.0 ** RNG.uniform(0, 300, N))) - 1).max() <= 1e-10


def test_the_angle_is_right_to_three_last_places() -> None:
    z = RNG.standard_normal(N) * np.exp(RNG.uniform(-20, 20, N)) + 1j * RNG.standard_normal(N)
    assert units(angle(z), np.arctan2(z.imag.astype(np.longdouble), z.real.astype(np.longdouble))) <= 3  # measured 2.8


def test_the_smallest_and_largest_numbers_have_a_logarithm() -> None:
    x = np.array([5e-324, 1e-310, 1.7e308])
    assert units(log(x), np.log(x.astype(np.longdouble))) <= 0.9


def test_the_edges_are_those_of_the_standard() -> None:
    assert_array_equal(
        exp(np.array([0.0, -np.inf, -1000.0, np.inf, 1000.0, np.nan])), [1, 0, 0, np.inf, np.inf, np.nan]
    )
    assert_array_equal(log(np.array([0.0, -1.0, np.inf, np.nan, 1.0])), [-np.inf, np.nan, np.inf, np.nan, 0])
    ends = np.array([0, 1, -1, 1j, -1j, complex(-1, -0.0), complex(-0.0, 0.0)])
    assert_array_equal(angle(ends), np.angle(ends))
    assert np.isnan(phasor(np.array([np.nan, np.inf]))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_precision_are_kept(dtype: type) -> None:
    x: Array = RNG.standard_normal((3, 4)).astype(dtype)[:, ::2]
    for function in (exp, cos, sin):
        assert function(x).shape == x.shape
        assert function(x).dtype == dtype
    z = phasor(x)
    assert z.dtype == np.result_type(dtype, np.complex64)
    assert angle(z).dtype == squared_magnitude(z).dtype == dtype
    assert np.abs(squared_magnitude(z) - 1).max() <= 4 * np.finfo(dtype).eps
