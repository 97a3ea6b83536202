"""The mu-law levels of NSynth's networks, which are rounded down."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph_nodes._kernels.signal.mulaw import floor_levels, floor_samples


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_levels_are_those_of_the_formula(dtype: Any) -> None:
    """Levels equal the formula of `WavenetEncoder`, in float64.

    Samples near the edges of levels, where the last bit of a logarithm decides, are left out.
    """
    x = np.linspace(-1, 1, 20011).astype(dtype)
    y = np.sign(x) * np.log1p(255 * np.abs(x.astype(np.float64))) / np.log(256) * 128
    clear = np.abs(y - np.rint(y)) > 1e-4
    assert clear.mean() > 0.99
    assert_array_equal(floor_levels(x)[clear], 128 + np.floor(y[clear]))


def test_edges_belong_to_the_level_above() -> None:
    edges = np.array([(256 ** (k / 128) - 1) / 255 for k in (1, 64, 127)])
    inside = np.array([0, 1e-9, -1e-9, *(edges * (1 + 1e-9)), *(edges * (1 - 1e-9)), *(-edges * (1 - 1e-9))])
    assert_array_equal(floor_levels(inside) - 128, [0, 0, -1, 1, 64, 127, 0, 63, 126, -1, -64, -127])
    assert_array_equal(floor_levels(np.array([-7.0, -1, 1, 7, np.nextafter(1, 0)])), [0, 0, 255, 255, 255])


def test_samples_lie_within_their_levels_and_silence_is_0() -> None:
    """The sample of a level is its middle on a logarithmic scale; but that of level 128, which begins at 0, is 0."""
    assert_array_equal(floor_levels(floor_samples()), np.arange(256))
    y = (np.arange(256) - 127.5) / 128
    expected = np.sign(y) * (256 ** np.abs(y) - 1) / 255
    expected[128] = 0
    assert_allclose(floor_samples(), expected, rtol=1e-12)
