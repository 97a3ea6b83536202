from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, Graph, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.delta import DeltaWindow, delta_features
from dspgraph_nodes._kernels.signal.mlpg import precisions, solve, trajectory, window_terms
from dspgraph_nodes.trajectory.mlpg import Mlpg, mlpg

STATIC: DeltaWindow = (0, 0, [1.0])
DELTA: DeltaWindow = (1, 1, [-0.5, 0.0, 0.5])
DELTA_DELTA: DeltaWindow = (1, 1, [1.0, -2.0, 1.0])
FIVE: DeltaWindow = (2, 2, [-0.2, -0.1, 0.0, 0.1, 0.2])  # the slope of a line through five frames, by least squares
SETS = {
    "static": [STATIC],
    "delta": [STATIC, DELTA],
    "delta_delta": [STATIC, DELTA, DELTA_DELTA],
    "five": [STATIC, FIVE],
}
LOPSIDED: list[DeltaWindow] = [STATIC, (1, 0, [-1.0, 1.0]), (0, 3, [0.3, 0.0, -0.5, 0.2])]

RNG = np.random.default_rng(31)


def drawn(frames: int, columns: int) -> tuple[Array, Array]:
    return RNG.standard_normal((frames, columns)), RNG.uniform(0.1, 4, (frames, columns))


def features(width: int, kind: str = "mcep+delta") -> Frames:
    return Frames(200, kind, width, "1/400")


EXAMPLES = [
    Example(
        Mlpg(),
        means=(features(15), RNG.standard_normal((333, 15))),
        variances=(features(15, "variance"), RNG.uniform(0.1, 4, (333, 15))),
    ),
    Example(
        Mlpg(reach=7),
        means=(features(6), RNG.standard_normal((120, 6))),
        variances=(features(6, "variance"), RNG.uniform(0.1, 4, (120, 6))),
    ),
    Example(
        Mlpg(windows=("static", (-0.2, -0.1, 0.0, 0.1, 0.2))),
        means=(features(2, "log_f0+delta"), np.repeat(RNG.standard_normal((7, 2)), 10, axis=0)),
        variances=(features(2, "variance"), np.repeat(RNG.uniform(0.001, 9, (7, 2)), 10, axis=0)),
    ),
]


def given(frames: int, columns: int) -> tuple[Array, Array]:
    """Return means and variances, [frames, columns] each, that have the same bits on every machine.

    They are made by whole-number arithmetic and one division, without random numbers.
    """
    n = np.arange(frames * columns).reshape(frames, columns)
    return n * 7919 % 1009 / 1009 - 0.5, n * 104729 % 997 / 997 + 0.05


# nnmnkwii 0.1.3, numpy 2.4: mlpg(*given(frames, 2 * len(windows)), windows), windows as arrays; of 1000 frames the
# numbers 0, 1, 2, 500, 998 and 999.
NNMNKWII: dict[tuple[str, int], list[list[float]]] = {
    ("static", 1): [[-0.5, 0.34836471754212095]],
    ("static", 2): [[-0.5, 0.34836471754212095], [0.19672943508424182, 0.04509415262636273]],
    ("static", 3): [[-0.5, 0.34836471754212095], [0.19672943508424182, 0.04509415262636273], [-0.1065411298315164, -0.2581764122893954]],
    ("static", 1000): [[-0.5, 0.34836471754212095], [0.19672943508424182, 0.04509415262636273], [-0.1065411298315164, -0.2581764122893954], [-0.1352824578790882, -0.2869177403369673], [-0.16402378592666006, -0.31565906838453917], [-0.4672943508424183, 0.3810703666997025]],
    ("delta", 1): [[-0.5, 0.34836471754212095]],
    ("delta", 2): [[-0.5, 0.34836471754212095], [-0.1065411298315164, -0.2581764122893954]],
    ("delta", 3): [[-0.4530864768776867, 0.29645757308066883], [-0.1065411298315164, -0.2581764122893954], [-0.09126078055975513, 0.3818759619615435]],
    ("delta", 1000): [[-0.4552682093182218, 0.2902151254420423], [-0.10506968144473491, -0.2338854308086735], [-0.14838628242552251, 0.2804237162416173], [0.014437301984932593, 0.12413896278168794], [0.3080217245251716, 0.12440114490284969], [-0.44491664647814705, 0.10838196574476386]],
    ("delta_delta", 1): [[-0.5, 0.34836471754212095]],
    ("delta_delta", 2): [[-0.5, 0.34836471754212095], [-0.4098116947472745, 0.4385530227948465]],
    ("delta_delta", 3): [[-0.5117714432379964, 0.33404459930698177], [-0.37929527544869573, 0.2709559699229559], [-0.2393572628206159, -0.08513360242851932]],
    ("delta_delta", 1000): [[-0.5128800519024779, 0.31099962061211117], [-0.3580046843967952, 0.16120825170222303], [-0.16036250861747092, -0.1685762313310373], [-0.4514052491471417, 0.045535671246311735], [0.053831290227883015, 0.29756033503784873], [-0.19273319677966314, 0.2511570586087052]],
    ("five", 1): [[-0.5, 0.34836471754212095]],
    ("five", 2): [[-0.5, 0.34836471754212095], [-0.1065411298315164, -0.2581764122893954]],
    ("five", 3): [[-0.5, 0.34836471754212095], [-0.1065411298315164, -0.2581764122893954], [0.28691774033696726, 0.1352824578790882]],
    ("five", 1000): [[-0.4970666117071057, 0.3502899213563742], [-0.11580423345821365, -0.2667574381074088], [0.29521897916125883, 0.16089678558862924], [0.24436705339628792, 0.08409538811789496], [0.23870879795486188, 0.0461349819295905], [-0.18387375057089925, 0.49425976589366544]],
}  # fmt: skip
# The same with one row of variances: mlpg(means, variances[0], windows)[500], and .sum(axis=0), 1000 frames.
ONE_ROW: dict[str, tuple[list[float], list[float]]] = {
    "static": ([-0.1352824578790882, -0.28691774033696726], [-0.6471754212091145, -0.28245787908820613]),
    "delta": ([0.10752930617364403, 0.10230887871769932], [-0.29435084241824006, 0.07036669970267295]),
    "delta_delta": ([-0.38598712543291935, 0.1321754333035159], [-0.9415262636273548, 0.4231912784935566]),
    "five": ([0.2326646846083764, 0.11104269643431985], [-0.29435084241824216, 0.0703666997026744]),
}


@pytest.mark.parametrize(("windows", "frames"), NNMNKWII)
def test_it_is_nnmnkwiis(windows: str, frames: int) -> None:
    y = mlpg(*given(frames, 2 * len(SETS[windows])), SETS[windows])
    found = y if frames < 10 else y[[0, 1, 2, 500, 998, 999]]
    assert_allclose(
        found, NNMNKWII[windows, frames], rtol=0, atol=1e-14
    )  # the figure the peers agree to; measured 3e-15


@pytest.mark.parametrize("windows", SETS)
def test_one_row_of_variances_is_that_row_for_every_frame(windows: str) -> None:
    means, variances = given(1000, 2 * len(SETS[windows]))
    y = mlpg(means, variances[0], SETS[windows])
    at_500, total = ONE_ROW[windows]
    assert_allclose(y[500], at_500, rtol=0, atol=1e-14)
    assert_allclose(y.sum(axis=0), total, rtol=0, atol=1e-11)  # a thousand of them
    assert_array_equal(y, mlpg(means, np.tile(variances[0], (1000, 1)), SETS[windows]))


def dense(windows: list[DeltaWindow], frames: int) -> list[Array]:
    """Return every window as a matrix [frames, frames]: its product with a trajectory is the delta features.

    Before its first frame and after its last, a trajectory counts as zero.
    """
    matrices = []
    for left, right, c in windows:
        w = np.zeros((frames, frames))
        for t in range(frames):
            for k in range(-left, right + 1):
                if 0 <= t + k < frames:
                    w[t, t + k] = c[left + k]
        matrices.append(w)
    return matrices


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 60])
@pytest.mark.parametrize("windows", [*SETS.values(), LOPSIDED], ids=[*SETS, "lopsided"])
def test_the_banded_solution_is_that_of_the_whole_matrix(windows: list[DeltaWindow], frames: int) -> None:
    dimensions = 3
    means, variances = drawn(frames, dimensions * len(windows))
    edge = max(max(left, right) for left, right, _ in windows)
    p = 1 / variances
    p[:edge, dimensions:] = 0
    p[max(0, frames - edge) :, dimensions:] = 0
    matrices = dense(windows, frames)
    expected = np.empty((frames, dimensions))
    for d in range(dimensions):
        columns = range(d, len(windows) * dimensions, dimensions)
        r = sum(w.T @ np.diag(p[:, c]) @ w for w, c in zip(matrices, columns, strict=True))
        b = sum(w.T @ (p[:, c] * means[:, c]) for w, c in zip(matrices, columns, strict=True))
        expected[:, d] = np.linalg.solve(r, b)
    # Condition numbers reach 500 (variances from 0.1 to 4, windows of norm sqrt(6)): 1e-13 at worst, measured 1e-14.
    assert_allclose(mlpg(means, variances, windows), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("frames", [1, 2, 3, 1000])
@pytest.mark.parametrize("windows", [*SETS.values(), LOPSIDED], ids=[*SETS, "lopsided"])
def test_the_features_of_a_trajectory_give_it_back_under_any_variance(windows: list[DeltaWindow], frames: int) -> None:
    x = RNG.standard_normal((frames, 5))
    means = delta_features(x, windows)
    # Bounds: the figure known of this solution, measured 6e-15; condition numbers of 6 times the ratio of the variances,
    # 300 roundings of 1e-16, measured 1.8e-14; and 2e7 of them, measured 5e-11.
    for least, most, bound in ((0.5, 2, 8e-15), (0.1, 4, 5e-14), (1e-4, 256, 2e-9)):
        variances = np.exp(RNG.uniform(np.log(least), np.log(most), means.shape))
        assert_allclose(mlpg(means, variances, windows), x, rtol=0, atol=bound)


def test_with_a_reach_a_frame_is_that_of_the_frames_around_it() -> None:
    means, variances = drawn(60, 6)
    node = Mlpg(reach=9)
    given = {"means": (features(6), means), "variances": (features(6, "variance"), variances)}
    found = Example(node, **given).render()["frames"]
    windows = [STATIC, DELTA, DELTA_DELTA]
    for t in range(60):
        part = slice(max(0, t - 9), t + 10)
        assert_array_equal(found[t], mlpg(means[part], variances[part], windows)[min(t, 9)])


@pytest.mark.parametrize("block", [3, 60])
def test_with_a_reach_an_error_names_the_frame_of_the_whole_signal(block: int) -> None:
    def run(variances: Array) -> None:
        node = Mlpg(windows=("static", "delta"), reach=5)
        state = node.start(features(2), features(2, "variance"))
        for k in range(0, 60, block):
            state, _ = node.step(state, np.zeros((block, 2)), variances[k : k + block])

    negative, unlike = np.ones((60, 2)), np.ones((60, 2))
    negative[43, 1], unlike[43:, 1] = -1, 1e-30
    with pytest.raises(ValueError, match="row 43, column 1 is -1"):
        run(negative)
    with pytest.raises(ValueError, match="around frame 4[2-5] differ"):
        run(unlike)


@pytest.mark.parametrize(("reach", "most"), [(10, 0.1), (20, 4e-3), (40, 1e-5)])
def test_the_influence_of_a_frame_sinks_with_its_distance(reach: int, most: float) -> None:
    """The output with a limited `reach` differs from the solution for the whole signal by less than `most`.

    The means are a staircase; the variances of dynamic features are a tenth of the static ones. Measured differences:
    0.06, 0.002 and 3e-6.
    """
    means = np.repeat(RNG.standard_normal((30, 1)), 10, axis=0) * [1.0, 0.0, 0.0]
    variances = np.tile([1.0, 0.1, 0.1], (300, 1))
    given = {"means": (features(3), means), "variances": (features(3, "variance"), variances)}
    found = Example(Mlpg(reach=reach), **given).render()["frames"]
    whole = mlpg(means, variances, [STATIC, DELTA, DELTA_DELTA])
    assert np.abs(found - whole).max() < most


def test_a_smaller_variance_of_the_dynamic_features_makes_a_smoother_trajectory() -> None:
    steps = np.repeat(RNG.standard_normal(20), 10)[:, None]
    means = np.hstack((steps, np.zeros_like(steps)))
    bends = [np.abs(np.diff(mlpg(means, np.array([1.0, v]), SETS["delta"]), axis=0)).max() for v in (10, 1, 0.1, 0.01)]
    assert bends == sorted(bends, reverse=True)
    assert bends[-1] < bends[0] / 4


def test_a_dimension_has_the_same_bits_whoever_stands_beside_it() -> None:
    means, variances = drawn(50, 3 * 61)
    y = mlpg(means, variances, SETS["delta_delta"])
    for d in (0, 17, 60):
        assert_array_equal(mlpg(means[:, d::61], variances[:, d::61], SETS["delta_delta"]), y[:, d : d + 1])


def test_the_factor_solves_other_right_hand_sides() -> None:
    means, variances = drawn(40, 6)
    terms = window_terms(SETS["delta_delta"])
    _, factor = trajectory(means, precisions(variances, 40, terms), terms)
    g = RNG.standard_normal((40, 2))
    p = 1 / variances
    p[:1, 2:] = p[-1:, 2:] = 0
    for d in range(2):
        r = sum(w.T @ np.diag(p[:, 2 * k + d]) @ w for k, w in enumerate(dense(SETS["delta_delta"], 40)))
        assert_allclose(r @ solve(factor, g)[:, d], g[:, d], rtol=0, atol=1e-13)  # 40 roundings of numbers up to 60


def test_single_precision_is_the_double_result_rounded() -> None:
    means, variances = (array.astype(np.float32) for array in drawn(50, 6))
    y = mlpg(means, variances, SETS["delta_delta"])
    assert y.dtype == np.float32
    expected = mlpg(means.astype(np.float64), variances.astype(np.float64), SETS["delta_delta"])
    assert_array_equal(y, expected.astype(np.float32))


def test_no_frames_give_no_frames() -> None:
    assert mlpg(np.empty((0, 6)), np.empty((0, 6)), SETS["delta_delta"]).shape == (0, 2)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([], "the first window is missing"),
        ([DELTA, STATIC], r"the first window is \(1, 1, \(-0\.5, 0\.0, 0\.5\)\), not the static one"),
        ([(0, 0, [2.0])], "not the static one"),
        ([(1, 0, [1.0, 0.0])], "not the static one"),
        ([STATIC, (1, 1, [1.0, -1.0])], r"window 1 is \(1, 1, \[1\.0, -1\.0\]\): .* l \+ u \+ 1 finite coefficients"),
        ([STATIC, (-1, 1, [1.0])], "reaches l >= 0 frames back"),
        ([STATIC, (0, 0, [np.nan])], "finite coefficients"),
    ],
)
def test_windows_that_are_none_are_refused(windows: list[DeltaWindow], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mlpg(np.zeros((5, 6)), np.ones((5, 6)), windows)


def test_a_static_window_may_be_written_with_zeros_around_it() -> None:
    means, variances = drawn(9, 4)
    assert_array_equal(mlpg(means, variances, [(1, 1, [0.0, 1.0, 0.0]), DELTA]), mlpg(means, variances, SETS["delta"]))


@pytest.mark.parametrize("variance", [0.0, -1.0, np.nan, np.inf, 1e-200, 1e200])
def test_variances_that_are_none_are_refused(variance: float) -> None:
    variances = np.ones((9, 4))
    variances[7, 3] = variance
    with pytest.raises(ValueError, match=r"a variance must be from 1e-100 to .*; row 7, column 3 is"):
        mlpg(np.zeros((9, 4)), variances, SETS["delta"])


@pytest.mark.parametrize("windows", ["delta", "delta_delta", "five"])
@pytest.mark.parametrize("least", [1e-16, 1e-18, 1e-20, 1e-30, 1e-90])
def test_variances_that_float64_cannot_tell_apart_are_refused(least: float, windows: str) -> None:
    # Beside a precision of 1e16 that of a static feature, 1, is lost in the sum, and R is singular.
    variances = np.full((50, len(SETS[windows])), least)
    variances[:, 0] = 1
    with pytest.raises(ValueError, match=r"around frame \d+ differ too much for float64: set a higher floor"):
        mlpg(np.zeros_like(variances), variances, SETS[windows])


@pytest.mark.parametrize(
    ("means", "variances"),
    [((5, 5), (5, 5)), ((5, 4), (5, 2)), ((5, 4), (4, 4)), ((5, 4), (2,)), ((4,), (4,)), ((5, 0), (5, 0))],
)
def test_shapes_that_do_not_fit_are_refused(means: tuple[int, ...], variances: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="columns|one row of 4"):
        mlpg(np.zeros(means), np.ones(variances), SETS["delta"])


def test_a_mean_that_is_no_number_stays_in_its_own_dimension() -> None:
    means, variances = drawn(20, 4)
    means[7, 0] = np.nan
    y = mlpg(means, variances, SETS["delta"])
    assert np.isnan(y[7, 0])
    assert np.isfinite(y[:, 1]).all()


@pytest.mark.parametrize(
    ("node", "means", "variances", "message"),
    [
        (Mlpg(), features(15, "mcep"), features(15, "variance"), r"of a kind such as 'mcep\+delta'; found .*: put a 'delta'"),
        (Mlpg(), features(16), features(16, "variance"), "are 3, which do not divide the 16 features"),
        (Mlpg(), features(15), features(5, "variance"), "found 15 features and 5 variances: give as many"),
        (Mlpg(), features(15).like(dtype=np.dtype(np.complex128)), features(15, "variance"), "takes real rows"),
        (Mlpg(windows=("delta",)), features(15), features(15, "variance"), r"mlpg\.windows begins with \[-0\.5, 0\.0, 0\.5\]"),
        (Mlpg(windows=()), features(15), features(15, "variance"), r"mlpg\.windows begins with nothing"),
        (Mlpg(windows=("static", (1.0, -1.0))), features(15), features(15, "variance"), "an odd number of coefficients"),
        (Mlpg(windows=("static", (0.0,))), features(15), features(15, "variance"), "a coefficient that is not 0"),
    ],
)  # fmt: skip
def test_streams_that_do_not_fit_are_refused(node: Mlpg, means: Frames, variances: Frames, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(means, variances)


def test_a_window_that_has_no_name_is_refused() -> None:
    with pytest.raises(ParameterError, match="windows"):
        Mlpg(windows=("static", "acceleration"))


def test_a_variance_that_is_none_names_the_node() -> None:
    inputs: dict[str, Any] = {"means": features(3), "variances": features(3, "variance")}
    graph = Graph({"mlpg": Mlpg()}, {"mlpg.means": "means", "mlpg.variances": "variances"}, inputs, {"y": "mlpg"})
    with pytest.raises(NodeError, match=r"mlpg .* row 0, column 0 is 0: set a floor"):
        graph(means=np.zeros((70, 3)), variances=np.zeros((70, 3)))


def test_the_kind_rate_and_centre_of_the_statics_come_back() -> None:
    means = features(15).like(dtype=np.dtype(np.float32))
    assert Mlpg().streams(means, features(15, "variance")) == (means.like(kind="mcep", width=5),)
