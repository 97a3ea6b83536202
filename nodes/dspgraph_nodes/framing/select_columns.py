"""Some of the columns of rows."""

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


class SelectColumns(Node):
    """The columns first .. first + count - 1 of every row: the predictor without its gain, a few cepstral coefficients.

        y[n, i] = x[n, first + i],    i = 0 .. count - 1

    Source: NumPy reference, "Indexing on ndarrays", slicing.
    """

    frames = Input(Frames)
    selected = Output(Frames)

    first: int = Field(0, ge=0, description="the first column taken, counted from 0")
    count: int = Field(ge=1, description="how many columns are taken")
    kind: str | None = Field(None, min_length=1, description="what the columns are, the rows' own kind by default")

    def streams(self, frames: Frames) -> tuple[Frames]:
        if self.first + self.count > frames.width:
            raise ParameterError(
                f"select_columns.count is {self.count}; from column {self.first} on {frames} has "
                f"{max(0, frames.width - self.first)}: take fewer, or begin earlier"
            )
        return (frames.like(kind=self.kind or frames.kind, width=self.count),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, frames[:, self.first : self.first + self.count].copy()
