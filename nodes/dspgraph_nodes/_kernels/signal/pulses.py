"""Trains of unit-power pulses that follow a pitch contour."""

import math
from typing import Any

from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def excite(
    f0: NDArray[Any], frames: int, samples: int, begun: int, rate: float, phase: float, y: NDArray[Any]
) -> float:
    """Turn y, white noise on entry, into pulses wherever it is voiced; returns the phase after its last sample.

    `samples` samples last as long as `frames` frames, so sample n begins in frame n * frames // samples. f0[0] is the
    frame that y[0] begins in, and `begun` = n * frames % samples says how far into it. The phase is the sum of f0 since
    the last pulse, and `rate` makes a period: whole-numbered pitches then add up exactly, as fractions of a period
    would not. A phase of `rate` or more makes the next voiced sample a pulse.
    """
    for i in range(len(y)):
        hertz = f0[(begun + i * frames) // samples]
        if hertz > 0.0:  # a NaN is not
            if phase >= rate:
                phase -= rate
                y[i] = math.sqrt(rate / hertz)
            else:
                y[i] = 0.0
            phase += hertz
        else:
            phase = rate
    return phase
