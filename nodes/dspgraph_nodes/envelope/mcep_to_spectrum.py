"""Power spectra from mel-cepstra."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.limits import MOST_POINTS


def mcep_to_spectrum(mcep: Array, n_fft: int, alpha: float) -> Array:
    """Return power spectra |H(w)|**2 = exp(2 * sum_m c[m] * cos(m * w~)) at the bins of a DFT of length n_fft.

    mcep: [n, order + 1]; alpha: the all-pass constant that warps w to w~. Returns [n, n_fft // 2 + 1] in the dtype of
    mcep (float32 for int16), computed in float64. Raises ValueError if a power overflows the dtype.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log
    from dspgraph_nodes._kernels.maths.matmul import matmul
    from dspgraph_nodes._kernels.signal.freqt import mel_cosines

    log_power = matmul(mcep.astype(np.float64), 2 * mel_cosines(n_fft, mcep.shape[1] - 1, alpha))
    dtype = np.result_type(mcep, np.float32)
    highest = float(log(np.array([np.finfo(dtype).max], np.float64))[0])
    if (log_power >= highest).any():
        raise ValueError(
            f"a mel-cepstrum has a power of exp({log_power.max():g}), and {dtype} holds less than exp({highest:.4g}): "
            "take the mel-cepstrum of a signal of full scale +-1"
        )
    return exp(log_power).astype(dtype, copy=False)


class McepToSpectrum(Node):
    """Convert mel-cepstra to power spectra at the bins of a DFT.

        |H(w_k)|**2 = exp(2 * sum_m c[m] * cos(m * w~_k)),    w_k = 2 * pi * k / n_fft,    k = 0 .. n_fft // 2

    w~ = w + 2 * atan(alpha * sin(w) / (1 - alpha * cos(w))) is the frequency w, warped by the all-pass of the
    mel-cepstrum.

    Source: K. Tokuda, T. Kobayashi, T. Masuko and S. Imai, Mel-generalized cepstral analysis: a unified approach to
    speech spectral estimation, ICSLP, 1994.
    """

    mcep = Input(Frames, "mcep")
    power = Output(Frames, "power")

    n_fft: int = Field(512, ge=1, le=MOST_POINTS, description="length of the DFT whose bins are computed")
    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the mel-cepstrum; 0.42 at 16 kHz")

    def streams(self, mcep: Frames) -> tuple[Frames]:
        return (mcep.like(kind="power", width=self.n_fft // 2 + 1),)

    def step(self, state: State, mcep: Array) -> tuple[State, Array]:
        return state, mcep_to_spectrum(mcep, self.n_fft, self.alpha)
