"""Phases, counted in turns."""

from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Unit = Literal["pi", "hertz"]


def wrapped(turns: Array) -> Array:
    """Turns from -1/2 to 1/2, by a whole number: exactly 1/2 turn stays as it is."""
    w: Array = turns - np.floor(turns + 0.5)
    return np.where((w == -0.5) & (turns > 0), 0.5, w)


def advances(width: int, hop: Fraction) -> Array:
    """Turns [width] by which the centre of each bin advances in `hop` samples, less whole turns."""
    n_fft = max(1, 2 * (width - 1))
    return np.array([float(b * hop / n_fft % 1) for b in range(width)])
