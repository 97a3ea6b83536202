"""Synthesis from mel-cepstra with the MLSA filter."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, State, require_mono


@dataclass
class MlsaState:
    """The state of the MLSA filter.

    filters: the state of each section; row: the coefficients b of the formula in `Mlsa`, not c, at the end of the last
    span; None before the first span.
    """

    filters: list[tuple[Array, Array]]  # per section: inputs and outputs of its basic filters
    row: Array | None = None  # [1, order + 1]: coefficients b at the end of the last span; None before span 0


def mlsa(x: Array, mcep: Array, ratio: Fraction, alpha: float, pade: int, memory: MlsaState) -> Array:
    """Return x filtered by H(z) = exp(sum_m c[m] * z~^-m), [n], in the dtype of x (float32 for int16).

    x: [n], the samples of the spans of all rows, from the start of the first span on; mcep: c, [frames, order + 1],
    frames >= 1; ratio: frames per sample; alpha, pade: the parameters of `Mlsa`; memory: the state, updated in place,
    at the start of a signal MlsaState(initial_state(order, sections)). The coefficients move linearly in time and reach
    row k at the end of span k; in the first span of the signal they are constant. Computed in float64. Raises
    ValueError if the output overflows.
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

        H(z) = exp(sum_m c[m] * z~^-m) = exp(b[0]) * exp(b[1] * Phi_1(z)) * exp(sum_(m > 1) b[m] * Phi_m(z))
        Phi_m(z) = (1 - alpha**2) * z^-1 / (1 - alpha * z^-1) * z~^-(m - 1)
        z~^-1 = (z^-1 - alpha) / (1 - alpha * z^-1),    b[m] = c[m] - alpha * b[m + 1]

    The last two exponentials are Pade's approximations, of order 4 or 5. The approximations are accurate while the
    magnitude of the exponent stays below a limit on the unit circle: with order 4 about 4.5 (39 dB of log spectrum),
    with order 5 about 6 (52 dB). Beyond the limit the filter distorts the spectrum, and far beyond it the filter is
    unstable. Natural speech stays below 4.5, except where a band is empty, as in a recording of 11025 Hz resampled to
    16 kHz. More `sections` extend the range: each section is the filter of c / sections, and the sections are in
    series.

    A spectrum with a very narrow, high peak, such as that of a constant or a pure tone, makes the filter ring with the
    gain of the peak.

    Coefficients and log gain move linearly from frame to frame and reach the values of row k at the end of span k, as
    in SPTK. `frame` with `centre` set to the hop gives frames that are centred at the end of their span. In the first
    span the coefficients are constant.

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
