"""De-emphasis."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def deemphasis(x: Array, coef: float, before: Array | float = 0.0) -> Array:
    """Return y[n] = x[n] + coef * y[n-1], where y[-1] = before.

    x: [n] or [n, channels], floats, n >= 1; before: the output before the first sample, a number or [channels]. Returns
    y in the shape and dtype of x.
    """
    from dspgraph_nodes._kernels.signal.iir import one_pole

    y = np.empty((len(x) + 1, *x.shape[1:]), x.dtype)
    y[0] = before
    one_pole(x.reshape(len(x), -1), x.dtype.type(coef), y.reshape(len(y), -1))
    return y[1:]


class Deemphasis(Node):
    """Restore the spectral tilt of speech with one pole: the inverse of `preemphasis` with the same coefficient.

        y[n] = x[n] + coef * y[n-1],    y[-1] = 0

    Source: T. Robinson, Speech Analysis (lecture notes SA95), "Linear Prediction analysis", University of Cambridge.
    """

    x = Input(Audio)
    y = Output(Audio)

    coef: float = Field(0.85, ge=0.0, le=0.9999, description="radius of the pole")

    def start(self, x: Audio) -> State:
        return x.dtype.type(0)  # the last output sample

    def step(self, before: State, x: Array) -> tuple[State, Array]:
        y = deemphasis(x, self.coef, before)
        return y[-1].copy(), y
