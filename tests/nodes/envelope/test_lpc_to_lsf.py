import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import eigvalsh_tridiagonal

from dspgraph import Array, Frames, Graph, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.lsf import lpc_of_lsf, lsf_of_parcor
from dspgraph_nodes.envelope.lpc_to_lsf import LpcToLsf, lpc_to_lsf
from helpers.prediction import predictors

STREAM = Frames(100, "lpc", 17)

EXAMPLES = [
    Example(LpcToLsf(), lpc=(STREAM, predictors(16, 160, 16000))),
    Example(LpcToLsf(), lpc=(STREAM.like(width=12), predictors(11, 160, 16000))),
    Example(LpcToLsf(), lpc=(STREAM.like(width=2), predictors(1, 160, 16000))),
]


def by_roots(row: Array) -> Array:
    """Return the line spectral frequencies [order] of a row (gain, a[1..order]), ascending, as angles of zeros.

    The zeros are those of the sum and of the difference of A(z) and its mirrored polynomial, at angles between 0 and
    pi, without these two angles. The gain is left out.
    """
    a = np.r_[1.0, row[1:], 0.0]
    angles = np.concatenate([np.angle(np.roots(a + sign * a[::-1])) for sign in (1, -1)])
    return np.sort(angles[(angles > 1e-6) & (angles < np.pi - 1e-6)])


@pytest.mark.parametrize("order", [1, 2, 3, 10, 16, 25, 32])
def test_they_are_the_angles_of_the_roots_on_every_frame_of_speech(order: int) -> None:
    rows = predictors(order, 160)
    expected = np.array([by_roots(row) for row in rows])
    # numpy's roots are good to the root of the closest pair's conditioning: measured 2e-12 at order 16, 4e-11 at 32
    assert_allclose(lpc_to_lsf(rows)[:, 1:], expected, rtol=0, atol=1e-9)
    assert_array_equal(lpc_to_lsf(rows)[:, 0], rows[:, 0])


@pytest.mark.parametrize("order", range(10, 33))
def test_the_predictor_comes_back_on_every_frame_of_speech(order: int) -> None:
    rows = predictors(order, 160)
    lsf = lpc_to_lsf(rows)
    assert (np.diff(lsf[:, 1:], axis=1) > 0).all()
    assert (lsf[:, 1] > 0).all()
    assert (lsf[:, -1] < np.pi).all()
    assert_allclose(lpc_of_lsf(lsf), rows, rtol=0, atol=1e-11)  # promised 1e-6; measured 4e-13


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_they_are_pysptks_where_pysptk_finds_them() -> None:
    import pysptk

    rows = predictors(16, 160)
    expected = np.array([pysptk.lpc2lsp(row, numsp=512, maxiter=20) for row in rows])
    assert_allclose(lpc_to_lsf(rows), expected, rtol=0, atol=1e-6)  # its bisection ends at 1e-6 of the cosine


@pytest.mark.parametrize("order", [1, 2, 7, 16, 33])
def test_a_silent_frame_has_them_evenly_spaced(order: int) -> None:
    expected = np.r_[0, np.pi * np.arange(1, order + 1) / (order + 1)]  # 1 +- z**-(order + 1)
    assert_allclose(lpc_to_lsf(np.zeros((1, order + 1)))[0], expected, rtol=0, atol=1e-15 * order)


@pytest.mark.parametrize("k", [0.9, 0.999, 1 - 1e-9, 1 - 1e-15])
@pytest.mark.parametrize("order", [1, 2, 5, 16, 32, 64])
def test_none_is_missed_however_close_they_lie(order: int, k: float) -> None:
    # With all reflections near +-1 pairs of them all but meet, which a search along the frequencies would step over.
    # Scipy's eigenvalues of the matrices twice as large, 2 cos(w / 2) and its negative, are as exact.
    signs = np.random.default_rng(order).choice([-1.0, 1.0], (20, order))
    rows = np.c_[np.ones(20), k * signs]
    lsf = lsf_of_parcor(rows)[:, 1:]
    assert (np.diff(lsf, axis=1) >= 0).all()
    for row, found in zip(rows, lsf, strict=True):
        before, now = np.r_[1.0, row[1:-1]], row[1:]
        for matrix, frequencies in (
            ((1 - now) * (1 + before), found[::2]),
            (((1 + now) * (1 - before))[1:], found[1::2]),
        ):
            values = eigvalsh_tridiagonal(np.zeros(len(matrix) + 1), np.sqrt(matrix))
            expected = np.sort(values)[::-1][: len(frequencies)]
            # Each solver is good to some roundings, 2.2e-16, of the largest square, 4; measured 6e-14 at order 64
            assert_allclose(4 * np.cos(frequencies / 2) ** 2, expected**2, rtol=0, atol=2e-13)


def test_a_tone_has_a_pair_at_its_frequency() -> None:
    w = np.linspace(0.1, 3.0, 30)
    for dtype, tolerance in ((np.float64, 1e-7), (np.float32, 2e-3)):  # the root of a rounding: the pair is all but one
        lsf = lpc_to_lsf(np.c_[np.ones(30), -2 * np.cos(w), np.ones(30)].astype(dtype))
        assert_allclose(lsf[:, 1:], np.c_[w, w], rtol=0, atol=tolerance)


def test_an_unstable_frame_is_counted_from_the_start_of_the_signal() -> None:
    rows = np.zeros((100, 3))
    rows[77, 2] = -1.5
    with pytest.raises(ValueError, match="row 77 is no stable predictor: its reflection coefficient 2 is -1.5"):
        lpc_to_lsf(rows)
    session = Graph({"n": LpcToLsf()}, {"n.lpc": "lpc"}, {"lpc": STREAM.like(width=3)}, {"lsf": "n"}).session()
    session.push(lpc=rows[:60])
    with pytest.raises(NodeError, match="row 77 is no stable predictor"):
        session.push(lpc=rows[60:])


def test_a_gain_alone_is_refused() -> None:
    with pytest.raises(ParameterError, match="lpc_to_lsf takes a gain and one coefficient or more"):
        LpcToLsf().streams(STREAM.like(width=1))


def test_rate_and_centre_are_kept() -> None:
    stream = Frames(100, "lpc", 17, "1/200", np.float32)
    assert LpcToLsf().streams(stream) == (stream.like(kind="lsf"),)
