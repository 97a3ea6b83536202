"""Filters of fixed coefficients along time, every sum in one order, channels side by side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]

TILE = 2048  # samples that are summed before the next: they stay in the cache while the taps pass over them


@kernel
def fir(x: Array, taps: Array, channels: int, y: Array) -> None:
    """y[n] = sum_k taps[k] x[past + n - k channels], k ascending; x [past + n] begins with (taps - 1) channels."""
    past = len(x) - len(y)
    for begin in range(0, len(y), TILE):
        out = y[begin : begin + TILE]
        out[:] = 0
        for k in range(len(taps)):
            tap, start = taps[k], past + begin - k * channels
            samples = x[start : start + len(out)]
            for n in range(len(out)):
                out[n] += tap * samples[n]


@kernel
def second_order(x: Array, coefs: Array, state: Array, y: Array) -> None:
    """Transposed direct form II along the first axis of x [n, channels]; coefs b0 b1 b2 a1 a2, state [2, channels]."""
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
