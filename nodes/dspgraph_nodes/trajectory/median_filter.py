"""Median filter over time."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.medians import running_medians


def median_filter(x: Array, length: int) -> Array:
    """Return the running median of every column, [n, width]: the median of `length` rows with the row in the middle.

    x: [n, width], n >= 1, real; length: odd. The first and the last row are repeated beyond the ends of the signal.
    """
    half = length // 2
    return running_medians(np.concatenate((np.repeat(x[:1], half, 0), x, np.repeat(x[-1:], half, 0))), length)


class MedianFilter(Node):
    """Replace every number by the median of the numbers around it in time: outliers are removed, edges stay sharp.

        y[n, i] = median of x[n - h, i] .. x[n + h, i],    h = (length - 1) / 2

    The first and the last row are repeated beyond the ends of the signal. On a pitch contour the filter removes octave
    errors and gaps of at most h rows.

    Source: L. R. Rabiner, M. R. Sambur, C. E. Schmidt, Applications of a nonlinear smoothing algorithm to speech
    processing, IEEE Transactions on Acoustics, Speech, and Signal Processing 23(6), 1975; SciPy reference,
    `scipy.ndimage.median_filter` (mode="nearest").
    """

    x = Input(Frames)
    y = Output(Frames)

    length: int = Field(5, ge=1, le=9999, description="rows of which the median is taken, an odd number")

    def streams(self, x: Frames) -> tuple[Frames]:
        if x.dtype.kind == "c":
            raise ParameterError(f"median_filter takes real rows; found {x} in {x.dtype}: take a part of them first")
        if not self.length % 2:
            raise ParameterError(f"median_filter.length is {self.length}; it must be odd: take {self.length + 1}")
        return (x,)

    def lookahead(self, x: Frames) -> Fraction:
        return (self.length // 2) / x.rate

    def start(self, x: Frames) -> State:
        return x.empty()

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        if not len(held):
            held = np.repeat(x[:1], self.length // 2, axis=0)
        rows = np.concatenate((held, x))
        return rows[max(0, len(rows) - self.length + 1) :].copy(), running_medians(rows, self.length)

    def flush(self, held: State) -> tuple[Array]:
        return (running_medians(np.concatenate((held, np.repeat(held[-1:], self.length // 2, 0))), self.length),)
