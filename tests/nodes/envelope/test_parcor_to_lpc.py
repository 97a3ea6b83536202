import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.parcor import step_down
from dspgraph_nodes.envelope.parcor_to_lpc import ParcorToLpc, parcor_to_lpc


def drawn(order: int, count: int = 200) -> Array:
    """Return random rows [count, order + 1]: a gain, then `order` reflection coefficients, all from -1 to 1."""
    return np.random.default_rng(order).uniform(-1, 1, (count, order + 1))


EXAMPLES = [
    Example(ParcorToLpc(), parcor=(Frames(100, "parcor", 17), drawn(16))),
    Example(ParcorToLpc(), parcor=(Frames(100, "parcor", 2), drawn(1))),
]


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize("order", [1, 2, 10, 17, 32])
def test_it_is_pysptks(order: int) -> None:
    import pysptk

    rows = drawn(order)
    # It writes over its argument.
    expected = np.array([pysptk.par2lpc(row.copy()) for row in rows])
    assert_allclose(parcor_to_lpc(rows), expected, rtol=0, atol=1e-13 * np.abs(expected).max())  # 32 roundings


def test_reflections_below_1_make_stable_filters() -> None:
    for row in parcor_to_lpc(drawn(9)):
        assert np.abs(np.roots([1.0, *row[1:]])).max() < 1


def test_step_down_gives_the_reflections_back() -> None:
    rows = drawn(6)
    # A step down divides by 1 - k**2, down to 6e-4 in these rows.
    assert_allclose(step_down(parcor_to_lpc(rows)), rows, rtol=0, atol=1e-9)


def test_a_reflection_of_1_is_a_tone() -> None:
    w = np.linspace(0.1, 3.0, 30)
    rows = parcor_to_lpc(np.c_[np.ones(30), -np.cos(w), np.ones(30)])
    assert_allclose(rows, np.c_[np.ones(30), -2 * np.cos(w), np.ones(30)], rtol=0, atol=1e-15)


def test_no_reflection_is_no_prediction() -> None:
    assert_array_equal(parcor_to_lpc(np.eye(1, 17)), np.eye(1, 17))


def test_rate_and_centre_are_kept() -> None:
    stream = Frames(100, "parcor", 17, "1/200", np.float32)
    assert ParcorToLpc().streams(stream) == (stream.like(kind="lpc"),)
