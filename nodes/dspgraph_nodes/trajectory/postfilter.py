"""Formant emphasis of the mel-cepstrum."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.limits import MOST_POINTS


def postfilter(mcep: Array, alpha: float, coef: float, n_fft: int) -> Array:
    """Return mel-cepstra with c[2], c[3] ... multiplied by coef, and c[0] changed so that the energy stays the same.

    mcep: [n, order + 1]; alpha: the all-pass constant of mcep; n_fft: number of bins over which |H|**2 is averaged to
    get the energy, r[0] of the autocorrelation of the impulse response. The result has the dtype of mcep (float32 for
    int16).
    """
    plain = mcep.astype(np.float64)
    sharp = plain.copy()
    sharp[:, 2:] *= coef
    sharp[:, 0] += (_log_energy(plain, alpha, n_fft) - _log_energy(sharp, alpha, n_fft)) / 2
    return sharp.astype(np.result_type(mcep, np.float32), copy=False)


def _log_energy(mcep: Array, alpha: float, n_fft: int) -> Array:
    """Return the logarithm of the energy of every mel-cepstrum's impulse response, ln r[0]: [n].

    The arguments are those of `postfilter`. 2 * c[0] is added after the logarithm, so that a large c[0] cannot
    overflow.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log
    from dspgraph_nodes._kernels.maths.matmul import matmul
    from dspgraph_nodes._kernels.signal.freqt import bin_weights, mel_cosines

    shape = 2 * mel_cosines(n_fft, mcep.shape[1] - 1, alpha)[1:]
    energy: Array = matmul(exp(matmul(mcep[:, 1:], shape)), bin_weights(n_fft)[:, None])[:, 0]
    level: Array = 2 * mcep[:, 0]
    return level + log(energy)


class Postfilter(Node):
    """Sharpen the formants of a mel-cepstrum that a statistical model has smoothed: Merlin's postfilter.

        c'[m] = coef * c[m] for m >= 2,    c'[1] = c[1],    c'[0] = c[0] + (ln r[0] - ln r'[0]) / 2

    r[0] is the energy of the impulse response, the mean of |H|**2 over n_fft bins; r'[0] is the same mean after the
    change of c[2], c[3] ... So the output has the energy of the input. c[1] does not change, so that most of the
    spectral tilt stays the same. A coef of 1 changes nothing. Merlin's program changes the coefficient b[0] of the MLSA
    filter, which has the same effect: of all c[m], only c[0] depends on b[0].

    Source: T. Yoshimura, K. Tokuda, T. Masuko, T. Kobayashi and T. Kitamura, Incorporating a mixed excitation model and
    postfilter into HMM-based text-to-speech synthesis, Systems and Computers in Japan 36(12), 2005; nnmnkwii 0.1.3,
    `merlin_post_filter` (coef and n_fft).
    """

    mcep = Input(Frames, "mcep")
    sharpened = Output(Frames, "mcep")

    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant of the mel-cepstrum; 0.42 at 16 kHz")
    coef: float = Field(1.4, ge=0.0, le=4.0, description="factor of c[2], c[3] ...")
    n_fft: int = Field(1024, ge=2, le=MOST_POINTS, description="bins over which the energy is computed")

    def step(self, state: State, mcep: Array) -> tuple[State, Array]:
        return state, postfilter(mcep, self.alpha, self.coef, self.n_fft)
