"""The array type of the kernels, and the conversion of their inputs to floats."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def floating(x: Array) -> Array:
    """Return x as floats: integers of up to 16 bits and float16 become float32, wider integers become float64.

    An array of another type (float32, float64, complex) is returned as it is, without a copy.
    """
    return x.astype(np.result_type(x, np.float32), copy=False)
