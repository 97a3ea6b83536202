"""Filters with coefficients that do not change; every sum runs in one fixed order."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

_TILE = 2048  # samples per tile: a tile stays in the cache while all taps are applied to it


@kernel
def convolve(x: Array, taps: Array, channels: int, y: Array) -> None:
    """Filter samples with the taps of an FIR filter: y[n] = sum_k taps[k] * x[past + n - k * channels], k ascending.

    x: [past + len(y)], with interleaved channels; its first past = (len(taps) - 1) * channels values are the samples
    before those of y. y: overwritten; its samples have interleaved channels too.
    """
    past = len(x) - len(y)
    for begin in range(0, len(y), _TILE):
        out = y[begin : begin + _TILE]
        out[:] = 0
        for k in range(len(taps)):
            tap, start = taps[k], past + begin - k * channels
            samples = x[start : start + len(out)]
            for n in range(len(out)):
                out[n] += tap * samples[n]


@kernel
def second_order_section(x: Array, coefs: Array, state: Array, y: Array) -> None:
    """Filter x with a second-order section in transposed direct form II; write the result to y.

    x, y: [n, channels]; each channel is filtered on its own. coefs: b0, b1, b2, a1, a2, with a0 = 1. state: [2,
    channels], zeros before the first sample, updated in place.
    """
    b0, b1, b2, a1, a2 = coefs[0], coefs[1], coefs[2], coefs[3], coefs[4]
    for c in range(x.shape[1]):
        first, second = state[0, c], state[1, c]
        for n in range(len(x)):
            sample = np.float64(x[n, c])
            out = b0 * sample + first
            first = b1 * sample - a1 * out + second
            second = b2 * sample - a2 * out
            y[n, c] = out
        state[0, c], state[1, c] = first, second
