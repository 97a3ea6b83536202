"""The precision that results are given in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def floating(x: Array) -> Array:
    """x as it is, or integers as floats that hold them: float32 of int16, float64 of what is longer."""
    return x.astype(np.result_type(x, np.float32), copy=False)
