"""Reflection coefficients of a predictor."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State


def lpc_to_parcor(lpc: Array) -> Array:
    """Rows (gain, k[1..order]) of rows (gain, a[1..order]); k[order] = a[order].

    lpc: [n, order + 1]. Returns the same shape and dtype (float32 of int16), computed in float64. Raises ValueError
    with the first row that is no stable predictor, by more than rounding.
    """
    from dspgraph_nodes._kernels.signal.parcor import step_down

    return step_down(lpc).astype(np.result_type(lpc, np.float32), copy=False)


class LpcToParcor(Node):
    """Reflection (PARCOR) coefficients by the step-down recursion, gain first.

        k[i] = a_i[i],    a_(i-1)[j] = (a_i[j] - k[i] a_i[i-j]) / (1 - k[i]**2),    i = order .. 1,  a_order = a

    A predictor is stable if and only if every k lies between -1 and 1. One that is not raises ValueError, with the
    number of its frame. Rounding to the stream's precision eps moves m roots that all but meet, as those of a windowed
    tone do, by eps**(1 / m): where that may have made it so, a[j] becomes a[j] g**j, with g as near to 1 as makes it
    stable, 1 - eps**(1 / min(order, 6)) at the least.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975.
    """

    lpc = Input(Frames, "lpc")
    parcor = Output(Frames, "parcor")

    def streams(self, lpc: Frames) -> tuple[Frames]:
        return (lpc.like(kind="parcor"),)

    def start(self, lpc: Frames) -> State:
        return 0  # frames seen

    def step(self, seen: State, lpc: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.parcor import step_down

        return seen + len(lpc), step_down(lpc, seen).astype(lpc.dtype, copy=False)
