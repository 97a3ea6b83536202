import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.framing.concatenate import Concatenate

RNG = np.random.default_rng(55)
STREAM = Frames(100, "mfcc", 3, "1/200")
OTHER = STREAM.like(kind="f0", width=1)
A, B = RNG.standard_normal((80, 3)), RNG.standard_normal((80, 1))
EXAMPLES = [Example(Concatenate(), x=[(STREAM, A), (OTHER, B)])]


def test_rows_stand_side_by_side_in_the_order_of_the_wires() -> None:
    assert_array_equal(EXAMPLES[0].render()["y"], np.hstack((A, B)))
    assert_array_equal(Example(Concatenate(), x=[(OTHER, B), (STREAM, A)]).render()["y"], np.hstack((B, A)))


def test_the_kind_joins_the_kinds() -> None:
    assert Concatenate().streams((STREAM, OTHER)) == (STREAM.like(kind="mfcc+f0", width=4),)
    assert Concatenate(kind="x").streams((OTHER,)) == (OTHER.like(kind="x"),)


def test_rows_of_another_dtype_are_refused() -> None:
    with pytest.raises(ParameterError, match="concatenate takes rows of one dtype; found"):
        Concatenate().streams((STREAM, OTHER.like(dtype="float32")))
