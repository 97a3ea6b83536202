"""The array type of the kernels, and conversions of their inputs: to floats, and to one row per channel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def floating(x: Array) -> Array:
    """Return x as floats: integers of up to 16 bits, booleans and float16 become float32, wider integers float64.

    An array of another type (float32, float64, complex) is returned as it is, without a copy.
    """
    return x.astype(np.result_type(x, np.float32), copy=False)


def by_channel(x: Array) -> Array:
    """Return audio [n] or [n, channels] as [channels, n], a view."""
    return x.T if x.ndim == 2 else x[None]


def by_time(y: Array) -> Array:
    """Return audio [channels, n] as [n], a view, or as a new array [n, channels] if there are several channels."""
    return y[0] if len(y) == 1 else np.ascontiguousarray(y.T)
