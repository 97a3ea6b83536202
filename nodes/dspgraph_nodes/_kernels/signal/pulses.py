"""Pulse trains of unit power that follow a pitch contour."""

import math
from typing import Any

from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def pulse_train(
    f0: NDArray[Any],
    gains: NDArray[Any],
    frames: int,
    samples: int,
    begun: int,
    rate: float,
    phase: float,
    y: NDArray[Any],
) -> float:
    """Replace the noise in y by pulses where f0 > 0 (voiced), and return the phase after the last sample of y.

    `samples` samples last as long as `frames` frames, so sample n begins in frame n * frames // samples. f0[0] is the
    pitch of the frame in which y[0] begins. If y[0] is sample n, begun = n * frames % samples is the distance of y[0]
    from the start of this frame, in units of 1 / frames of a sample; a frame is `samples` units long. The phase is a
    sum of f0 over voiced samples. When it has reached `rate`, a period is complete: the next voiced sample is a pulse,
    and `rate` is subtracted. Unvoiced samples set the phase to `rate`. If the f0 are whole numbers, the sum is exact; a
    sum of f0 / rate would not be. A pulse in frame k is gains[k] * sqrt(rate / f0[k]).
    """
    for i in range(len(y)):
        k = (begun + i * frames) // samples
        hertz = f0[k]
        if hertz > 0.0:  # False for NaN
            if phase >= rate:
                phase -= rate
                y[i] = gains[k] * math.sqrt(rate / hertz)
            else:
                y[i] = 0.0
            phase += hertz
        else:
            phase = rate
    return phase
