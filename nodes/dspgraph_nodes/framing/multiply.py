"""Products of rows, number by number."""

from collections.abc import Sequence

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def multiply(rows: Sequence[Array]) -> Array:
    """Return the product of arrays, multiplied from the first to the last, as a new array.

    rows: arrays [n, width] or [n, 1].
    """
    product = rows[0].copy()
    for one in rows[1:]:
        product = product * one
    return product


class Multiply(Node):
    """Multiply rows, number by number, in the order of the wires: y[n, i] = x_1[n, i] * x_2[n, i] * ...

    A stream that is 1 wide is multiplied with every column of the others. All streams have the same rate, centre and
    dtype. By default the output has the kind of the first stream that is as wide as the output.

    Source: NumPy reference, "Broadcasting".
    """

    x = Input(Frames, many=True)
    y = Output(Frames)

    kind: str | None = Field(None, min_length=1, description="kind of the output; by default that of the input")

    def streams(self, x: tuple[Frames, ...]) -> tuple[Frames]:
        widest = max(x, key=lambda one: one.width)
        for one in x:
            if one.width not in (1, widest.width) or one.dtype != widest.dtype:
                same = one.dtype == widest.dtype
                way = "put a 'select_columns' before it" if same else "convert one of them before the node"
                raise ParameterError(
                    f"multiply takes rows of one dtype, all equally wide or 1 wide; found {widest} in "
                    f"{widest.dtype} and {one} in {one.dtype}: {way}"
                )
        return (widest.like(kind=self.kind or widest.kind),)

    def step(self, state: State, x: tuple[Array, ...]) -> tuple[State, Array]:
        return state, multiply(x)
