"""Splitting symbols into two halves of their bits, and joining them."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.symbols import check_range


def bit_split(codes: Array, bits: int, signed: bool = False) -> tuple[Array, Array]:
    """Return the upper and the lower half of the bits: (u >> bits / 2, u mod 2**(bits / 2)). 34 in 6 bits gives (4, 2).

    codes: [n], integers of any width. Without `signed`, u = codes, from 0 to 2**bits - 1. With `signed`, codes are
    samples from -2**(bits - 1) to 2**(bits - 1) - 1 and u = codes + 2**(bits - 1). `bits` is even. Returns coarse and
    fine, [n] int64 each. Raises ValueError with the first code out of range.
    """
    _check_even(bits)
    offset = 1 << (bits - 1) if signed else 0
    check_range(codes, -offset, (1 << bits) - 1 - offset, f"{bits}-bit codes")
    u = codes.astype(np.int64) + offset  # widened first: an int16 array plus 2**15 overflows
    return u >> bits // 2, u & ((1 << bits // 2) - 1)


def bit_join(coarse: Array, fine: Array, bits: int, signed: bool = False) -> Array:
    """Return the codes coarse * 2**(bits / 2) + fine, minus 2**(bits - 1) if `signed`: the inverse of `bit_split`.

    coarse, fine: [n], integers from 0 to 2**(bits / 2) - 1. Returns [n] int64. Raises ValueError with the first item
    out of range.
    """
    _check_even(bits)
    for half, name in ((coarse, "coarse"), (fine, "fine")):
        check_range(half, 0, (1 << bits // 2) - 1, f"{name} halves of {bits}-bit codes")
    codes: Array = (coarse.astype(np.int64) << bits // 2) + fine.astype(np.int64)
    return codes - (1 << (bits - 1)) if signed else codes


def _check_even(bits: int) -> None:
    if bits % 2 or not 4 <= bits <= 16:
        raise ValueError(f"bits must be 4, 6, ... 16 to be split in two halves; found {bits}")
