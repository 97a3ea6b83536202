"""Range checks of integer arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_range(values: NDArray[Any], low: int, high: int, what: str) -> None:
    """Raise ValueError unless `values` is an array of integers that all lie from `low` to `high`.

    The message names the first value outside the range, or the dtype if it is not an integer dtype. what: the plural
    noun with which the message begins, such as "mu-law codes".
    """
    if values.dtype.kind not in "iu":
        raise ValueError(f"{what} are integers from {low} to {high}; found an array of {values.dtype}")
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        at = int(np.argmax((values < low) | (values > high)))
        raise ValueError(f"{what} are integers from {low} to {high}; item {at} is {values.flat[at]}")
