"""Gain."""

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def gain(x: Array, factor: float) -> Array:
    """Return factor * x, in the shape and dtype of x. x: floats."""
    y: Array = x * x.dtype.type(factor)
    return y


class Gain(Node):
    """Scale audio by a factor: y[n] = gain * x[n]. A negative gain inverts the polarity."""

    x = Input(Audio)
    y = Output(Audio)

    gain: float = Field(1.0, ge=-1e6, le=1e6, description="linear factor")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, gain(x, self.gain)
