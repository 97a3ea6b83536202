"""Cepstra on the warped frequency scale of a first-order all-pass: z~**-1 = (z**-1 - alpha) / (1 - alpha * z**-1).

Every sum runs in one fixed order, and all cosines and angles come from `elementary`. So the bits of a row are the same
on every machine, and do not depend on the other rows that are computed with it.
"""

from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import angle, cos, phasor
from dspgraph_nodes._kernels.maths.matmul import matmul


def freqt(c: Array, order: int, alpha: float) -> Array:
    """Return cepstra on the frequency scale warped by alpha: [n, order + 1], in the dtype of c.

        sum_m c~[m] * z~**-m = sum_m c[m] * z**-m

    c: [n, width], cepstra without warping. The result is c~[0 .. order]; the c~ of higher order are dropped.

    Source: A. V. Oppenheim and D. H. Johnson, Discrete representation of signals, Proceedings of the IEEE 60(6), 1972.
    """
    return matmul(c, warp_matrix(c.shape[1] - 1, order, alpha))


@lru_cache(maxsize=32)
def warp_matrix(order: int, warped: int, alpha: float) -> Array:
    """Return the matrix [order + 1, warped + 1] by which `freqt` multiplies rows of cepstra.

    order, warped: the orders before and after warping. Row j holds the coefficients of ((w + alpha) / (1 + alpha *
    w))**j as a power series in w = z~**-1, for the powers 0 .. warped. The matrix is read-only.
    """
    matrix = np.zeros((order + 1, warped + 1))
    _warp(alpha, matrix)
    matrix.setflags(write=False)
    return matrix


@kernel
def _warp(alpha: float, matrix: Array) -> None:
    """Fill the matrix of `warp_matrix` row by row: (1 + alpha * w) * row_j = (alpha + w) * row_(j-1).

    A row is a power series in w, computed from the lowest power to the highest. matrix: zeros at first.
    """
    matrix[0, 0] = 1
    for j in range(1, len(matrix)):
        above, row = matrix[j - 1], matrix[j]
        row[0] = alpha * above[0]
        for m in range(1, len(row)):
            row[m] = above[m - 1] + alpha * (above[m] - row[m - 1])


@lru_cache(maxsize=32)
def mel_cosines(n_fft: int, order: int, alpha: float) -> Array:
    """Return the table cos(m * w~[k]), [order + 1, n_fft // 2 + 1]. w~[k]: the frequency of bin k, warped by alpha.

    The spectrum H of a mel-cepstrum c has ln|H[k]| = sum_m c[m] * cos(m * w~[k]). The table is read-only.
    """
    w = 2 * np.pi / n_fft * np.arange(n_fft // 2 + 1)
    warped = w + 2 * angle(1 - alpha * np.conj(phasor(w)))
    table = cos(np.arange(order + 1)[:, None] * warped)
    table.setflags(write=False)
    return table


def bin_weights(n_fft: int) -> Array:
    """Return the weights with which the bins 0 .. n_fft // 2 count in a mean over all n_fft bins: [n_fft // 2 + 1].

    They sum to 1. A bin that also stands for its mirror image has the weight 2 / n_fft, the others 1 / n_fft.
    """
    weights = np.full(n_fft // 2 + 1, 2 / n_fft)
    weights[0] = 1 / n_fft
    if n_fft % 2 == 0:
        weights[-1] = 1 / n_fft
    return weights


@lru_cache(maxsize=32)
def log_power_to_mcep_matrix(n_fft: int, order: int, alpha: float) -> Array:
    """Return the matrix [n_fft // 2 + 1, order + 1] from ln(|H|**2) to the mel-cepstrum: inverse DFT, then `freqt`.

    Rows of ln(|H|**2), at the bins 0 .. n_fft // 2, are multiplied by it. The mel-cepstrum is that of ln|H|, see
    `mel_cosines`. The matrix is read-only.
    """
    bins = n_fft // 2 + 1
    angles = np.arange(bins)[:, None] * np.arange(bins) % n_fft * (2 * np.pi / n_fft)
    # Column n gives the two-sided c[n] of ln(|H|**2); for n > 0 it is the one-sided c[n] of ln|H|.
    lags = cos(angles) * bin_weights(n_fft)[:, None]
    lags[:, 0] /= 2
    if n_fft % 2 == 0:
        lags[:, -1] /= 2  # n_fft / 2 and -n_fft / 2 are the same lag
    matrix = freqt(lags, order, alpha)
    matrix.setflags(write=False)
    return matrix


def mc2b(mcep: Array, alpha: float) -> Array:
    """Return the coefficients b [n, order + 1] of MLSA filters for mel-cepstra c [n, order + 1], in the same dtype.

    b[order] = c[order], and b[m] = c[m] - alpha * b[m + 1] for m < order. mcep: c; alpha: the all-pass constant of c.
    """
    b = mcep.copy()
    _mc2b(alpha, b)
    return b


@kernel
def _mc2b(alpha: float, b: Array) -> None:
    for n in range(len(b)):
        row = b[n]
        for m in range(len(row) - 2, -1, -1):
            row[m] -= alpha * row[m + 1]
