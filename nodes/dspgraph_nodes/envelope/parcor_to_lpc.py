"""Predictors from reflection coefficients."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State


def parcor_to_lpc(parcor: Array) -> Array:
    """Return the predictors, rows (gain, a[1..order]), that belong to reflection coefficients.

    The inverse of `lpc_to_parcor`. parcor: [n, order + 1], rows (gain, k[1..order]). Returns the same shape and dtype
    (float32 for int16), computed in float64.
    """
    from dspgraph_nodes._kernels.signal.parcor import step_up

    return step_up(parcor).astype(np.result_type(parcor, np.float32), copy=False)


class ParcorToLpc(Node):
    """Convert reflection (PARCOR) coefficients to predictors by the step-up recursion, gain first.

        a_i[i] = k[i],    a_i[j] = a_(i-1)[j] + k[i] * a_(i-1)[i-j],    i = 1 .. order

    a_i is the predictor of order i, and a_order is the output. The output is stable if and only if every k lies between
    -1 and 1.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975.
    """

    parcor = Input(Frames, "parcor")
    lpc = Output(Frames, "lpc")

    def streams(self, parcor: Frames) -> tuple[Frames]:
        return (parcor.like(kind="lpc"),)

    def step(self, state: State, parcor: Array) -> tuple[State, Array]:
        return state, parcor_to_lpc(parcor)
