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
    """Write pulses over the samples of y where f0 > 0 (voiced); return the phase after the last sample of y.

    f0, gains: [n], pitch in Hz and gain of each frame, from the frame on in which y[0] begins. `frames` frames last as
    long as `samples` samples, so sample n begins in frame n * frames // samples. begun: n * frames % samples for the
    number n of the sample y[0], which says where in the frame it begins. rate: the sampling rate, Hz; phase: the phase
    before y[0], which is `rate` at the start of a signal.

    The phase is the sum of f0 over voiced samples. When it reaches `rate`, a period is complete: the next voiced sample
    is a pulse, and `rate` is subtracted. Unvoiced samples, which stay as they are, set the phase to `rate`. A pulse in
    frame k has the height gains[k] * sqrt(rate / f0[k]); voiced samples between pulses are 0.
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
