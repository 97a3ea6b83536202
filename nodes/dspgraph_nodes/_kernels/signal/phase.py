"""Wrapping of phases, conversion from polar form, and the phase advances of bins."""

from fractions import Fraction
from typing import Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

FrequencyUnit = Literal["pi", "hertz"]


def wrap_phase(angle: Array, turn: float = 1.0) -> Array:
    """Return the angles wrapped to -1/2 .. 1/2 turn.

    A positive angle that wraps to -1/2 turn becomes 1/2 turn, as in numpy.unwrap. turn: a whole turn in the unit of the
    angles, a power of two: 1 for angles in turns, 2 for angles in half turns.
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
    """Return how far the phase of each bin advances in `hop` samples, in turns, without whole turns: [width].

    A bin's frequency is that of its centre. width: the number of bins, n_fft / 2 + 1.
    """
    n_fft = max(1, 2 * (width - 1))
    return np.array([float(b * hop / n_fft % 1) for b in range(width)])
