"""Power of windowed frames, summed in one fixed order."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def windowed_power(frames: Array, window: Array) -> Array:
    """Return the power of n frames, [n] float64: the sum of window[i] * x[i]**2, i ascending, for a frame x.

    frames: [n, length]; window: [length], float64.
    """
    power = np.zeros(len(frames))
    for k in range(len(frames)):
        for i in range(len(window)):
            sample = np.float64(frames[k, i])
            power[k] += window[i] * (sample * sample)
    return power
