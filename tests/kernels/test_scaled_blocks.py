"""Matrices whose rows are scaled after the sums: weights in 16 and in 32 bits give the same bits, for any lanes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.neural import packing
from dspgraph_nodes._kernels.neural.layers import apply_layer, layer
from dspgraph_nodes._kernels.neural.layout import WIDTH, LayerBuffers, Matrix, ScaledBlocks

ROWS, COLUMNS = 40, 37


def alone(found: Matrix) -> Array:
    assert isinstance(found.m, ScaledBlocks)
    return found.m.alone


def matrix(weight: Array) -> tuple[Matrix, Array, Array]:
    draw = np.random.default_rng(1)
    bias, scale = draw.standard_normal(ROWS), draw.uniform(-3, 3, ROWS)
    return packing.scaled_matrix(weight, bias, scale), bias, scale


def weights(dtype: type = np.float16) -> Array:
    """Return random normal weights [ROWS, COLUMNS], with 0 and the largest and smallest 16-bit floats among them.

    They are rounded to `dtype`, and returned as float64.
    """
    found = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(dtype).astype(np.float64)
    found[0, :4] = 0, 65504, 2.0**-24, -(2.0**-15)
    return found


def test_a_product_is_that_of_the_formula() -> None:
    found, bias, scale = matrix(weights())
    x = np.random.default_rng(2).standard_normal((21, COLUMNS)).astype(np.float32)
    expected = (x @ weights().T + bias) * scale
    y = layer(x, found, tanh=False)[:, :ROWS]
    # Sums of 37 products in float32.
    assert (np.abs(y - expected) <= 1e-6 * np.abs(expected).max(axis=0)).all()


def test_one_signal_and_sixteen_give_the_same_bits() -> None:
    found, _, _ = matrix(weights())
    x = np.random.default_rng(2).standard_normal((WIDTH, COLUMNS)).astype(np.float32)
    rows = len(found.start)
    many = LayerBuffers(np.ascontiguousarray(x.T)[None], np.empty((rows, WIDTH), np.float32))
    apply_layer(found, many, 0)
    for lane in range(WIDTH):
        one = LayerBuffers(x[None, lane].copy(), np.empty(rows, np.float32))
        apply_layer(found, one, 0)
        assert_array_equal(one.y[:ROWS], many.y[:ROWS, lane])


def test_weights_in_16_bits_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(2).standard_normal((5, COLUMNS)).astype(np.float32)
    short, _, _ = matrix(weights())
    monkeypatch.setattr(packing, "converts_halves", lambda: False)
    long, _, _ = matrix(weights())
    assert alone(long).dtype == np.float32
    assert_array_equal(layer(x, short), layer(x, long))


def test_only_exact_weights_are_kept_in_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "converts_halves", lambda: True)
    assert alone(matrix(weights())[0]).dtype == np.int16
    assert alone(matrix(weights(np.float32))[0]).dtype == np.float32
