"""Cepstra of predictors."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State


def lpc_to_cepstrum(lpc: Array, order: int) -> Array:
    """Return the cepstra c[0..order] of the all-pole filters gain / A(z), in the dtype of lpc (float32 for int16).

    lpc: rows (gain, a[1..]), [n, any width]; computed in float64. A gain below finfo(dtype).tiny is replaced by that
    value.
    """
    from dspgraph_nodes._kernels.maths.elementary import log

    dtype = np.result_type(lpc, np.float32)
    a = np.zeros((len(lpc), max(order, lpc.shape[1] - 1) + 1))
    a[:, : lpc.shape[1]] = lpc
    c = np.zeros((len(lpc), order + 1))
    c[:, 0] = log(np.maximum(a[:, 0], np.finfo(dtype).tiny))
    for m in range(1, order + 1):
        total = np.zeros(len(lpc))
        for k in range(max(1, m - lpc.shape[1] + 1), m):
            total += k * c[:, k] * a[:, m - k]
        c[:, m] = -a[:, m] - total / m
    return c.astype(dtype)


class LpcToCepstrum(Node):
    """Convert predictors to the cepstrum of the all-pole filter gain / A(z).

        ln(gain / A(z)) = sum_m c[m] * z**-m
        c[0] = ln(gain),    c[m] = -a[m] - sum_(k = 1 .. m - 1) k / m * c[k] * a[m - k]

    The result is the cepstrum of a minimum-phase filter, the same as a mel-cepstrum with alpha = 0; `freqt` converts it
    to a mel-cepstrum with another alpha.

    Source: SPTK 3.11 reference manual, `lpc2c`.
    """

    lpc = Input(Frames, "lpc")
    cepstrum = Output(Frames, "cepstrum")

    order: int = Field(24, ge=0, le=1024, description="highest quefrency")

    def streams(self, lpc: Frames) -> tuple[Frames]:
        return (lpc.like(kind="cepstrum", width=self.order + 1),)

    def step(self, state: State, lpc: Array) -> tuple[State, Array]:
        return state, lpc_to_cepstrum(lpc, self.order)
