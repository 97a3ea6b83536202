"""Rows times a matrix that is zero but for a short run in every column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]


@dataclass(frozen=True)
class Bands:
    """The columns of a matrix, each from its first value that is not zero to its last."""

    first: Array  # [columns]: the row where the run of a column begins
    begin: Array  # [columns + 1]: where in `values` it does
    values: Array


def bands(matrix: Array) -> Bands:
    """The runs of a matrix [k, m]."""
    used = matrix != 0
    first = used.argmax(axis=0)
    lengths = np.where(used.any(axis=0), len(matrix) - used[::-1].argmax(axis=0) - first, 0)
    runs = [matrix[a : a + n, m] for m, (a, n) in enumerate(zip(first, lengths, strict=True))]
    return Bands(first, np.concatenate(([0], np.cumsum(lengths))), np.concatenate(runs))


def banded(x: Array, matrix: Bands) -> Array:
    """y[n, m] = sum_k x[n, k] matrix[k, m], k ascending. x: [n, k]; returns [n, m]."""
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
