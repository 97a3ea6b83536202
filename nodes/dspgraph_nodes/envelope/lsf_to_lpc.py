"""Predictors from line spectral frequencies."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State


def lsf_to_lpc(lsf: Array) -> Array:
    """Return predictors, rows (gain, a[1..order]), of line spectral frequencies: the inverse of `lpc_to_lsf`.

    lsf: [n, order + 1], rows (gain, w[1..order]), in radians per sample, order at least 1. Returns the same shape and
    dtype (float32 for int16), computed in float64. Raises ValueError that names the first row that descends or leaves
    0 .. pi.
    """
    from dspgraph_nodes._kernels.signal.lsf import lpc_of_lsf

    return lpc_of_lsf(lsf).astype(np.result_type(lsf, np.float32), copy=False)


class LsfToLpc(Node):
    """Convert line spectral frequencies to predictors.

    A row (gain, w[1..order]), with the frequencies w in radians per sample, becomes a row (gain, a[1..order]) of the
    predictor A(z) = 1 + a[1]/z + a[2]/z**2 ..., with the same gain:

        A(z) = (P(z) + Q(z)) / 2,    B_i(z) = 1 - 2 * cos(w[i]) / z + 1 / z**2
        even order:  P(z) = (1 + 1/z) * product of B_i over odd i,    Q(z) = (1 - 1/z) * product of B_i over even i
        odd order:   P(z) = product of B_i over odd i,                Q(z) = (1 - 1/z**2) * product of B_i over even i

    The predictor is stable if w ascends strictly between 0 and pi. A row whose frequencies descend or leave 0 .. pi
    raises ValueError that names its frame.

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
