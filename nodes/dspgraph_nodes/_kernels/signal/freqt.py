"""Cepstra on the frequency scale that a first-order all-pass warps: z~^-1 = (z^-1 - alpha) / (1 - alpha z^-1).

Every sum runs in one fixed order and every table comes from `elementary`: same bits on every machine, alone or in rows.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import angle, cos, phasor
from dspgraph_nodes._kernels.maths.matmul import rows

Array = NDArray[Any]


def freqt(c: Array, order: int, alpha: float) -> Array:
    """Rows [n, order + 1] of the cepstra c [n, width] on the scale warped by alpha, in the dtype of c.

        sum_m c~[m] z~^-m = sum_m c[m] z^-m,    m = 0 .. order kept

    Source: A. V. Oppenheim and D. H. Johnson, Discrete representation of signals, Proceedings of the IEEE 60(6), 1972.
    """
    return rows(c, warp(c.shape[1] - 1, order, alpha))


@lru_cache(maxsize=32)
def warp(order: int, warped: int, alpha: float) -> Array:
    """The matrix [order + 1, warped + 1] of `freqt`: row j holds ((w + alpha) / (1 + alpha w))**j in powers of w."""
    matrix = np.zeros((order + 1, warped + 1))
    _warp(alpha, matrix)
    matrix.setflags(write=False)
    return matrix


@kernel
def _warp(alpha: float, matrix: Array) -> None:
    """(1 + alpha w) row_j = (alpha + w) row_(j-1), power by power."""
    matrix[0, 0] = 1
    for j in range(1, len(matrix)):
        above, row = matrix[j - 1], matrix[j]
        row[0] = alpha * above[0]
        for m in range(1, len(row)):
            row[m] = above[m - 1] + alpha * (above[m] - row[m - 1])


@lru_cache(maxsize=32)
def mel_cosines(n_fft: int, order: int, alpha: float) -> Array:
    """cos(m w~_k) [order + 1, n_fft // 2 + 1], w~_k the warped frequency of bin k: ln|H| = sum_m c[m] cos(m w~)."""
    w = 2 * np.pi / n_fft * np.arange(n_fft // 2 + 1)
    warped = w + 2 * angle(1 - alpha * np.conj(phasor(w)))
    table = cos(np.arange(order + 1)[:, None] * warped)
    table.setflags(write=False)
    return table


def bin_weights(n_fft: int) -> Array:
    """What every bin of a real spectrum counts in the mean over all n_fft: [n_fft // 2 + 1], their sum 1."""
    weights = np.full(n_fft // 2 + 1, 2 / n_fft)
    weights[0] = 1 / n_fft
    if n_fft % 2 == 0:
        weights[-1] = 1 / n_fft
    return weights


@lru_cache(maxsize=32)
def log_power_to_mcep(n_fft: int, order: int, alpha: float) -> Array:
    """The matrix [n_fft // 2 + 1, order + 1] that takes ln|H|**2 to the mel-cepstrum: inverse DFT, one side, warped."""
    bins = n_fft // 2 + 1
    angles = np.arange(bins)[:, None] * np.arange(bins) % n_fft * (2 * np.pi / n_fft)
    lags = cos(angles) * bin_weights(n_fft)[:, None]  # column n: c[n] of the real cepstrum, twice ln|H|'s for n > 0
    lags[:, 0] /= 2
    if n_fft % 2 == 0:
        lags[:, -1] /= 2  # the lag n_fft / 2 stands for both signs
    matrix = freqt(lags, order, alpha)
    matrix.setflags(write=False)
    return matrix


def mc2b(mcep: Array, alpha: float) -> Array:
    """Coefficients of the MLSA filter, b[m] = c[m] - alpha b[m + 1], of mel-cepstra [n, order + 1]; the same dtype."""
    b = mcep.copy()
    _mc2b(alpha, b)
    return b


@kernel
def _mc2b(alpha: float, b: Array) -> None:
    for n in range(len(b)):
        row = b[n]
        for m in range(len(row) - 2, -1, -1):
            row[m] -= alpha * row[m + 1]
