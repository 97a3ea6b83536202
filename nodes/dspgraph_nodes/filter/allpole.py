"""All-pole synthesis."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Frames, Input, Node, Output, State, require_mono


def allpole(x: Array, lpc: Array, ratio: Fraction, past: Array) -> Array:
    """Return y[n] = gain * x[n] - sum_k a[k] * y[n-k], [n], in the dtype of x.

    x: [n], floats; lpc: [frames, order + 1], frames >= 1, rows (gain, a[1..order]); ratio: frames per sample; past: the
    last `order` outputs before x, oldest first. Sample n uses row floor(n * ratio) of lpc; samples after the span of
    the last row use the last row.
    """
    from dspgraph_nodes._kernels.signal.iir import all_pole

    y = np.empty(len(past) + len(x), x.dtype)
    y[: len(past)] = past
    all_pole(x, lpc, ratio.numerator, ratio.denominator, y)
    return y[len(past) :]


class Allpole(Node):
    """Synthesise speech from an excitation: the all-pole filter gain / A(z), in direct form.

        y[n] = gain * x[n] - sum_k a[k] * y[n-k],    gain and a of the frame that contains sample n

    The state of the filter is its past outputs. A change of coefficients does not alter them.

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
        y = allpole(x, lpc, ratio, past)
        return (ratio, np.concatenate((past, y))[len(y) :]), y
