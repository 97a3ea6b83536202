"""Filtering by a finite impulse response."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def fir(x: Array, taps: Array, past: Array) -> Array:
    """Return y[n] = sum_k taps[k] * x[n-k], in the shape and dtype of x (float32 for int16).

    x: [n] or [n, channels], n >= 1; taps: [count]; past: the last count - 1 samples before x, oldest first.
    """
    from dspgraph_nodes._kernels.signal.filters import convolve

    y = np.empty(x.shape, np.result_type(x, np.float32))
    samples = np.concatenate((past, x), dtype=y.dtype).reshape(-1)
    convolve(samples, taps.astype(y.dtype, copy=False), x.size // len(x), y.reshape(-1))
    return y


class Fir(Node):
    """Filter every channel of audio with a given impulse response.

        y[n] = sum_k taps[k] * x[n-k],    x = 0 before the signal

    The filter is causal: symmetric taps delay the signal by (number of taps - 1) / 2 samples. The output is as long as
    the input, so the response of the filter after the last input sample is cut off.

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, chapter 6 (direct form).
    """

    x = Input(Audio)
    y = Output(Audio)

    taps: tuple[float, ...] = Field(min_length=1, max_length=65536, description="the impulse response, tap 0 first")

    def start(self, x: Audio) -> State:
        return np.zeros((len(self.taps) - 1, *x.item_shape), x.dtype)

    def step(self, past: State, x: Array) -> tuple[State, Array]:
        y = fir(x, np.array(self.taps), past)
        return np.concatenate((past, x))[len(x) :], y
