"""Products of rows with a banded matrix: every column of the matrix is zero outside one short run of rows."""

from dataclasses import dataclass

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@dataclass(frozen=True)
class BandedMatrix:
    """A banded matrix: in each column, all values outside one short run of rows are 0, and only the run is stored.

    first: the row at which the run of each column begins. begin: where the run of each column begins in `values`. A
    column of zeros has an empty run.
    """

    first: Array  # [columns]: the row of the first stored value of each column
    begin: Array  # [columns + 1]: where each column begins in `values`; the last entry is len(values)
    values: Array  # the stored values, column after column


def to_banded(matrix: Array) -> BandedMatrix:
    """Convert a dense matrix [k, m] to a BandedMatrix. The values keep their dtype; zeros within a run are stored."""
    used = matrix != 0
    first = used.argmax(axis=0)
    lengths = np.where(used.any(axis=0), len(matrix) - used[::-1].argmax(axis=0) - first, 0)
    runs = [matrix[a : a + n, m] for m, (a, n) in enumerate(zip(first, lengths, strict=True))]
    return BandedMatrix(first, np.concatenate(([0], np.cumsum(lengths))), np.concatenate(runs))


def banded_product(x: Array, matrix: BandedMatrix) -> Array:
    """Return y [n, m], the product of the rows x [n, k] and a matrix [k, m], in the dtype of x.

    y[n, m] = sum_k x[n, k] * matrix[k, m], where each sum runs with k ascending. x: floats; the matrix is converted to
    their dtype.
    """
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
