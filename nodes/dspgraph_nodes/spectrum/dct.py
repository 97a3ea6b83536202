"""Discrete cosine transform of rows."""

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def dct(rows: Array, count: int | None = None, inverse: bool = False) -> Array:
    """Return the orthonormal DCT-II of every row, or its inverse, in the dtype of the rows (float32 for int16).

    rows: [n, width]; count: number of coefficients, at most width; with inverse=True the width of the output, at least
    width. By default count = width.
    """
    from dspgraph_nodes._kernels.signal.cosines import dct_rows, inverse_dct_rows

    return (inverse_dct_rows if inverse else dct_rows)(rows, count or rows.shape[1])


class Dct(Node):
    """Compute the discrete cosine transform (DCT-II, orthonormal) of every row, or its inverse (DCT-III).

        y[n, k] = s[k] * sum_i x[n, i] * cos(pi * k * (2 * i + 1) / (2 * width)),    k = 0 .. count - 1
        s[0] = sqrt(1 / width),    s[k] = sqrt(2 / width)

    If the inverse has more columns than its input, the missing coefficients count as 0, which gives a smooth row.

    Source: SciPy reference, `scipy.fft.dct` (type 2, norm="ortho").
    """

    x = Input(Frames)
    y = Output(Frames)

    count: int | None = Field(
        None, ge=1, le=4096, description="number of columns of the output; by default that of the input"
    )
    inverse: bool = Field(False, description="compute the inverse transform")
    kind: str | None = Field(None, min_length=1, description="kind of the output; by default 'dct', inverse: 'idct'")

    def streams(self, x: Frames) -> tuple[Frames]:
        if x.dtype.kind == "c" or x.width > 4096:
            raise ParameterError(f"dct takes real rows of at most 4096 numbers; found {x} in {x.dtype}: take a part")
        count = self.count or x.width
        if count < x.width if self.inverse else count > x.width:
            least = "at least" if self.inverse else "at most"
            raise ParameterError(f"dct.count is {count}; with inverse={self.inverse} and {x} it is {least} {x.width}")
        return (x.like(kind=self.kind or ("idct" if self.inverse else "dct"), width=count),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, dct(x, self.count, self.inverse)
