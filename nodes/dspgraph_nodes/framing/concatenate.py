"""Concatenation of rows."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


class Concatenate(Node):
    """Join the rows of several streams into longer rows, in the order of the wires: y[n] = (x_1[n], x_2[n], ...).

    All streams have the same rate, centre and dtype. `select_columns` takes the parts out again.

    Source: NumPy reference, `numpy.concatenate`.
    """

    x = Input(Frames, many=True)
    y = Output(Frames)

    kind: str | None = Field(None, min_length=1, description='kind of the output; by default the kinds joined by "+"')

    def streams(self, x: tuple[Frames, ...]) -> tuple[Frames]:
        for one in x:
            if one.dtype != x[0].dtype:
                raise ParameterError(
                    f"concatenate takes rows of one dtype; found {x[0]} in {x[0].dtype} and {one} in {one.dtype}: "
                    "convert one of them before the node"
                )
        kind = self.kind or "+".join(one.kind for one in x)
        return (x[0].like(kind=kind, width=sum(one.width for one in x)),)

    def step(self, state: State, x: tuple[Array, ...]) -> tuple[State, Array]:
        return state, np.concatenate(x, axis=1)
