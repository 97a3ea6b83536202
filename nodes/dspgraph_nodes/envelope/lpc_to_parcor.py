"""Reflection coefficients of a predictor."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State


def lpc_to_parcor(lpc: Array) -> Array:
    """Return reflection coefficients, rows (gain, k[1..order]), of predictors, rows (gain, a[1..order]).

    lpc: [n, order + 1]. Returns the same shape and dtype (float32 for int16), computed in float64. Raises ValueError
    that names the first row that is not a stable predictor; but a predictor that rounding may have made unstable is
    corrected, see `LpcToParcor`.
    """
    from dspgraph_nodes._kernels.signal.parcor import step_down

    return step_down(lpc).astype(np.result_type(lpc, np.float32), copy=False)


class LpcToParcor(Node):
    """Convert predictors to reflection (PARCOR) coefficients by the step-down recursion, gain first.

        k[i] = a_i[i],    a_(i-1)[j] = (a_i[j] - k[i] * a_i[i-j]) / (1 - k[i]**2),    i = order .. 1

    a_i is the predictor of order i, and a_order is the input. The input is stable if and only if every k lies between
    -1 and 1. An unstable predictor raises ValueError that names its frame, unless rounding can be the cause: rounding
    to the precision eps of the stream moves m nearly equal roots, such as those of a windowed tone, by about eps**(1 /
    m). Such a predictor is corrected: a[j] is multiplied by g**j. The values g = 1 - eps, 1 - 4 * eps, 1 - 16 * eps ...
    are tried, down to 1 - eps**(1 / min(order, 6)), until one makes the predictor stable.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975.
    """

    lpc = Input(Frames, "lpc")
    parcor = Output(Frames, "parcor")

    def streams(self, lpc: Frames) -> tuple[Frames]:
        return (lpc.like(kind="parcor"),)

    def start(self, lpc: Frames) -> State:
        return 0  # number of frames so far

    def step(self, seen: State, lpc: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.parcor import step_down

        return seen + len(lpc), step_down(lpc, seen).astype(lpc.dtype, copy=False)
