"""Dense layers and GRUs of neural networks, for any number of rows. A row gets the same bits alone and among others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.eight_bits import decode_sums, encode_inputs
from dspgraph_nodes._kernels.neural.layout import (
    WIDTH,
    AffineLayer,
    EightBitBuffers,
    EightBitMatrix,
    LayerBuffers,
    Matrix,
    RecurrentWeights,
)
from dspgraph_nodes._kernels.neural.stages import gates, product_of_many, product_of_one, tanh_in_place, update_state

product_m_of_one = product_of_one("m", "start", "y")
product_m_of_many = product_of_many("m", "start", "y")
gates_b = gates("b")


class Diagonals(NamedTuple):
    """The part of `RecurrentWeights` that the stages of the gates read, without the matrix.

    These stages look at the kind of the matrices that they are given. Without one they compute with floats, also in
    eight bits: `apply_layer` has already made floats of the sums.
    """

    diagonal_b: Array


def layer(x: Array, matrix: Matrix, tanh: bool = True) -> Array:
    """Return v = x @ M + bias [n, outputs], or tanh(v * ln(2) / 2) if `tanh` is true.

    x: [n, inputs]; matrix: M and the bias. outputs: the rows of the packed matrix, a multiple of 16. Packed weights
    before a tanh are multiplied by 2 / ln(2), which the factor ln(2) / 2 undoes.
    """
    inputs, outputs = x.shape[1], len(matrix.start) - WIDTH
    y = np.empty((len(x), outputs), np.float32)
    one = LayerBuffers(np.empty((1, inputs), np.float32), np.empty(outputs + WIDTH, np.float32))
    many = LayerBuffers(np.empty((1, inputs, WIDTH), np.float32), np.empty((outputs + WIDTH, WIDTH), np.float32))
    run_layer(matrix, one, many, x, y, tanh)
    return y


def affine(layer: AffineLayer, x: Array, rectify: bool = False) -> Array:
    """Return y = x @ matrix + bias [n, outputs], or max(0, y) if `rectify` is true. x: [n, inputs]."""
    y: Array = matmul(x, layer.matrix) + layer.bias
    return np.maximum(y, np.float32(0)) if rectify else y


def layer_buffers(matrix: Matrix | EightBitMatrix, state: Array, *outputs: Array) -> list[Any]:
    """Return the buffers for calls of layers, one for each array in `outputs`, to which results go.

    matrix: one of the layers, which all have floats or all have 8-bit numbers; it only decides the type of the buffers.
    state: where their inputs are; outputs: float32. The buffers of layers with 8-bit numbers share all arrays but the
    outputs, so these layers must be called one after the other.
    """
    if not isinstance(matrix, EightBitMatrix):
        return [LayerBuffers(state, y) for y in outputs]
    pairs = state.ndim == 3 and len(matrix.m.pairs)
    codes, steps = np.zeros(state.size, np.int16 if pairs else np.uint8), np.zeros(WIDTH, np.float32)
    sums = np.zeros(max(y.size for y in outputs), np.int32)
    return [EightBitBuffers(state, codes, steps, sums, y) for y in outputs]


@kernel
def apply_layer(matrix: Matrix | EightBitMatrix, buffers: LayerBuffers | EightBitBuffers, x: int) -> None:
    """Compute a layer without its activation: matrix @ input + bias, for one signal or sixteen.

    The result is written to `buffers.y`, that of a matrix of 8-bit numbers to `buffers.out`. x: where the input begins
    in `buffers.state`, flattened.
    """
    encode_inputs(matrix, buffers, x)
    if buffers.state.ndim == 2:
        for group in range(len(matrix.m.places)):
            product_m_of_one(matrix, buffers, group, x)
    else:
        for block in range(len(matrix.m.where)):
            product_m_of_many(matrix, buffers, block, block, x)
    for block in range(len(matrix.m.where)):
        decode_sums(matrix, buffers, block)


@kernel
def update_gru(gru: RecurrentWeights, work: Any, h: int, new: int, first: int, last: int) -> None:
    """Compute the new states of a GRU for the blocks first .. last - 1 of sixteen units, two blocks at a time.

    work: has the arrays `inputs` and `sums_b` with the complete sums of the gates, and `state`. The values of the gates
    overwrite `inputs`. h, new: where the old and the new states begin in `state`, flattened.
    """
    diagonals = Diagonals(gru.diagonal_b)
    for k in range(first, last, 2):
        other = min(k + 1, last - 1)
        gates_b(diagonals, work, h, k, k, other, other)
        update_state(diagonals, work, h, new, k, k, other, other)


@kernel
def run_layer(matrix: Matrix, one: LayerBuffers, many: LayerBuffers, x: Array, y: Array, tanh: bool) -> None:
    """Write v = x @ M + bias to y, or tanh(v * ln(2) / 2) if `tanh` is true (see `layer`).

    x: [n, inputs]; y: [n, outputs]; matrix: M and the bias; one, many: buffers for one row and for sixteen rows. Rows
    of x are computed sixteen at a time; the last len(x) % 16 rows are computed one at a time.
    """
    rows, whole = len(x), len(x) - len(x) % WIDTH
    xs, ys, x_one, y_one = many.state[0], many.y, one.state[0], one.y
    for n in range(0, whole, WIDTH):
        for r in range(WIDTH):
            for k in range(len(xs)):
                xs[k, r] = x[n + r, k]
        apply_layer(matrix, many, 0)
        for r in range(WIDTH):
            for m in range(y.shape[1]):
                y[n + r, m] = ys[m, r]
    for n in range(whole, rows):
        for k in range(len(x_one)):
            x_one[k] = x[n, k]
        apply_layer(matrix, one, 0)
        for m in range(y.shape[1]):
            y[n, m] = y_one[m]
    if tanh:
        flat = y.reshape(-1)
        part = LayerBuffers(one.state, flat)
        for first in range(0, len(flat), WIDTH):
            tanh_in_place(matrix, part, first)
