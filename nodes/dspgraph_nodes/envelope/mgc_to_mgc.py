"""Conversion of mel-generalised cepstra."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def mgc_to_mgc(mgc: Array, order: int, warp: float, gamma: float, to_gamma: float) -> Array:
    """Return mel-generalised cepstra converted to another order, frequency scale and gamma: [n, order + 1].

    mgc: [n, width]; order: the order of the result; warp: constant of the all-pass between the two frequency scales, 0
    for the same scale; gamma, to_gamma: the gamma of mgc and of the result. The result has the dtype of mgc (float32
    for int16), computed in float64. Raises ValueError that names the first row where 1 + gamma * c[0] is not above 0;
    c[0] is taken on the frequency scale of the result.
    """
    from dspgraph_nodes._kernels.signal.freqt import freqt
    from dspgraph_nodes._kernels.signal.generalised import change_gamma, normalise_gain, restore_gain

    c = mgc.astype(np.float64)
    if warp:
        c = freqt(c, order, warp)
    bad = 1 + gamma * c[:, 0] <= 0
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"1 + gamma * c[0] must be above 0; row {row} has c[0] = {c[row, 0]:g} and gamma = {gamma:g}")
    y = restore_gain(change_gamma(normalise_gain(c, gamma), order, gamma, to_gamma), to_gamma)
    return y.astype(np.result_type(mgc, np.float32), copy=False)


class MgcToMgc(Node):
    """Convert mel-generalised cepstra to another order, another frequency scale and another power gamma.

        H(z) = (1 + gamma * sum_m c[m] * z~**-m)**(1 / gamma);    gamma = 0: exp(sum_m c[m] * z~**-m)
        z~**-1 = (z**-1 - alpha) / (1 - alpha * z**-1)

    gamma = 0 is the mel-cepstrum, gamma = -1 with alpha = 0 linear prediction. The output is of the kind "mcep" if its
    gamma is 0, else of the kind "mgc". The output has the same H as the input, as far as its order allows. A row where
    1 + gamma * c[0], with c on the frequency scale of the output, is not above 0 raises ValueError.

    Source: K. Tokuda, T. Kobayashi, T. Masuko and S. Imai, Mel-generalized cepstral analysis: a unified approach to
    speech spectral estimation, ICSLP, 1994; SPTK 3.11 reference manual, `mgc2mgc`.
    """

    mgc = Input(Frames, "mgc", "mcep", "cepstrum")
    converted = Output(Frames, "mgc", "mcep")

    order: int = Field(24, ge=0, le=1024, description="order of the output")
    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the input")
    gamma: float = Field(0.0, ge=-1.0, le=1.0, description="power of the input")
    to_alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the output")
    to_gamma: float = Field(0.0, ge=-1.0, le=1.0, description="power of the output")

    def streams(self, mgc: Frames) -> tuple[Frames]:
        if self.gamma and mgc.kind != "mgc":
            raise ParameterError(
                f"mgc_to_mgc.gamma is {self.gamma:g}, but rows of the kind {mgc.kind!r} have the power 0: leave it out"
            )
        return (mgc.like(kind="mgc" if self.to_gamma else "mcep", width=self.order + 1),)

    def step(self, state: State, mgc: Array) -> tuple[State, Array]:
        warp = (self.to_alpha - self.alpha) / (1 - self.alpha * self.to_alpha)
        return state, mgc_to_mgc(mgc, self.order, warp, self.gamma, self.to_gamma)
