"""Interpolation of rows to another frame rate."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State, to_fraction

_LARGEST_TERM = 1 << 31  # limit of both terms of the fraction of the two rates; products then fit in 64 bits


def between_rows(rows: Array, positions: Array, weights: Array, apart: bool) -> Array:
    """Return (1 - w) * x[p] + w * x[p + 1] for each position p and weight w. After the last row, x is the last row.

    rows: x, [n, width]; positions: p, [m], from 0 to n - 1; weights: w, [m], from 0 to 1, float64. apart: if true, and
    one of the two values in a column is not above 0, the value of the nearer row is taken, so that voiced and unvoiced
    frames are not mixed.
    """
    first, second = rows[positions], rows[np.minimum(positions + 1, len(rows) - 1)]
    w = weights[:, None].astype(rows.real.dtype)
    y: Array = ((1 - w) * first + w * second).astype(rows.dtype, copy=False)
    if apart:
        y = np.where((first > 0) & (second > 0), y, np.where(w > 0.5, second, first))
    return y


@dataclass
class InterpolationState:
    """The state of the interpolation: the rows that later output needs, and counts.

    rows: [n, width]; at: the number, in the input, of the row rows[0]; received, given: the numbers of input rows
    received and of output rows returned so far.
    """

    rows: Array  # input rows that are still needed
    at: int = 0  # number of the row rows[0]
    received: int = 0  # number of input rows so far
    given: int = 0  # number of output rows so far


class InterpolateFrames(Node):
    """Interpolate rows linearly to another frame rate.

        y[j] = (1 - w) * x[p] + w * x[p + 1],    p + w = j * x.rate / rate,    0 <= w < 1

    After the last row of x, its values stay. The centre of the rows does not change: row j of the output is for the
    time j / rate + centre. In rows of the kind "f0", a number that is not above 0 is an unvoiced frame. If one of the
    two rows is unvoiced, the nearer row is taken, so that no pitch between 0 and the pitch of the voice results.

    Source: NumPy reference, `numpy.interp`.
    """

    x = Input(Frames)
    y = Output(Frames)

    rate: float = Field(gt=0, le=1e6, description="rows per second of the output")

    def streams(self, x: Frames) -> tuple[Frames]:
        if max(self._ratio(x)) > _LARGEST_TERM:
            raise ParameterError(
                f"interpolate_frames.rate is {self.rate!r}, {to_fraction(self.rate) / x.rate} times that of {x}: "
                f"this ratio has too many digits; take {round(self.rate)}"
            )
        return (x.like(rate=to_fraction(self.rate)),)

    def lookahead(self, x: Frames) -> Fraction:
        _, parts = self._ratio(x)
        late = Fraction(parts - 1, parts) + 1  # from a position to the end of the row after it, in rows, at most
        return max(Fraction(0), late / x.rate - 1 / to_fraction(self.rate))

    def start(self, x: Frames) -> State:
        return (*self._ratio(x), x.kind == "f0"), InterpolationState(x.empty())

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        (steps, parts, _), held = state
        held.rows = np.concatenate((held.rows, x))
        held.received += len(x)
        known = (held.received - 1) * parts // steps + 1
        return state, self._give(state, min(known, held.received * parts // steps))

    def flush(self, state: State) -> tuple[Array]:
        (steps, parts, _), held = state
        return (self._give(state, -(-held.received * parts // steps)),)

    def _give(self, state: State, until: int) -> Array:
        """Return the output rows from the first one not returned yet up to, not including, row number `until`.

        state: the state of the node, whose `InterpolationState` is updated: input rows that no later row needs are
        dropped. The caller must ensure that the input rows that these rows depend on have come, or that the signal has
        ended.
        """
        (steps, parts, apart), held = state
        count = until - held.given
        if count <= 0:
            return np.empty((0, held.rows.shape[1]), held.rows.dtype)
        begun = held.given * steps
        along = begun % parts + np.arange(count) * steps
        positions = np.minimum(begun // parts - held.at + along // parts, len(held.rows) - 1)
        y: Array = between_rows(held.rows, positions, (along % parts) / parts, apart)
        held.given = until
        gone = min(until * steps // parts, held.received - 1) - held.at
        held.rows, held.at = held.rows[gone:], held.at + gone
        return y

    def _ratio(self, x: Frames) -> tuple[int, int]:
        """Return (a, b) with a / b = x.rate / rate in lowest terms. x: the input stream."""
        return (x.rate / to_fraction(self.rate)).as_integer_ratio()
