"""Products of rows with a matrix whose columns are zero outside a short run."""

from dataclasses import dataclass

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@dataclass(frozen=True)
class BandedMatrix:
    """A matrix stored by columns, each from its first nonzero value to its last."""

    first: Array  # [columns]: the row where the run of each column begins
    begin: Array  # [columns + 1]: where the run of each column begins in `values`; the last entry is their length
    values: Array


def to_banded(matrix: Array) -> BandedMatrix:
    """Convert a dense matrix [k, m] to a BandedMatrix."""
    used = matrix != 0
    first = used.argmax(axis=0)
    lengths = np.where(used.any(axis=0), len(matrix) - used[::-1].argmax(axis=0) - first, 0)
    runs = [matrix[a : a + n, m] for m, (a, n) in enumerate(zip(first, lengths, strict=True))]
    return BandedMatrix(first, np.concatenate(([0], np.cumsum(lengths))), np.concatenate(runs))


def banded_product(x: Array, matrix: BandedMatrix) -> Array:
    """Compute y[n, m] = sum_k x[n, k] matrix[k, m], k ascending. x: [n, k]; returns [n, m] in the dtype of x."""
    y = np.empty((len(x), len(matrix.first)), x.dtype)
    _banded(np.ascontiguousarray(x), matrix.first, matrix.begin, matrix.values.astype(x.dtype, copy=False), y)
    return y


@kernel
def _banded(x: Array, first: Array, begin: Array, values: Array, y: Array) -> None:
    for n in range(len(x)):
        row, out = x[n], y[n]
        for m in range(len(out)):
            total = row[0] * 0
            for i in range(begin[m], begin[m + 1]):
                total += row[first[m] + i - begin[m]] * values[i]
            out[m] = total
