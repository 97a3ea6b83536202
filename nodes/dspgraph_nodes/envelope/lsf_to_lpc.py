"""Predictors from line spectral frequencies."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State


def lsf_to_lpc(lsf: Array) -> Array:
    """Return rows (gain, a[1..order]) of rows (gain, w[1..order]), radians: the inverse of `lpc_to_lsf`.

    lsf: [n, order + 1], order at least 1. Returns the same shape and dtype (float32 of int16), computed in float64.
    Raises ValueError with the first row that does not ascend from 0 to pi.
    """
    from dspgraph_nodes._kernels.signal.lsf import lpc_of_lsf

    return lpc_of_lsf(lsf).astype(np.result_type(lsf, np.float32), copy=False)


class LsfToLpc(Node):
    """Convert line spectral frequencies to predictors, gain first.

        A(z) = (P(z) + Q(z)) / 2,    P: prod (1 - 2 cos w[i] / z + 1 / z**2) over odd i,  Q: over even i,

    multiplied by 1 + 1/z in P and 1 - 1/z in Q for an even order, and by 1 - 1/z**2 in Q for an odd order. The
    predictor is stable if w ascends strictly between 0 and pi. A row that does not ascend raises ValueError with the
    number of its frame.

    Source: F. K. Soong and B.-H. Juang, Line spectrum pair (LSP) and speech data compression, ICASSP 1984.
    """

    lsf = Input(Frames, "lsf")
    lpc = Output(Frames, "lpc")

    def streams(self, lsf: Frames) -> tuple[Frames]:
        if lsf.width < 2:
            raise ParameterError(f"lsf_to_lpc takes a gain and one frequency or more; found {lsf}: raise the order")
        return (lsf.like(kind="lpc"),)

    def start(self, lsf: Frames) -> State:
        return 0  # number of frames so far

    def step(self, seen: State, lsf: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.lsf import lpc_of_lsf

        return seen + len(lsf), lpc_of_lsf(lsf, seen).astype(lsf.dtype, copy=False)
