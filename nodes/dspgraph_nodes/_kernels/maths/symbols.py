"""Range checks of integer arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_range(values: NDArray[Any], low: int, high: int, what: str) -> None:
    """Raise ValueError, with the first bad index and value, unless `values` are integers from low to high."""
    if values.dtype.kind not in "iu":
        raise ValueError(f"{what} are integers from {low} to {high}; found an array of {values.dtype}")
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        at = int(np.argmax((values < low) | (values > high)))
        raise ValueError(f"{what} are integers from {low} to {high}; item {at} is {values.flat[at]}")
