"""Mel-cepstra from power spectra."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_CEPSTRUM_POINTS


def spectrum_to_mcep(power: Array, order: int, alpha: float, relative_floor: float = 0.0) -> Array:
    """Return mel-cepstra [n, order + 1] of power spectra, in the dtype of the spectra (float32 for int16).

    power: [n, n_fft / 2 + 1], n_fft even; values below finfo(dtype).tiny are replaced by finfo(dtype).tiny. order: at
    most n_fft / 2; alpha: the all-pass constant of the warped frequency scale; relative_floor: values below
    relative_floor times the largest value of their row are replaced by that product; 0 changes nothing.
    """
    from dspgraph_nodes._kernels.maths.elementary import log
    from dspgraph_nodes._kernels.maths.matmul import matmul
    from dspgraph_nodes._kernels.signal.freqt import log_power_to_mcep_matrix

    dtype = np.result_type(power, np.float32)
    floor = np.maximum(relative_floor * power.astype(np.float64).max(axis=1, keepdims=True), np.finfo(dtype).tiny)
    log_power = log(np.maximum(power, floor))
    mcep = matmul(log_power, log_power_to_mcep_matrix(2 * power.shape[1] - 2, order, alpha))
    return mcep.astype(dtype, copy=False)


class SpectrumToMcep(Node):
    """Convert smooth power spectra to mel-cepstra up to `order`.

        ln|H(w)|**2 = c[0] + 2 * sum_m c[m] * cos(m * w),    sum_m c~[m] * z~^-m = c[0] / 2 + sum_m c[m] * z^-m
        |H|**2 = max(power, relative_floor * largest power of the row)

    c is the cepstrum: the inverse DFT of ln|H|**2. c~ is the mel-cepstrum: the cepstrum on the warped frequency scale.
    The spectrum has n_fft / 2 + 1 bins, n_fft even. This is the inverse of `mcep_to_spectrum` if n_fft is long enough
    to hold the cepstrum and no bin lies below the relative floor. For windowed frames of speech use `mcep`: the log of
    a periodogram is a biased estimate.

    Source: K. Tokuda, T. Kobayashi, T. Masuko and S. Imai, Mel-generalized cepstral analysis: a unified approach to
    speech spectral estimation, ICSLP, 1994; A. V. Oppenheim and D. H. Johnson, Discrete representation of signals,
    Proceedings of the IEEE 60(6), 1972 (the recursion that warps).
    """

    power = Input(Frames, "power")
    mcep = Output(Frames, "mcep")

    order: int = Field(24, ge=0, le=256, description="order of the mel-cepstrum")
    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant: 0.42 is the mel scale at 16 kHz")

    relative_floor: float = Field(
        1e-8, ge=0.0, le=1.0, description="least power of a bin, as a share of the largest of its row; 1e-8 is -80 dB"
    )

    def streams(self, power: Frames) -> tuple[Frames]:
        if power.width < 2:
            raise ParameterError(f"spectrum_to_mcep takes the bins of an even n_fft, 2 at least; found {power}")
        if power.width > MOST_CEPSTRUM_POINTS // 2 + 1:
            raise ParameterError(
                f"spectrum_to_mcep takes at most {MOST_CEPSTRUM_POINTS // 2 + 1} bins; found {power}: take a shorter "
                "n_fft"
            )
        if self.order >= power.width:
            raise ParameterError(
                f"spectrum_to_mcep.order is {self.order}; {power.width} bins determine an order of at most "
                f"{power.width - 1}: lower the order or take a longer n_fft"
            )
        return (power.like(kind="mcep", width=self.order + 1),)

    def step(self, state: State, power: Array) -> tuple[State, Array]:
        return state, spectrum_to_mcep(power, self.order, self.alpha, self.relative_floor)
