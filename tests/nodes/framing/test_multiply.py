import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.framing.multiply import Multiply, multiply

RNG = np.random.default_rng(54)
STREAM = Frames(100, "mel", 3, "1/200")
ONE = STREAM.like(kind="voicing", width=1)
A, B = RNG.standard_normal((2, 80, 3))
EXAMPLES = [
    Example(Multiply(), x=[(STREAM, A), (STREAM, B), (ONE, A[:, :1])]),
    Example(Multiply(kind="both"), x=[(STREAM, A)]),
]


def test_it_is_numpys_multiply() -> None:
    assert_array_equal(multiply([A, B]), np.multiply(A, B))
    assert_array_equal(multiply([A[:, :1], B]), np.multiply(A[:, :1], B))
    rendered = Example(Multiply(), x=[(ONE, A[:, :1]), (STREAM, B)]).render()["y"]
    assert_array_equal(rendered, np.multiply(A[:, :1], B))
    assert multiply([A]) is not A


def test_the_kind_is_that_of_the_widest_rows() -> None:
    assert Multiply().streams((ONE, STREAM)) == (STREAM,)
    assert Multiply(kind="x").streams((ONE,)) == (ONE.like(kind="x"),)


def test_rows_that_do_not_fit_are_refused() -> None:
    said = "multiply takes rows of one dtype, all equally wide or 1 wide; found"
    with pytest.raises(ParameterError, match=f"{said}.*: put a 'select_columns' before it"):
        Multiply().streams((STREAM, STREAM.like(width=2)))
    with pytest.raises(ParameterError, match=f"{said}.*: convert one of them before the node"):
        Multiply().streams((STREAM, ONE.like(dtype="float32")))
