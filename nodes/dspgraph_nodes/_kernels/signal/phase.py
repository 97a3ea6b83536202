"""Phases: wrapped, counted in turns, and given a magnitude."""

from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Unit = Literal["pi", "hertz"]


def wrapped(angle: Array, turn: float = 1.0) -> Array:
    """Angles brought to -1/2 .. 1/2 turn by whole turns; what comes down to -1/2 from above is 1/2, as in numpy.unwrap.

    turn: what a whole one is counted as, a power of two: 1, or 2 for angles over pi.
    """
    within: Array = angle - turn * np.floor(angle / turn + 0.5)
    within[(within == -turn / 2) & (angle > 0)] = turn / 2
    return within


def from_polar(magnitude: Array, phase: Array) -> Array:
    """magnitude (cos phase + i sin phase), complex, in the precision of the phase."""
    from dspgraph_nodes._kernels.maths.elementary import phasor

    z = phasor(phase)
    z.real *= magnitude
    z.imag *= magnitude
    return z


def advances(width: int, hop: Fraction) -> Array:
    """Turns [width] by which the centre of each bin advances in `hop` samples, less whole turns."""
    n_fft = max(1, 2 * (width - 1))
    return np.array([float(b * hop / n_fft % 1) for b in range(width)])
