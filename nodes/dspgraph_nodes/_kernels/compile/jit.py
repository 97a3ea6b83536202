"""How the kernels are compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile `function` on its first call for each dtype, and keep the result on disk.

    The arithmetic is IEEE's, in the order it is written (no fastmath, no fused multiply-add), so that neither the cut
    of a signal nor the vectors of a machine change a bit. A division by zero gives inf or NaN, as in numpy.
    """
    return cast(Function, njit(cache=True, error_model="numpy")(function))
