import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.trajectory.segment_statistics import SegmentStatistics, segment_statistics

RNG = np.random.default_rng(36)
STREAM = Frames(200, "mcep+delta", 3, "1/400")
ROWS = RNG.standard_normal((133, 3))

EXAMPLES = [
    Example(SegmentStatistics(), frames=(STREAM, ROWS)),
    Example(SegmentStatistics(length=1, floor=0.5), frames=(STREAM, ROWS[:70])),
    Example(SegmentStatistics(length=64), frames=(STREAM, np.repeat(ROWS[:10], 10, axis=0))),
]


def render(node: SegmentStatistics, rows: Array) -> tuple[Array, Array]:
    found = Example(node, frames=(STREAM, rows)).render()
    return found["means"], found["variances"]


@pytest.mark.parametrize("length", [1, 2, 5, 64, 500])
def test_they_are_numpys_of_every_segment(length: int) -> None:
    means, variances = render(SegmentStatistics(length=length, floor=1e-3), ROWS)
    for begin in range(0, len(ROWS), length):
        segment = slice(begin, begin + length)
        rows = ROWS[segment]
        assert_allclose(means[segment], np.broadcast_to(rows.mean(axis=0), rows.shape), rtol=0, atol=1e-14)
        expected = np.maximum(rows.var(axis=0), 1e-3)
        assert_allclose(variances[segment], np.broadcast_to(expected, rows.shape), rtol=1e-13)  # 133 roundings


def test_a_length_of_1_gives_the_frames_back() -> None:
    means, variances = render(SegmentStatistics(length=1, floor=0.01), ROWS)
    assert_array_equal(means, ROWS)
    assert (variances == 0.01).all()


def test_the_last_segment_has_what_is_left() -> None:
    means, variances = segment_statistics(np.array([[1.0], [3.0]]), 1e-4)
    assert_array_equal(means, [[2], [2]])
    assert_array_equal(variances, [[1], [1]])
    assert_array_equal(
        render(SegmentStatistics(length=4), ROWS[:66])[0][64:], np.tile(ROWS[64:66].mean(axis=0), (2, 1))
    )


def test_kinds_rate_and_centre() -> None:
    assert SegmentStatistics().streams(STREAM) == (STREAM, STREAM.like(kind="variance"))


@pytest.mark.parametrize(
    ("node", "stream", "message"),
    [
        (SegmentStatistics(), STREAM.like(dtype=np.dtype(np.complex128)), "takes real rows"),
        (
            SegmentStatistics(floor=1e-40),
            STREAM.like(dtype=np.dtype(np.float32)),
            "floor is 1e-40, which float32 cannot hold: take 1.18e-38 to 3.4e.38",
        ),
        (
            SegmentStatistics(floor=1e300),
            STREAM.like(dtype=np.dtype(np.float32)),
            "floor is 1e.300, which float32 cannot",
        ),
    ],
)
def test_streams_that_do_not_fit_are_refused(node: SegmentStatistics, stream: Frames, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(stream)
