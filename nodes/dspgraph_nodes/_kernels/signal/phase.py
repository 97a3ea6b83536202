"""Wrapping of phases, conversion from polar form, and the phase advances of bins."""

from fractions import Fraction
from typing import Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

FrequencyUnit = Literal["pi", "hertz"]


def wrap_phase(angle: Array, turn: float = 1.0) -> Array:
    """Return the angles wrapped to -turn / 2 .. turn / 2, where `turn` is a full circle in the unit of the angles.

    A positive angle that wraps to -turn / 2 becomes turn / 2, as in numpy.unwrap. turn: a power of two: 1 for angles in
    units of 2 * pi radians, 2 for angles in units of pi radians.
    """
    within: Array = angle - turn * np.floor(angle / turn + 0.5)
    within[(within == -turn / 2) & (angle > 0)] = turn / 2
    return within


def from_polar(magnitude: Array, phase: Array) -> Array:
    """Return magnitude * (cos(phase) + i * sin(phase)), complex, in the precision of the phase. phase: radians."""
    from dspgraph_nodes._kernels.maths.elementary import phasor

    z = phasor(phase)
    z.real *= magnitude
    z.imag *= magnitude
    return z


def bin_advances(width: int, hop: Fraction) -> Array:
    """Return how far the phase of each bin advances in `hop` samples, in cycles, modulo 1: [width].

    The frequency of bin b is b / n_fft cycles per sample. width: the number of bins, n_fft / 2 + 1.
    """
    n_fft = max(1, 2 * (width - 1))
    return np.array([float(b * hop / n_fft % 1) for b in range(width)])
