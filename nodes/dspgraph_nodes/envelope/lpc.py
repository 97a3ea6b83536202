"""Linear prediction."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def lpc(frames: Array, order: int) -> Array:
    """Return predictors of frames x: rows (gain, a[1..order]) that minimise the energy of x[n] + sum_k a[k] * x[n-k].

    frames: [n, length], windowed, length > order. Returns [n, order + 1] in the dtype of the frames (float32 for
    int16); the sums are in float64. A silent frame, whose energy is at most finfo(dtype).tiny, has gain 0 and
    coefficients 0, not NaN.
    """
    from dspgraph_nodes._kernels.signal.levinson import autocorrelation, levinson

    dtype = np.result_type(frames, np.float32)
    rows = levinson(autocorrelation(frames, order), float(np.finfo(dtype).tiny))
    return rows.astype(dtype, copy=False)


class Lpc(Node):
    """Compute linear-prediction coefficients of windowed frames, gain first.

        sum_k a[k] * r[|j-k|] = -r[j],    gain**2 = r[0] + sum_k a[k] * r[k],    r[j] = sum_n x[n] * x[n+j]

    This is the autocorrelation method, solved by the Levinson-Durbin recursion. j and k run from 1 to `order`.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975.
    """

    frames = Input(Frames, "wave")
    lpc = Output(Frames, "lpc")

    order: int = Field(16, ge=1, le=64, description="prediction order")

    def streams(self, frames: Frames) -> tuple[Frames]:
        if self.order >= frames.width:
            raise ParameterError(
                f"lpc.order is {self.order}; frames of {frames.width} samples determine an order of at most "
                f"{frames.width - 1}: lower the order or lengthen the frames"
            )
        return (frames.like(kind="lpc", width=self.order + 1),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, lpc(frames, self.order)
