from typing import Any

import numpy as np
import pytest
import scipy.fft
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.dct import Dct, dct
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(56)
STREAM = Frames(100, "log_mel", 40, "1/200")
ROWS = RNG.standard_normal((80, 40))
EXAMPLES = [
    Example(Dct(count=13), x=(STREAM, ROWS)),
    Example(Dct(count=50, inverse=True), x=(STREAM, ROWS)),
]


@pytest.mark.parametrize("width", [1, 2, 7, 40])
def test_it_is_scipys_transform_and_inverse(width: int) -> None:
    rows = ROWS[:, :width]
    expected = scipy.fft.dct(rows, norm="ortho")
    assert_allclose(dct(rows), expected, rtol=0, atol=1e-14 * np.sqrt(width) * 4)  # sums of 40 terms of at most 1
    assert_allclose(dct(rows, 1), expected[:, :1], rtol=0, atol=4e-14)
    assert_allclose(dct(dct(rows), inverse=True), rows, rtol=0, atol=4e-14)
    assert_allclose(dct(rows, 50, inverse=True), scipy.fft.idct(rows, n=50, norm="ortho"), rtol=0, atol=4e-14)


def test_the_width_and_the_kind_are_declared() -> None:
    assert Dct(count=13).streams(STREAM) == (STREAM.like(kind="dct", width=13),)
    assert Dct(inverse=True, kind="mel").streams(STREAM) == (STREAM.like(kind="mel"),)


@pytest.mark.parametrize(
    ("node", "message"), [(Dct(count=41), "at most 40"), (Dct(count=39, inverse=True), "at least 40")]
)
def test_counts_that_do_not_fit_are_refused(node: Dct, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(STREAM)
    with pytest.raises(ParameterError, match="dct takes real rows"):
        Dct().streams(STREAM.like(dtype="complex64"))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(dct, dtype, floats, (9, 33))
