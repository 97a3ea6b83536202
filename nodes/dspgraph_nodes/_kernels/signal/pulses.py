"""Pulse trains of unit power that follow a pitch contour."""

import math
from typing import Any

from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def pulse_train(
    f0: NDArray[Any], frames: int, samples: int, begun: int, rate: float, phase: float, y: NDArray[Any]
) -> float:
    """Replace the white noise in y by pulses wherever it is voiced; return the phase after its last sample.

    `samples` samples last as long as `frames` frames, so sample n begins in frame n * frames // samples. f0[0] is the
    frame in which y[0] begins, and `begun` = n * frames % samples is its position in that frame. The phase is the sum
    of f0 since the last pulse, and a period is complete at `rate`: with whole-numbered pitches the sum is exact, unlike
    a sum of fractions of a period. A phase of `rate` or more makes the next voiced sample a pulse.
    """
    for i in range(len(y)):
        hertz = f0[(begun + i * frames) // samples]
        if hertz > 0.0:  # False for NaN
            if phase >= rate:
                phase -= rate
                y[i] = math.sqrt(rate / hertz)
            else:
                y[i] = 0.0
            phase += hertz
        else:
            phase = rate
    return phase
