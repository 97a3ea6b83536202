"""Warping of the frequency scale of cepstra."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating


def warped(cepstrum: Array, order: int, alpha: float) -> Array:
    """Return cepstra on the frequency scale warped by the all-pass constant alpha, as `Freqt` does: [n, order + 1].

    cepstrum: [n, width]. The result has the dtype of `cepstrum` (float32 for int16).
    """
    from dspgraph_nodes._kernels.signal.freqt import freqt

    c = floating(cepstrum)
    return freqt(c.astype(np.float64), order, alpha).astype(c.dtype)


class Freqt(Node):
    """Warp the frequency scale of cepstra with a first-order all-pass.

        sum_m c~[m] * z~**-m = sum_m c[m] * z**-m,    z~**-1 = (z**-1 - alpha) / (1 - alpha * z**-1)

    A minimum-phase cepstrum becomes a mel-cepstrum. With alpha = (b - a) / (1 - a * b), a mel-cepstrum with the
    constant a becomes a mel-cepstrum with the constant b; alpha = -a removes the warping.

    Source: A. V. Oppenheim and D. H. Johnson, Discrete representation of signals, Proceedings of the IEEE 60(6), 1972.
    """

    cepstrum = Input(Frames, "cepstrum", "mcep")
    mcep = Output(Frames, "mcep")

    order: int = Field(24, ge=0, le=1024, description="order of the output")
    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant: 0.42 is the mel scale at 16 kHz")

    def streams(self, cepstrum: Frames) -> tuple[Frames]:
        return (cepstrum.like(kind="mcep", width=self.order + 1),)

    def step(self, state: State, cepstrum: Array) -> tuple[State, Array]:
        return state, warped(cepstrum, self.order, self.alpha)
