"""Panning."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State, require_mono


def pan(x: Array, position: float) -> Array:
    """Return (cos(a) * x[n], sin(a) * x[n]), [n, 2], with a = (position + 1) * pi / 4.

    x: [n], floats; position: -1 (left) to 1 (right).
    """
    from dspgraph_nodes._kernels.maths.elementary import cos, sin

    angle = np.array((position + 1) * (np.pi / 4))
    factors = np.array([float(cos(angle)), float(sin(angle))], x.dtype)
    y: Array = x[:, None] * factors
    return y


class Pan(Node):
    """Place a mono signal between two loudspeakers; the total power is the same at every position.

        left[n] = cos(a) * x[n],    right[n] = sin(a) * x[n],    a = (position + 1) * pi / 4

    Source: firewheel-core 0.7 reference, `PanLaw` (EqualPower3dB).
    """

    x = Input(Audio)
    y = Output(Audio)

    position: float = Field(0.0, ge=-1, le=1, description="-1: left, 0: middle, 1: right")

    def streams(self, x: Audio) -> tuple[Audio]:
        require_mono(x, self)
        return (x.like(channels=2),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, pan(x, self.position)
