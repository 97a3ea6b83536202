"""Reflection coefficients of a predictor."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State


def lpc_to_parcor(lpc: Array) -> Array:
    """Return rows (gain, k[1..order]) of rows (gain, a[1..order]); k[order] = a[order].

    lpc: [n, order + 1]. Returns the same shape and dtype (float32 of int16), computed in float64. Raises ValueError
    with the first row that is not a stable predictor, unless rounding can be the cause.
    """
    from dspgraph_nodes._kernels.signal.parcor import step_down

    return step_down(lpc).astype(np.result_type(lpc, np.float32), copy=False)


class LpcToParcor(Node):
    """Convert predictors to reflection (PARCOR) coefficients by the step-down recursion, gain first.

        k[i] = a_i[i],    a_(i-1)[j] = (a_i[j] - k[i] a_i[i-j]) / (1 - k[i]**2),    i = order .. 1,  a_order = a

    A predictor is stable if and only if every k lies between -1 and 1. An unstable one raises ValueError with the
    number of its frame. Rounding to the stream's precision eps moves m nearly equal roots, as of a windowed tone, by
    eps**(1 / m). If that can be the cause, a[j] becomes a[j] g**j with the g nearest to 1 that makes the predictor
    stable, not below 1 - eps**(1 / min(order, 6)).

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
