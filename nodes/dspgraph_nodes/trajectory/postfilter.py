"""Formant emphasis of the mel-cepstrum."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State


def postfilter(mcep: Array, alpha: float, coef: float, n_fft: int) -> Array:
    """Mel-cepstra with c[2..] times coef, and c[0] such that the energy stays; mcep: [n, order + 1], its dtype.

    The energy is the mean of |H|**2 over n_fft bins: r[0] of the autocorrelation of the impulse response.
    """
    plain = mcep.astype(np.float64)
    sharp = plain.copy()
    sharp[:, 2:] *= coef
    sharp[:, 0] += (_log_energy(plain, alpha, n_fft) - _log_energy(sharp, alpha, n_fft)) / 2
    return sharp.astype(np.result_type(mcep, np.float32), copy=False)


def _log_energy(mcep: Array, alpha: float, n_fft: int) -> Array:
    """ln r[0] [n], apart from the gain of c[0] so that no gain overflows."""
    from dspgraph_nodes._kernels.maths.elementary import exp, log
    from dspgraph_nodes._kernels.maths.matmul import matmul
    from dspgraph_nodes._kernels.signal.freqt import bin_weights, mel_cosines

    shape = 2 * mel_cosines(n_fft, mcep.shape[1] - 1, alpha)[1:]
    energy: Array = matmul(exp(matmul(mcep[:, 1:], shape)), bin_weights(n_fft)[:, None])[:, 0]
    level: Array = 2 * mcep[:, 0]
    return level + log(energy)


class Postfilter(Node):
    """Sharper formants from a mel-cepstrum that was smoothed, by statistics or a coarse model: Merlin's postfilter.

        c'[m] = coef c[m], m >= 2,    c'[1] = c[1],    c'[0] = c[0] + (ln r[0] - ln r'[0]) / 2

    r[0] is the energy of the impulse response, the mean of |H|**2 over n_fft bins: it is that of the input again, so
    what is heard is as loud. c[1] stays, and with it most of the spectral tilt. A coef of 1 changes nothing. In terms
    of the MLSA filter the gain is set on b[0], which moves c[0] alone.

    Source: T. Yoshimura, K. Tokuda, T. Masuko, T. Kobayashi and T. Kitamura, Incorporating a mixed excitation model
    and postfilter into HMM-based text-to-speech synthesis, Systems and Computers in Japan 36(12), 2005; nnmnkwii 0.1.3,
    `merlin_post_filter` (coef and n_fft).
    """

    mcep = Input(Frames, "mcep")
    sharpened = Output(Frames, "mcep")

    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the mel-cepstrum; 0.42 at 16 kHz")
    coef: float = Field(1.4, ge=0.0, le=4.0, description="what c[2], c[3] ... are multiplied by")
    n_fft: int = Field(1024, ge=2, le=1 << 20, description="bins that the energy is measured over")

    def step(self, state: State, mcep: Array) -> tuple[State, Array]:
        return state, postfilter(mcep, self.alpha, self.coef, self.n_fft)
