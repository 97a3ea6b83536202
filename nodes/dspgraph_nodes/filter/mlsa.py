"""Synthesis from mel-cepstra with the MLSA filter."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, State, require_mono


@dataclass
class MlsaState:
    """State of the filter."""

    filters: list[tuple[Array, Array]]  # inputs and outputs of the basic filters of each section
    row: Array | None = None  # [1, order + 1]: coefficients at the end of the last span; None before the first


def mlsa(x: Array, mcep: Array, ratio: Fraction, alpha: float, pade: int, memory: MlsaState) -> Array:
    """Return y = exp(sum_m c[m] z~^-m) x; coefficients move on a line and reach those of row k at the end of span k.

    x: [n]; mcep: [frames, order + 1]; ratio: frames per sample, sample 0 at the start of a span; memory: the state of
    the sections, updated. The first row holds from the start of its span. Returns [n] in the dtype of x (float32 of
    int16), computed in float64. Raises ValueError if the output overflows.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp
    from dspgraph_nodes._kernels.signal import mlsa as kernels
    from dspgraph_nodes._kernels.signal.freqt import mc2b

    b = mc2b(mcep.astype(np.float64), alpha)
    b = np.concatenate((b[:1] if memory.row is None else memory.row, b))
    memory.row = b[-1:]
    at = np.arange(len(x)) * ratio.numerator
    frame = np.minimum(at // ratio.denominator, len(mcep) - 1)
    gain = b[frame, 0] + (b[frame + 1, 0] - b[frame, 0]) * (at % ratio.denominator / ratio.denominator)
    y = x * exp(gain)
    b, coefs = b / len(memory.filters), np.array(kernels.PADE[pade])
    for sources, outputs in memory.filters:
        kernels.mlsa(y, b, ratio.numerator, ratio.denominator, alpha, coefs, sources, outputs, y)
    dtype = np.result_type(x, np.float32)
    if not (np.abs(y) <= np.finfo(dtype).max).all():
        raise ValueError(
            f"the filter is unstable: the range of the mel-cepstrum is too large for Pade's order {pade} in "
            f"{len(memory.filters)} section(s); use more sections, or a higher floor in the analysis"
        )
    return y.astype(dtype, copy=False)


class Mlsa(Node):
    """Synthesise speech from an excitation with the mel log spectrum approximation (MLSA) filter.

        H(z) = exp(sum_m c[m] z~^-m) = exp(b[0]) exp(b[1] Phi_1(z)) exp(sum_(m > 1) b[m] Phi_m(z))
        Phi_m(z) = (1 - alpha**2) z^-1 / (1 - alpha z^-1) z~^-(m - 1),    z~^-1 = (z^-1 - alpha) / (1 - alpha z^-1)
        b[m] = c[m] - alpha b[m + 1]

    Each exponential is Pade's approximation, of order 4 or 5. It is accurate while the exponent stays below about 4.5
    (6 with order 5) on the unit circle, 39 dB (52 dB) of log spectrum. Beyond that the filter distorts the spectrum,
    and far beyond it is unstable. Natural speech stays within 4.5, except where a band is empty, as in a recording of
    11025 Hz resampled to 16 kHz. More `sections` extend the range: each is the filter of c / sections, and they are in
    series.

    A step into a very narrow peak, as in the mel-cepstrum of a constant or a pure tone, rings with the gain of the
    peak.

    Coefficients and log gain move linearly from frame to frame and reach those of row k at the end of its span, as in
    SPTK. Frames centred there come from `frame` with `centre` set to the hop. The first row is constant over its span.

    Source: S. Imai, Cepstral analysis synthesis on the mel frequency scale, IEEE ICASSP, 1983; the coefficients of the
    approximation are those of the SPTK reference manual, `mlsadf`.
    """

    x = Input(Audio)
    mcep = Input(Frames, "mcep")
    y = Output(Audio)

    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the mel-cepstrum; 0.42 at 16 kHz")
    pade: Literal[4, 5] = Field(4, description="order of the approximation of the exponential")
    sections: int = Field(1, ge=1, le=16, description="filters in series that share the exponent; SPTK has 1")

    def streams(self, x: Audio, mcep: Frames) -> tuple[Audio]:
        require_mono(x, self)
        return (x,)

    def start(self, x: Audio, mcep: Frames) -> State:
        from dspgraph_nodes._kernels.signal.mlsa import initial_state

        return mcep.rate / x.rate, MlsaState(initial_state(mcep.width - 1, self.sections))

    def step(self, state: State, x: Array, mcep: Array) -> tuple[State, Array]:
        ratio, memory = state
        return state, mlsa(x, mcep, ratio, self.alpha, self.pade, memory)
