"""Normalisation of means and variances."""

import math
from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating

_LEAST = 1e-10  # smallest variance


def cmvn(x: Array, back: int, ahead: int, variance: bool = True) -> Array:
    """Return every row minus the mean of a window of rows around it, divided by the standard deviation of the window.

    x: [n, width], real; back, ahead: the number of rows of the window before and after the row; rows outside the signal
    do not count; variance: whether to divide; a variance is at least 1e-10. The result has the dtype of x (float32 for
    int16); the sums are in float64, from the first row of a window to the last.
    """
    x = floating(x)
    rows = np.concatenate((np.zeros((back, x.shape[1])), x, np.zeros((ahead, x.shape[1]))))
    exists = np.concatenate((np.zeros(back), np.ones(len(x)), np.zeros(ahead)))
    return valid_cmvn(rows, exists, back, ahead, variance).astype(x.dtype)


def valid_cmvn(rows: Array, exists: Array, back: int, ahead: int, variance: bool) -> Array:
    """Return the normalised rows whose whole window is in `rows`: [max(0, n - back - ahead), width], float64.

    rows: [n, width], with rows of zeros outside the signal; exists: [n], 0 for rows outside the signal, else 1; back,
    ahead, variance: as in `cmvn`.
    """
    n = max(0, len(rows) - back - ahead)
    spans = [slice(k, k + n) for k in range(back + ahead + 1)]
    count, total, square = np.zeros((n, 1)), np.zeros((n, rows.shape[1])), np.zeros((n, rows.shape[1]))
    for span in spans:
        count += exists[span, None]
        total += rows[span]
    mean = total / np.maximum(count, 1)
    centred: Array = rows[back : back + n] - mean
    if not variance:
        return centred
    for span in spans:
        square += exists[span, None] * (rows[span] - mean) ** 2
    return centred / np.sqrt(np.maximum(square / np.maximum(count, 1), _LEAST))


class Cmvn(Node):
    """Normalise every column to mean 0 and variance 1 over a sliding window: cepstral mean and variance normalisation.

        y[n, i] = (x[n, i] - m[n, i]) / sqrt(v[n, i])

    m and v are mean and variance of the rows n - back .. n + ahead that exist. A window has `window` rows: back =
    window // 2 and ahead = window - 1 - back; with `centred: false` back = window - 1 and ahead = 0, and the node does
    not wait. With `window: null` the window is the whole signal, and the node waits for its end. A variance is at least
    1e-10. At the ends of the signal the window is shorter here, while Kaldi shifts it into the signal.

    Source: Kaldi, apply-cmvn-sliding; torchaudio reference, `SlidingWindowCmn`; O. Viikki and K. Laurila, Cepstral
    domain segmental feature vector normalization for noise robust speech recognition, Speech Communication 25, 1998.
    """

    x = Input(Frames)
    y = Output(Frames)

    window: int | None = Field(600, ge=1, le=100_000, description="rows in the window; null: the whole signal")
    centred: bool = Field(True, description="true: the row is in the middle of its window; false: at its end")
    variance: bool = Field(True, description="false: subtract the mean only")

    def streams(self, x: Frames) -> tuple[Frames]:
        if x.dtype.kind == "c":
            raise ParameterError(f"cmvn takes real rows; found {x} in {x.dtype}: take a part of them first")
        return (x,)

    def lookahead(self, x: Frames) -> Fraction | float:
        return math.inf if self.window is None else self._reach()[1] / x.rate

    def start(self, x: Frames) -> State:
        back = self._reach()[0]
        return np.zeros((back, x.width), x.dtype), np.zeros(back)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if self.window is None:
            return state, whole_cmvn(x, self.variance)
        return self._step(state, x, np.ones(len(x)))

    def flush(self, state: State) -> tuple[Array, ...]:
        if self.window is None:
            return ()
        ahead, width, dtype = self._reach()[1], state[0].shape[1], state[0].dtype
        return (self._step(state, np.zeros((ahead, width), dtype), np.zeros(ahead))[1],)

    def _step(self, state: State, x: Array, exists: Array) -> tuple[State, Array]:
        back, ahead = self._reach()
        rows, there = np.concatenate((state[0], x)), np.concatenate((state[1], exists))
        y = valid_cmvn(rows.astype(np.float64), there, back, ahead, self.variance).astype(rows.dtype)
        kept = max(0, len(rows) - back - ahead)
        return (rows[kept:].copy(), there[kept:].copy()), y

    def _reach(self) -> tuple[int, int]:
        window = self.window or 1
        back = window // 2 if self.centred else window - 1
        return back, window - 1 - back


def whole_cmvn(x: Array, variance: bool) -> Array:
    """Return rows x [n, width], n >= 1, minus the mean of all rows, divided by their standard deviation.

    variance: whether to divide; a variance is at least 1e-10. The dtype is as in `cmvn`.
    """
    x = floating(x)
    rows = x.astype(np.float64)
    centred: Array = rows - np.add.accumulate(rows)[-1] / len(rows)
    if variance:
        centred /= np.sqrt(np.maximum(np.add.accumulate(centred**2)[-1] / len(rows), _LEAST))
    normal: Array = centred.astype(x.dtype)
    return normal
