"""The array type of the kernels, and the precision of their results."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def floating(x: Array) -> Array:
    """Return x, with integers converted to floats that hold them: int16 to float32, longer ones to float64."""
    return x.astype(np.result_type(x, np.float32), copy=False)
