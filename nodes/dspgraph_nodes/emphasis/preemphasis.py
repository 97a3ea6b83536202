"""Pre-emphasis."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def preemphasis(x: Array, coef: float, before: Array | float = 0.0) -> Array:
    """Return y[n] = x[n] - coef * x[n-1], where x[-1] = before.

    x: [n] or [n, channels], floats, n >= 1; before: the input before the first sample, a number or [channels]. Returns
    y in the shape and dtype of x.
    """
    c = x.dtype.type(coef)
    y = np.empty_like(x)
    y[0] = x[0] - c * before
    y[1:] = x[1:] - c * x[:-1]
    return y


class Preemphasis(Node):
    """Flatten the spectral tilt of voiced speech with one zero; `deemphasis` is the inverse.

        y[n] = x[n] - coef * x[n-1],    x[-1] = 0

    Source: T. Robinson, Speech Analysis (lecture notes SA95), "Linear Prediction analysis", University of Cambridge.
    """

    x = Input(Audio)
    y = Output(Audio)

    coef: float = Field(0.85, ge=0.0, le=0.9999, description="radius of the zero")

    def start(self, x: Audio) -> State:
        return x.dtype.type(0)  # the last input sample

    def step(self, before: State, x: Array) -> tuple[State, Array]:
        return x[-1].copy(), preemphasis(x, self.coef, before)
