"""Synthesis from the mel-cepstrum."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


@dataclass
class MlsaState:
    """What the filter remembers."""

    filters: list[tuple[Array, Array]]  # of every section, the basic filters' inputs and outputs
    row: Array | None = None  # the coefficients that the last span reached, [1, order + 1]; none before the first


def mlsa(x: Array, mcep: Array, ratio: Fraction, alpha: float, pade: int, heard: MlsaState) -> Array:
    """y = exp(sum_m c[m] z~^-m) x, the coefficients on a line from frame to frame: those of row k at the end of span k.

    x: [n]; mcep: [frames, order + 1]; ratio: frames per sample, sample 0 at the start of a span; heard: what came
    before in as many sections as there are, changed. The first row stands from the start of its span on. Returns [n]
    in the dtype of x (float32 of int16), computed in float64; ValueError where that overflows.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp
    from dspgraph_nodes._kernels.signal import mlsa as kernels
    from dspgraph_nodes._kernels.signal.freqt import mc2b

    b = mc2b(mcep.astype(np.float64), alpha)
    b = np.concatenate((b[:1] if heard.row is None else heard.row, b))
    heard.row = b[-1:]
    at = np.arange(len(x)) * ratio.numerator
    frame = np.minimum(at // ratio.denominator, len(mcep) - 1)
    gain = b[frame, 0] + (b[frame + 1, 0] - b[frame, 0]) * (at % ratio.denominator / ratio.denominator)
    y = x * exp(gain)
    b, coefs = b / len(heard.filters), np.array(kernels.PADE[pade])
    for sources, outputs in heard.filters:
        kernels.mlsa(y, b, ratio.numerator, ratio.denominator, alpha, coefs, sources, outputs, y)
    dtype = np.result_type(x, np.float32)
    if not (np.abs(y) <= np.finfo(dtype).max).all():
        raise ValueError(
            f"the filter is unstable: the mel-cepstrum is deeper than Pade's order {pade} in {len(heard.filters)} "
            "section(s) can bear; give it more sections, or a higher floor where it was analysed"
        )
    return y.astype(dtype, copy=False)


class Mlsa(Node):
    """Speech from an excitation: the mel log spectrum approximation filter, whose log spectrum is the mel-cepstrum's.

        H(z) = exp(sum_m c[m] z~^-m) = exp(b[0]) exp(b[1] Phi_1(z)) exp(sum_(m > 1) b[m] Phi_m(z))
        Phi_m(z) = (1 - alpha**2) z^-1 / (1 - alpha z^-1) z~^-(m - 1),    z~^-1 = (z^-1 - alpha) / (1 - alpha z^-1)
        b[m] = c[m] - alpha b[m + 1]

    Each exponential is Pade's approximation, of order 4 or 5. It holds while the exponent stays below about 4.5 (6
    with order 5) on the unit circle, 39 dB (52 dB) of log spectrum; beyond that the filter bends the spectrum, and far
    beyond it is unstable. Natural speech stays within 4.5, but not where a band is empty, as at 16 kHz a recording of
    11025 Hz leaves one. More `sections` bear it: each is the filter of c / sections, and they follow each other.

    What steps into a very narrow peak, as the mel-cepstrum of a constant or of a pure tone has one, rings there at its
    gain.

    Coefficients and log gain run on a line from frame to frame and reach those of row k at the end of its span, as in
    SPTK: frames that are centred there are cut by `frame` with `centre` set to the hop. The first row stands still.

    Source: S. Imai, Cepstral analysis synthesis on the mel frequency scale, IEEE ICASSP, 1983; the coefficients of the
    approximation are those of the SPTK reference manual, `mlsadf`.
    """

    x = Input(Audio)
    mcep = Input(Frames, "mcep")
    y = Output(Audio)

    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the mel-cepstrum; 0.42 at 16 kHz")
    pade: Literal[4, 5] = Field(4, description="order of the approximation of the exponential")
    sections: int = Field(1, ge=1, le=16, description="filters in a row that share the exponent; SPTK has 1")

    def streams(self, x: Audio, mcep: Frames) -> tuple[Audio]:
        if x.channels > 1:
            raise ParameterError(f"mlsa takes one channel; found {x}: put a mono 'mix' before it")
        return (x,)

    def start(self, x: Audio, mcep: Frames) -> State:
        from dspgraph_nodes._kernels.signal.mlsa import resting

        return mcep.rate / x.rate, MlsaState(resting(mcep.width - 1, self.sections))

    def step(self, state: State, x: Array, mcep: Array) -> tuple[State, Array]:
        ratio, heard = state
        return state, mlsa(x, mcep, ratio, self.alpha, self.pade, heard)
