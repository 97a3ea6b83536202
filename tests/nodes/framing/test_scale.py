import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.framing.scale import Scale, scale

RNG = np.random.default_rng(53)
STREAM = Frames(100, "mfcc", 3)
ROWS = RNG.standard_normal((80, 3))
EXAMPLES = [
    Example(Scale(factor=-0.7, offset=2.0), x=(STREAM, ROWS)),
    Example(Scale(factor=(1.0, 2.0, 3.0)), x=(STREAM.like(dtype="complex128"), ROWS + 1j)),
]


def test_columns_can_be_normalised() -> None:
    mean, deviation = ROWS.mean(0), ROWS.std(0)
    found = scale(ROWS, tuple(1 / deviation), tuple(-mean / deviation))
    assert_allclose(found, (ROWS - mean) / deviation, rtol=0, atol=1e-14)
    assert_array_equal(scale(ROWS, 2.0, 1.0), 2 * ROWS + 1)
    assert scale(ROWS.astype(np.float32), 2.0, 1.0).dtype == np.float32


def test_the_kind_can_be_given() -> None:
    assert Scale(kind="x").streams(STREAM) == (STREAM.like(kind="x"),)


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"scale\.offset has 2 numbers; .* has 3 columns: give one number, or 3"):
        Scale(offset=(1.0, 2.0)).streams(STREAM)
