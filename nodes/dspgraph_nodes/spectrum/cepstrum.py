"""Cepstrum."""

from typing import Literal

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating

CepstrumForm = Literal["real", "minimum_phase"]


def cepstrum(log_magnitude: Array, order: int, form: CepstrumForm = "real") -> Array:
    """Return cepstra c [n, order + 1] of spectra X: c[m] = 1 / n_fft * sum_b ln|X[b]| * cos(2 * pi * b * m / n_fft).

    The sum runs over all n_fft bins. log_magnitude: ln|X|, natural logarithm, of the bins 0 .. n_fft / 2: [n, n_fft / 2
    + 1]; order: at most n_fft / 2; form: "real", or "minimum_phase", which doubles c[m] for 0 < m < n_fft / 2.
    """
    from scipy.fft import irfft

    half = log_magnitude.shape[1] - 1
    c: Array = irfft(floating(log_magnitude), 2 * half, axis=1)[:, : order + 1].copy()
    if form == "minimum_phase":
        c[:, 1:half] *= 2
    return c


class Cepstrum(Node):
    """Compute the first coefficients of the cepstrum: the inverse transform of ln|X|.

        real:           c[m] = 1 / n_fft * sum_b ln|X[b]| * cos(2 * pi * b * m / n_fft),    b = 0 .. n_fft - 1
        minimum_phase:  the same, with c[m] doubled for 0 < m < n_fft / 2

    The real cepstrum is even, and only its first half is computed: ln|X(w)| = c[0] + 2 * sum_(m > 0) c[m] * cos(m * w),
    if order < n_fft / 2 and the coefficients above `order` are 0. The minimum-phase cepstrum is that of the causal,
    stable filter with this magnitude: ln|X(w)| = c[0] + sum_(m > 0) c[m] * cos(m * w), as in a mel-cepstrum with alpha
    = 0.

    Source: A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, Prentice Hall, 2010 (chapter
    13, cepstrum analysis).
    """

    log_magnitude = Input(Frames, "log_magnitude")
    cepstrum = Output(Frames, "cepstrum")

    order: int = Field(24, ge=0, description="highest quefrency, samples")
    form: CepstrumForm = Field(
        "real", description="real: first half of the even cepstrum; minimum_phase: folded, 2 * c[m]"
    )

    def streams(self, log_magnitude: Frames) -> tuple[Frames]:
        half = log_magnitude.width - 1
        if self.order > half or not half:
            raise ParameterError(
                f"cepstrum.order is {self.order}; {log_magnitude.width} bins have quefrencies up to {half}: lower the "
                "order or raise n_fft"
            )
        return (log_magnitude.like(kind="cepstrum", width=self.order + 1),)

    def step(self, state: State, log_magnitude: Array) -> tuple[State, Array]:
        return state, cepstrum(log_magnitude, self.order, self.form)
