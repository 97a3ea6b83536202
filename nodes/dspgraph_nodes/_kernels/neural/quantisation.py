"""Weights in eight bits: w = scale[row] * q, where q is a whole number from -127 to 127.

The scale of a row is max |w| / 127, rounded up to 16 binary digits; a scale below 2**-100 becomes 0. So scale * q is
exact in float32, and weights that have been in eight bits once have the same scales and numbers again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

LARGEST_CODE = 127  # of the 8-bit numbers; -128 is not used, so that the sum of two products fits into 16 bits
_DIGITS = 16
LEAST_LARGEST = 2.0**-100  # a row whose scale would be below this is zeros; least m in the module `eight_bits`


class EightBits(NamedTuple):
    """An array of weights in eight bits: 8-bit numbers, the scales of their rows, and diagonals that are kept apart.

    diagonal: None if no diagonals are kept apart.
    """

    codes: Array  # int8, in the shape of the array; zeros on the diagonals, if these are kept apart
    scale: Array  # float32, in the shape of the leading axes
    diagonal: Array | None  # [rows] float32, the diagonals of the squares, one below the other, that make up the array


def quantised(weights: Array, axes: int = 1, diagonal: bool = False) -> EightBits:
    """Return an array of weights rounded to eight bits. The array itself is not changed.

    weights: float32; axes: the number of leading axes that count the rows, each with a scale of its own; diagonal:
    whether the array [k * n, n] is a column of k squares whose diagonals are kept apart, in float32. The diagonals of
    recurrent matrices are much larger than the other weights.
    """
    wide, kept = weights.astype(np.float64), None
    if diagonal:
        kept = weights[_diagonal(weights)].astype(np.float32)
        wide[_diagonal(weights)] = 0
    largest = np.abs(wide).max(axis=tuple(range(axes, wide.ndim)), initial=0)
    mantissa, exponent = np.frexp(largest / LARGEST_CODE)
    scale = np.ldexp(np.ceil(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS)
    scale[scale < LEAST_LARGEST] = 0
    divisor = np.where(scale > 0, scale, np.inf).reshape(*scale.shape, *[1] * (wide.ndim - axes))
    return EightBits(np.rint(wide / divisor).astype(np.int8), scale.astype(np.float32), kept)


def dequantised(eight: EightBits) -> Array:
    """Return the float32 weights that an array in eight bits stands for: scale * number, which is exact.

    Diagonals that were kept apart are put back, not rounded.
    """
    scale = eight.scale.reshape(*eight.scale.shape, *[1] * (eight.codes.ndim - eight.scale.ndim))
    weights: Array = eight.codes.astype(np.float32) * scale
    if eight.diagonal is not None:
        weights[_diagonal(weights)] = eight.diagonal
    return weights


def with_dequantised(arrays: Mapping[str, Array], eight: Mapping[str, EightBits]) -> dict[str, Array]:
    """Return a copy of `arrays` in which the arrays named in `eight` are replaced by their `dequantised` weights."""
    return {**arrays, **{name: dequantised(one) for name, one in eight.items()}}


def _diagonal(weights: Array) -> tuple[Array, Array]:
    """Return (row indices, column indices), [rows] each, of the diagonals of squares that stand one below the other.

    weights: [rows, columns], squares of `columns` rows each.
    """
    rows = np.arange(len(weights))
    return rows, rows % weights.shape[1]
