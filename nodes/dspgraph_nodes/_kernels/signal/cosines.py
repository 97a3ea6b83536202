"""The orthonormal discrete cosine transform as a matrix."""

from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array, floating
from dspgraph_nodes._kernels.maths.elementary import cos
from dspgraph_nodes._kernels.maths.matmul import matmul


@lru_cache(maxsize=16)
def cosine_matrix(width: int, count: int) -> Array:
    """Return the first `count` columns of the matrix [width, width] of the orthonormal DCT-II, read-only.

    m[i, k] = s[k] * cos(pi * k * (2 * i + 1) / (2 * width)), with s[0] = sqrt(1 / width), s[k] = sqrt(2 / width). A row
    times the matrix is its transform. If count is width, the transpose is the inverse. count: 1 to width.

    Source: SciPy reference, `scipy.fft.dct` (type 2, norm="ortho").
    """
    turns = (2 * np.arange(width)[:, None] + 1) * np.arange(count) % (4 * width)  # in whole numbers, so exact
    matrix: Array = cos(turns * (np.pi / (2 * width))) * np.sqrt(2 / width)
    matrix[:, 0] = np.sqrt(1 / width)
    matrix.setflags(write=False)
    return matrix


def dct_rows(rows: Array, count: int) -> Array:
    """Return the first `count` coefficients of the orthonormal DCT-II of every row, [n, count].

    rows: [n, width], width >= count. The result has the dtype of the rows (float32 for int16).
    """
    rows = floating(rows)
    return matmul(rows, cosine_matrix(rows.shape[1], count))


def inverse_dct_rows(rows: Array, width: int) -> Array:
    """Return rows [n, width] whose first orthonormal DCT-II coefficients are `rows`; the other coefficients are 0.

    rows: [n, count], count <= width. The result has the dtype of the rows (float32 for int16).
    """
    rows = floating(rows)
    return matmul(rows, cosine_matrix(width, rows.shape[1]).T)
