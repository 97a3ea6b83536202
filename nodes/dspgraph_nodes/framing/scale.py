"""Scaling of rows."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating

ScaleNumbers = float | tuple[float, ...]


def scale(frames: Array, factor: ScaleNumbers, offset: ScaleNumbers) -> Array:
    """Return factor * x + offset, in the dtype of the frames (float32 for int16).

    frames: x, [n, width]; factor, offset: one number, or one for each column.
    """
    x = floating(frames)
    a, b = (np.asarray(value, x.real.dtype) for value in (factor, offset))
    y: Array = x * a + b
    return y


class Scale(Node):
    """Multiply rows by a factor and add an offset, both the same for all columns, or one number for each column.

        y[n, i] = factor[i] * x[n, i] + offset[i]

    For example, `factor` = 1 / deviation and `offset` = -mean / deviation normalise features. Complex rows stay
    complex.

    Source: scikit-learn reference, `StandardScaler` (normalisation of features, column by column).
    """

    x = Input(Frames)
    y = Output(Frames)

    factor: ScaleNumbers = Field(1.0, description="one number for all columns, or a list with a number for each")
    offset: ScaleNumbers = Field(0.0, description="one number for all columns, or a list with a number for each")
    kind: str | None = Field(None, min_length=1, description="kind of the output; by default that of the input")

    def streams(self, x: Frames) -> tuple[Frames]:
        for name, value in (("factor", self.factor), ("offset", self.offset)):
            if isinstance(value, tuple) and len(value) != x.width:
                raise ParameterError(
                    f"scale.{name} has {len(value)} numbers; {x} has {x.width} columns: give one number, or {x.width}"
                )
        return (x.like(kind=self.kind or x.kind),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, scale(x, self.factor, self.offset)
