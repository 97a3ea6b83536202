"""The distance of two short-time spectra, and its gradient for the second one; the caller computes the transforms."""

from __future__ import annotations

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

LEAST_POWER = 1e-14  # least power of a bin


def distance_of_roots(true: Array, made: Array) -> tuple[float, Array]:
    """Return the distance of the spectra X and Y, and its gradient with respect to the real and imaginary parts of Y.

        D = sum |sqrt|X| - sqrt|Y|| / sum sqrt|X|

    Both sums run over all rows and bins; an |X| or |Y| below 1e-7 counts as 1e-7. true, made: X and Y, [rows, bins],
    contiguous, both complex64 or both complex128. The gradient has the shape and dtype of Y: dD / dRe(Y) + i * dD /
    dIm(Y), and 0 where |Y| is 1e-7 or less.
    """
    parts = made.real.dtype
    x, y, gradient = true.view(parts), made.view(parts), np.empty_like(made)
    sums = np.zeros((2, made.shape[1]))
    _add_distances(x, y, gradient.view(parts), np.empty(made.shape[1], parts), sums)
    apart, whole = sums.sum(1)
    gradient *= parts.type(1 / whole)
    return float(apart / whole), gradient


@kernel
def _add_distances(x: Array, y: Array, gradient: Array, slope: Array, sums: Array) -> None:
    """Add |sqrt|X| - sqrt|Y|| and sqrt|X| of every bin to sums [2, bins], and write the gradient of the first sum.

    |X| and |Y| are raised to at least 1e-7. The gradient is that with respect to Y; where |Y| is raised, it is 0. x, y:
    the spectra X and Y; gradient: overwritten; all three: [rows, 2 * bins], each real part followed by its imaginary
    part. slope: [bins], working memory.
    """
    for row in range(len(x)):
        _add_row(x[row], y[row], gradient[row], slope, sums[0], sums[1])


@kernel
def _add_row(x: Array, y: Array, gradient: Array, slope: Array, apart: Array, whole: Array) -> None:
    least, half, none = x.dtype.type(LEAST_POWER), x.dtype.type(0.5), x.dtype.type(0)
    for k in range(len(slope)):
        power = y[2 * k] * y[2 * k] + y[2 * k + 1] * y[2 * k + 1]
        p = x[2 * k] * x[2 * k] + x[2 * k + 1] * x[2 * k + 1]
        root, q = np.sqrt(np.sqrt(max(p, least))), np.sqrt(np.sqrt(max(power, least)))
        d = q - root
        apart[k] += abs(d)
        whole[k] += root
        s = half / (q * q * q)
        s = s if d > none else -s if d < none else none
        slope[k] = s if power > least else none
    for k in range(len(slope)):
        gradient[2 * k] = slope[k] * y[2 * k]
        gradient[2 * k + 1] = slope[k] * y[2 * k + 1]
