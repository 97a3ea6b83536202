from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import correlate1d

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.delta import DeltaWindow
from dspgraph_nodes._kernels.signal.mlpg import precisions, trajectory, window_terms
from dspgraph_nodes.trajectory.delta import Delta, delta

RNG = np.random.default_rng(32)
FIVE = (-0.2, -0.1, 0.0, 0.1, 0.2)
WINDOWS: list[DeltaWindow] = [(0, 0, [1.0]), (1, 1, [-0.5, 0.0, 0.5]), (1, 1, [1.0, -2.0, 1.0])]


def rows(width: int = 5, kind: str = "mcep") -> Frames:
    return Frames(Fraction(200), kind, width, Fraction(1, 400))


EXAMPLES = [
    Example(Delta(), frames=(rows(), RNG.standard_normal((333, 5)))),
    Example(
        Delta(windows=("static", FIVE, (0.1,) * 9)),
        frames=(rows(1, "log_f0"), np.hstack((np.zeros(40), RNG.standard_normal(61)))[:, None]),
    ),
    Example(Delta(windows=("static",)), frames=(rows(2), RNG.standard_normal((64, 2)))),
]


@pytest.mark.parametrize("coefficients", [(-0.5, 0.0, 0.5), (1.0, -2.0, 1.0), FIVE, (0.3,)])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 50])
def test_a_feature_is_the_correlation_with_its_window(frames: int, coefficients: tuple[float, ...]) -> None:
    x = RNG.standard_normal((frames, 3))
    node = Delta(windows=("static", coefficients))
    found = Example(node, frames=(rows(3), x)).render()["features"]
    assert_array_equal(found[:, :3], x)
    expected = correlate1d(x, coefficients, axis=0, mode="constant")
    assert_allclose(found[:, 3:], expected, rtol=0, atol=1e-15)  # four roundings of numbers about 1


def test_features_follow_one_another_window_by_window() -> None:
    x = np.array([[1.0, 10.0], [2.0, 40.0], [4.0, 90.0]])
    expected = [
        [1, 10, 1.0, 20, 0, 20],  # before the first frame is 0: 0.5 * 2, 2 - 2 * 1
        [2, 40, 1.5, 40, 1, 20],
        [4, 90, -1.0, -20, -6, -140],
    ]
    assert_array_equal(delta(x, WINDOWS), expected)
    assert_array_equal(Example(Delta(), frames=(rows(2), x)).render()["features"], expected)


def test_a_lopsided_window_reaches_where_it_says() -> None:
    x = np.arange(1.0, 6.0)[:, None]
    assert_array_equal(delta(x, [(0, 0, [1.0]), (2, 0, [1.0, 0.0, 0.0]), (0, 1, [0.0, 1.0])])[:, 1], [0, 0, 1, 2, 3])
    assert_array_equal(delta(x, [(0, 0, [1.0]), (2, 0, [1.0, 0.0, 0.0]), (0, 1, [0.0, 1.0])])[:, 2], [2, 3, 4, 5, 0])


def test_the_most_likely_trajectory_of_the_features_is_the_signal() -> None:
    x: Array = RNG.standard_normal((1000, 5))
    terms = window_terms(WINDOWS)
    y, _ = trajectory(delta(x, WINDOWS), precisions(RNG.uniform(0.5, 2, (1000, 15)), 1000, terms), terms)
    assert_allclose(y, x, rtol=0, atol=8e-15)  # the figure known of this solution; measured 5e-15


def test_it_waits_for_as_many_frames_as_the_widest_window_reaches() -> None:
    assert Delta().lookahead(rows()) == Fraction(1, 200)
    assert Delta(windows=("static", "delta", FIVE)).lookahead(rows()) == Fraction(2, 200)
    assert Delta(windows=("static",)).lookahead(rows()) == 0


def test_the_kind_says_that_there_are_dynamic_features() -> None:
    assert Delta().streams(rows()) == (rows(15, "mcep+delta"),)
    assert Delta(windows=("static", FIVE)).streams(rows(1, "log_f0")) == (rows(2, "log_f0+delta"),)


@pytest.mark.parametrize(
    ("node", "frames", "message"),
    [
        (Delta(windows=()), rows(), r"delta\.windows begins with nothing; the first window must be static"),
        (Delta(windows=("delta", "static")), rows(), r"begins with \[-0\.5, 0\.0, 0\.5\]; .*: write 'static' first"),
        (Delta(windows=("static", (1.0, -1.0))), rows(), "an odd number of coefficients"),
        (Delta(windows=("static", (0.0, 0.0, 0.0))), rows(), "a coefficient that is not 0"),
        (Delta(), rows().like(dtype=np.dtype(np.complex128)), "delta takes real rows"),
    ],
)
def test_windows_and_rows_that_do_not_fit_are_refused(node: Delta, frames: Frames, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(frames)


def test_a_coefficient_that_is_no_number_is_refused() -> None:
    with pytest.raises(ParameterError, match="windows"):
        Delta(windows=("static", (float("nan"),)))
