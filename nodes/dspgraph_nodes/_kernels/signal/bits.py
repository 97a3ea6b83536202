"""Symbols of many bits as two halves, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.maths.symbols import check_range

Array = NDArray[Any]


def bit_split(codes: Array, bits: int, signed: bool = False) -> tuple[Array, Array]:
    """The upper and the lower half of the bits: (u >> bits / 2, u mod 2**(bits / 2)), so that 34 in 6 bits is (4, 2).

    codes: [n], integers of any width, from 0 to 2**bits - 1, where u = codes; with `signed` samples from
    -2**(bits - 1) to 2**(bits - 1) - 1, where u = codes + 2**(bits - 1). `bits` is even. Returns coarse and fine,
    [n] int64 each. Raises ValueError with the first code out of range.
    """
    _check_even(bits)
    offset = 1 << (bits - 1) if signed else 0
    check_range(codes, -offset, (1 << bits) - 1 - offset, f"{bits}-bit codes")
    u = codes.astype(np.int64) + offset  # widened first: an int16 array plus 2**15 overflows
    return u >> bits // 2, u & ((1 << bits // 2) - 1)


def bit_join(coarse: Array, fine: Array, bits: int, signed: bool = False) -> Array:
    """Codes coarse * 2**(bits / 2) + fine, less 2**(bits - 1) with `signed`: the inverse of `bit_split`.

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
        raise ValueError(f"bits that fall in two halves are 4, 6, ... 16; found {bits}")
