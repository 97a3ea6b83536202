"""The residual of linear prediction."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Frames, Input, Node, Output, State, require_mono


def inverse_filter(x: Array, lpc: Array, ratio: Fraction, past: Array) -> Array:
    """Return the residual e[n] = (x[n] + sum_k a[k] * x[n-k]) / gain, [n], in the dtype of x; 0 where the gain is 0.

    x: [n], floats; lpc: [frames, order + 1], frames >= 1, rows (gain, a[1..order]); ratio: frames per sample; past: the
    last `order` inputs before x, oldest first. Sample n uses row floor(n * ratio) of lpc; samples after the span of the
    last row use the last row. A gain of at most finfo(dtype).tiny counts as 0.
    """
    from dspgraph_nodes._kernels.signal.iir import all_zero

    e = np.empty(len(x), x.dtype)
    tiny = float(np.finfo(x.dtype).tiny)
    all_zero(np.concatenate((past, x)), lpc, ratio.numerator, ratio.denominator, tiny, e)
    return e


class InverseFilter(Node):
    """Compute the residual of linear prediction: the filter A(z) / gain.

        y[n] = (x[n] + sum_k a[k] * x[n-k]) / gain,    gain and a of the frame that contains sample n

    `allpole` with the same coefficients turns the residual back into the input, except in silent frames: where the gain
    is 0, the residual is 0.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975.
    """

    x = Input(Audio)
    lpc = Input(Frames, "lpc")
    y = Output(Audio)

    def streams(self, x: Audio, lpc: Frames) -> tuple[Audio]:
        require_mono(x, self)
        return (x,)

    def start(self, x: Audio, lpc: Frames) -> State:
        return lpc.rate / x.rate, np.zeros(lpc.width - 1, x.dtype)

    def step(self, state: State, x: Array, lpc: Array) -> tuple[State, Array]:
        ratio, past = state
        return (ratio, np.concatenate((past, x))[len(x) :]), inverse_filter(x, lpc, ratio, past)
