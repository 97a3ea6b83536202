"""Selection of columns."""

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


class SelectColumns(Node):
    """Select the columns first .. first + count - 1 of every row.

        y[n, i] = x[n, first + i],    i = 0 .. count - 1

    This gives, for example, a predictor without its gain, or the first cepstral coefficients.

    Source: NumPy reference, "Indexing on ndarrays", slicing.
    """

    frames = Input(Frames)
    selected = Output(Frames)

    first: int = Field(0, ge=0, description="first selected column, counted from 0")
    count: int = Field(ge=1, description="number of selected columns")
    kind: str | None = Field(
        None, min_length=1, description="kind of the selected columns; by default the kind of the input"
    )

    def streams(self, frames: Frames) -> tuple[Frames]:
        if self.first + self.count > frames.width:
            raise ParameterError(
                f"select_columns.count is {self.count}; from column {self.first} on {frames} has "
                f"{max(0, frames.width - self.first)}: select fewer, or begin earlier"
            )
        return (frames.like(kind=self.kind or frames.kind, width=self.count),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, frames[:, self.first : self.first + self.count].copy()
