"""Dense layers of neural networks: any number of rows, and each row has the same bits alone and among others."""

from __future__ import annotations

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.layout import WIDTH, LayerBuffers, Matrix
from dspgraph_nodes._kernels.neural.stages import product_of_many, product_of_one, tanh_in_place

product_m_of_one = product_of_one("m", "start", "y")
product_m_of_many = product_of_many("m", "start", "y")


def layer(x: Array, matrix: Matrix, tanh: bool = True) -> Array:
    """Return v = x @ M + bias [n, outputs], or tanh(v * ln(2) / 2) if `tanh` is true.

    x: [n, inputs]; matrix: M and the bias. The factor ln(2) / 2 undoes the scale of packed weights.
    """
    inputs, outputs = x.shape[1], len(matrix.start) - WIDTH
    y = np.empty((len(x), outputs), np.float32)
    one = LayerBuffers(np.empty((1, inputs), np.float32), np.empty(outputs + WIDTH, np.float32))
    many = LayerBuffers(np.empty((1, inputs, WIDTH), np.float32), np.empty((outputs + WIDTH, WIDTH), np.float32))
    run_layer(matrix, one, many, x, y, tanh)
    return y


@kernel
def apply_layer(matrix: Matrix, buffers: LayerBuffers, x: int) -> None:
    """Write the product of a matrix and the input that begins at `x` of the state, plus the bias, to `buffers.y`."""
    if buffers.state.ndim == 2:
        for group in range(len(matrix.m.places)):
            product_m_of_one(matrix, buffers, group, x)
    else:
        for block in range(len(matrix.m.where)):
            product_m_of_many(matrix, buffers, block, block, x)


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
        x_one[:] = x[n]
        apply_layer(matrix, one, 0)
        y[n] = y_one[: y.shape[1]]
    if tanh:
        flat = y.reshape(-1)
        part = LayerBuffers(one.state, flat)
        for first in range(0, len(flat), WIDTH):
            tanh_in_place(matrix, part, first)
