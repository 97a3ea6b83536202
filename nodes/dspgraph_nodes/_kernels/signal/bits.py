"""Splitting of codes into the upper and the lower half of their bits, and joining of the halves."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.symbols import check_range


def bit_split(codes: Array, bits: int, signed: bool = False) -> tuple[Array, Array]:
    """Return (coarse, fine), the upper and the lower half of the bits of every code: [n] int64 each.

    coarse = u >> (bits / 2) and fine = u mod 2**(bits / 2), where u is the code as a number from 0 to 2**bits - 1.
    Example: the code 34 with bits=6 gives (4, 2).

    codes: [n], integers of any dtype. Without `signed` they are u itself. With `signed` they are samples from
    -2**(bits - 1) to 2**(bits - 1) - 1, and u = code + 2**(bits - 1). bits: even, from 4 to 16. Raises ValueError for
    other bits, for codes that are not integers, and for a code out of range; it names the first of these.
    """
    _check_even(bits)
    offset = 1 << (bits - 1) if signed else 0
    check_range(codes, -offset, (1 << bits) - 1 - offset, f"{bits}-bit codes")
    u = codes.astype(np.int64) + offset  # int64 first: an int16 array plus 2**15 would overflow
    return u >> bits // 2, u & ((1 << bits // 2) - 1)


def bit_join(coarse: Array, fine: Array, bits: int, signed: bool = False) -> Array:
    """Return the codes [n] int64 whose upper and lower bits are `coarse` and `fine`: the inverse of `bit_split`.

    A code is coarse * 2**(bits / 2) + fine, minus 2**(bits - 1) if `signed`. coarse, fine: [n], integers from 0 to
    2**(bits / 2) - 1; bits: even, from 4 to 16. Raises ValueError for other bits, for halves that are not integers, and
    for an item out of range; it names the first of these.
    """
    _check_even(bits)
    for half, name in ((coarse, "coarse"), (fine, "fine")):
        check_range(half, 0, (1 << bits // 2) - 1, f"{name} halves of {bits}-bit codes")
    codes: Array = (coarse.astype(np.int64) << bits // 2) + fine.astype(np.int64)
    return codes - (1 << (bits - 1)) if signed else codes


def _check_even(bits: int) -> None:
    if bits % 2 or not 4 <= bits <= 16:
        raise ValueError(f"bits must be 4, 6, ... 16 to be split in two halves; found {bits}")
