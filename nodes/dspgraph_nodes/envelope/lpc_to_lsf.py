"""Line spectral frequencies of a predictor."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State


def lpc_to_lsf(lpc: Array) -> Array:
    """Return line spectral frequencies, rows (gain, w[1..order]), in radians per sample, ascending from 0 to pi.

    lpc: predictors [n, order + 1], rows (gain, a[1..order]), order at least 1. Returns the same shape and dtype
    (float32 for int16), computed in float64. Raises ValueError that names the first row that is not a stable predictor;
    but a predictor that rounding may have made unstable is corrected, see `LpcToLsf`.
    """
    from dspgraph_nodes._kernels.signal.lsf import lsf_of_lpc

    return lsf_of_lpc(lpc).astype(np.result_type(lpc, np.float32), copy=False)


class LpcToLsf(Node):
    """Convert predictors to the gain and line spectral frequencies, which ascend, in radians per sample.

        P(z) = A(z) + z**-(order+1) * A(1/z),    Q(z) = A(z) - z**-(order+1) * A(1/z)

    Rows are (gain, w[1..order]). The roots of P and Q lie on the unit circle and alternate. w[1], w[3] ... are the
    angles of the roots of P between 0 and pi; w[2], w[4] ... are the angles of the roots of Q between 0 and pi. The
    angles are computed as eigenvalues of two tridiagonal matrices made of the reflection coefficients, so that no root
    is missed. In a silent frame all a[j] are 0, and the frequencies are evenly spaced: w[i] = pi * i / (order + 1). If
    a predictor is unstable by so little that rounding to the precision of the stream can be the cause, its poles are
    moved inwards until it is stable, as in `lpc_to_parcor`. Any other unstable predictor raises ValueError that names
    its frame.

    Source: F. K. Soong and B.-H. Juang, Line spectrum pair (LSP) and speech data compression, ICASSP 1984; P. Delsarte
    and Y. Genin, A survey of the split approach based techniques in digital signal processing applications, Philips
    Journal of Research 43, 1988.
    """

    lpc = Input(Frames, "lpc")
    lsf = Output(Frames, "lsf")

    def streams(self, lpc: Frames) -> tuple[Frames]:
        if lpc.width < 2:
            raise ParameterError(f"lpc_to_lsf takes a gain and one coefficient or more; found {lpc}: raise the order")
        return (lpc.like(kind="lsf"),)

    def start(self, lpc: Frames) -> State:
        return 0  # number of frames so far

    def step(self, seen: State, lpc: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.lsf import lsf_of_lpc

        return seen + len(lpc), lsf_of_lpc(lpc, seen).astype(lpc.dtype, copy=False)
