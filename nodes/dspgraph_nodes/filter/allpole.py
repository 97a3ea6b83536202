"""All-pole synthesis."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Frames, Input, Node, Output, ParameterError, State


def allpole(x: Array, lpc: Array, ratio: Fraction, past: Array) -> Array:
    """y[n] = gain * x[n] - sum_k a[k] y[n-k], with the row floor(n * ratio) of lpc, the last row to the end.

    x: [n]; lpc: [frames, order + 1], rows (gain, a[1..order]); ratio: frames per sample; past: the last `order`
    outputs before x, oldest first. Returns [n] in the dtype of x.
    """
    from dspgraph_nodes._kernels.signal.iir import all_pole

    y = np.empty(len(past) + len(x), x.dtype)
    y[: len(past)] = past
    all_pole(x, lpc, ratio.numerator, ratio.denominator, y)
    return y[len(past) :]


class Allpole(Node):
    """Speech from an excitation: the filter gain / A(z), in direct form.

        y[n] = gain x[n] - sum_k a[k] y[n-k],    gain and a of the frame that sample n lies in

    What is remembered are past outputs, so a change of coefficients never steps the signal.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975.
    """

    x = Input(Audio)
    lpc = Input(Frames, "lpc")
    y = Output(Audio)

    def streams(self, x: Audio, lpc: Frames) -> tuple[Audio]:
        if x.channels > 1:
            raise ParameterError(f"allpole takes one channel; found {x}: put a mono 'mix' before it")
        return (x,)

    def start(self, x: Audio, lpc: Frames) -> State:
        return lpc.rate / x.rate, np.zeros(lpc.width - 1, x.dtype)

    def step(self, state: State, x: Array, lpc: Array) -> tuple[State, Array]:
        ratio, past = state
        y = allpole(x, lpc, ratio, past)
        return (ratio, np.concatenate((past, y))[len(y) :]), y
