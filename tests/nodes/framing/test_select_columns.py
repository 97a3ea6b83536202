import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.framing.select_columns import SelectColumns

STREAM = Frames(100, "lpc", 17, "1/200")
ROWS = np.random.default_rng(21).standard_normal((99, 17))

EXAMPLES = [
    Example(SelectColumns(first=1, count=16, kind="predictor"), frames=(STREAM, ROWS)),
    Example(SelectColumns(count=17), frames=(STREAM, ROWS)),
    Example(SelectColumns(first=16, count=1), frames=(STREAM.like(dtype=np.complex128), ROWS * 1j)),
]


def test_the_columns_are_those_of_numpy() -> None:
    for example, expected in zip(EXAMPLES, (ROWS[:, 1:17], ROWS, 1j * ROWS[:, 16:17]), strict=True):
        assert_array_equal(example.render()["selected"], expected)


def test_the_kind_stays_unless_another_is_given() -> None:
    assert SelectColumns(count=3).streams(STREAM) == (STREAM.like(width=3),)
    assert SelectColumns(count=3, kind="predictor").streams(STREAM) == (STREAM.like(width=3, kind="predictor"),)


@pytest.mark.parametrize(("first", "count", "left"), [(0, 18, 17), (2, 16, 15), (17, 1, 0), (40, 1, 0)])
def test_columns_that_are_not_there_are_refused(first: int, count: int, left: int) -> None:
    with pytest.raises(ParameterError, match=f"count is {count}; from column {first} on .* has {left}: select fewer"):
        SelectColumns(first=first, count=count).streams(STREAM)
