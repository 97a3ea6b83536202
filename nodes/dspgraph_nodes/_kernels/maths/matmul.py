"""Products of rows with a matrix, summed in one fixed order."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


def matmul(x: Array, matrix: Array) -> Array:
    """Return y [n, m], the product of the rows x [n, k] and a matrix [k, m], in the dtype of x.

    y[n, m] = sum_k x[n, k] * matrix[k, m], where each sum runs with k ascending. x: floats; the matrix is converted to
    their dtype.
    """
    y = np.zeros((len(x), matrix.shape[1]), x.dtype)
    _rows(np.ascontiguousarray(x), np.ascontiguousarray(matrix, x.dtype), y)
    return y


@kernel
def _rows(x: Array, matrix: Array, y: Array) -> None:
    inner = matrix.shape[0]
    whole = inner // 4 * 4
    for n in range(len(x)):
        out, row = y[n], x[n]
        for k in range(0, whole, 4):  # four terms at once: y is read and written a quarter as often
            a, b, c, d = row[k], row[k + 1], row[k + 2], row[k + 3]
            p, q, r, s = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
            for m in range(len(out)):
                out[m] = (((out[m] + a * p[m]) + b * q[m]) + c * r[m]) + d * s[m]
        for k in range(whole, inner):
            factor, p = row[k], matrix[k]
            for m in range(len(out)):
                out[m] += factor * p[m]
