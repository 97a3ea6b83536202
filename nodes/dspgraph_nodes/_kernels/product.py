"""Rows times a matrix, each value one sum in one order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.jit import kernel

Array = NDArray[Any]


def rows(x: Array, matrix: Array) -> Array:
    """y[n, m] = sum_k x[n, k] matrix[k, m], k ascending, in the dtype of x. x: [n, k]; matrix: [k, m]."""
    y = np.zeros((len(x), matrix.shape[1]), x.dtype)
    _rows(np.ascontiguousarray(x), np.ascontiguousarray(matrix, x.dtype), y)
    return y


@kernel
def _rows(x: Array, matrix: Array, y: Array) -> None:
    for n in range(len(x)):
        out = y[n]
        for k in range(matrix.shape[0]):
            factor, row = x[n, k], matrix[k]
            for m in range(len(out)):
                out[m] += factor * row[m]
