import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Array, Frames, Graph, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.lsf import lsf_of_lpc
from dspgraph_nodes.envelope.lsf_to_lpc import LsfToLpc, lsf_to_lpc

STREAM = Frames(100, "lsf", 17)


def drawn(order: int, count: int = 200) -> Array:
    """Return random rows [count, order + 1]: a gain, then `order` ascending frequencies, all from 0 to pi."""
    rows = np.random.default_rng(order).uniform(0, np.pi, (count, order + 1))
    rows[:, 1:].sort(axis=1)
    return rows


EXAMPLES = [
    Example(LsfToLpc(), lsf=(STREAM, drawn(16))),
    Example(LsfToLpc(), lsf=(STREAM.like(width=12), drawn(11))),
    Example(LsfToLpc(), lsf=(STREAM.like(width=2), drawn(1))),
]


def by_products(row: Array) -> Array:
    """Return the row (gain, a[1..order]) for a row (gain, line spectral frequencies), by products of polynomials."""
    order = len(row) - 1
    root = np.exp(1j * row[1:])
    p, q = (np.poly(np.r_[r, r.conj()]).real for r in (root[::2], root[1::2]))
    p = np.convolve(p, [1.0, 1.0]) if order % 2 == 0 else p
    q = np.convolve(q, [1.0, -1.0] if order % 2 == 0 else [1.0, 0.0, -1.0])
    found: Array = np.r_[row[0], (p + q)[1 : order + 1] / 2]
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 10, 16])
def test_it_is_half_the_sum_of_two_products(order: int) -> None:
    rows = drawn(order)
    expected = np.array([by_products(row) for row in rows])
    assert_allclose(lsf_to_lpc(rows), expected, rtol=0, atol=1e-11 * np.abs(expected).max())  # 2**16 roundings


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize("order", [1, 2, 11, 24])
def test_it_is_pysptks(order: int) -> None:
    import pysptk

    rows = drawn(order)
    expected = np.array([pysptk.lsp2lpc(row) for row in rows])
    assert_allclose(lsf_to_lpc(rows), expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_evenly_spaced_ones_predict_nothing() -> None:
    for order in (1, 2, 16, 33, 64):
        row = np.r_[1.0, np.pi * np.arange(1, order + 1) / (order + 1)]
        # The products are of order / 2 factors; measured 4e-14 at order 33, 9e-13 at 64
        assert_allclose(lsf_to_lpc(row[None])[0, 1:], np.zeros(order), rtol=0, atol=2e-12)


def test_the_frequencies_come_back() -> None:
    rows = np.array([row for row in drawn(10) if np.diff(row[1:], prepend=0, append=np.pi).min() > 0.02])
    assert len(rows) > 10
    assert_allclose(lsf_of_lpc(lsf_to_lpc(rows)), rows, rtol=0, atol=1e-9)


@pytest.mark.parametrize("fault", [[0.5, 0.4], [-0.1, 0.4], [3.0, 3.2], [np.nan, 1.0], [1.0, np.nan]])
def test_a_row_that_does_not_ascend_is_named(fault: list[float]) -> None:
    rows = np.tile([1.0, 0.5, 1.5], (100, 1))
    rows[77, 1:] = fault
    with pytest.raises(ValueError, match="row 77 is not ascending between 0 and pi"):
        lsf_to_lpc(rows)


def test_a_bad_frame_is_counted_from_the_start_of_the_signal() -> None:
    rows = np.tile([1.0, 0.5, 1.5], (100, 1))
    rows[77, 1:] = 2.0, 1.0
    session = Graph({"n": LsfToLpc()}, {"n.lsf": "lsf"}, {"lsf": STREAM.like(width=3)}, {"lpc": "n"}).session()
    session.push(lsf=rows[:60])
    with pytest.raises(NodeError, match="row 77 is not ascending"):
        session.push(lsf=rows[60:])


def test_a_gain_alone_is_refused() -> None:
    with pytest.raises(ParameterError, match="lsf_to_lpc takes a gain and one frequency or more"):
        LsfToLpc().streams(STREAM.like(width=1))


def test_rate_and_centre_are_kept() -> None:
    stream = Frames(100, "lsf", 17, "1/200", np.float32)
    assert LsfToLpc().streams(stream) == (stream.like(kind="lpc"),)
