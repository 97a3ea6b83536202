"""Power spectra of predictors."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS


def lpc_to_spectrum(lpc: Array, n_fft: int) -> Array:
    """Return the power spectra |gain / A(w)|**2, [n, n_fft / 2 + 1], in the dtype of lpc (float32 for int16).

    lpc: rows (gain, a[1..order]), [n, order + 1], order < n_fft; n_fft: even. Computed in float64. A power that is too
    large for the dtype is infinite.
    """
    from scipy.fft import rfft

    from dspgraph_nodes._kernels.maths.elementary import squared_magnitude

    polynomial = lpc.astype(np.float64)
    polynomial[:, 0] = 1
    response = squared_magnitude(rfft(polynomial, n_fft, axis=1))
    gain = lpc[:, :1].astype(np.float64)
    with np.errstate(over="ignore"):
        power: Array = (gain * gain / np.maximum(response, np.finfo(np.float64).tiny)).astype(
            np.result_type(lpc, np.float32)
        )
    return power


class LpcToSpectrum(Node):
    """Compute the power spectrum of the all-pole filter gain / A(z) at the bins of a DFT.

        P[b] = gain**2 / |1 + sum_k a[k] * exp(-2 * pi * i * b * k / n_fft)|**2,    b = 0 .. n_fft / 2,    i = sqrt(-1)

    Source: J. Makhoul, Linear prediction: a tutorial review, Proceedings of the IEEE 63(4), 1975.
    """

    lpc = Input(Frames, "lpc")
    power = Output(Frames, "power")

    n_fft: int = Field(1024, ge=2, le=MOST_POINTS, multiple_of=2, description="length of the transform, samples")

    def streams(self, lpc: Frames) -> tuple[Frames]:
        if lpc.width > self.n_fft:
            raise ParameterError(f"lpc_to_spectrum.n_fft is {self.n_fft}; {lpc} has more numbers: take a longer n_fft")
        return (lpc.like(kind="power", width=self.n_fft // 2 + 1),)

    def step(self, state: State, lpc: Array) -> tuple[State, Array]:
        return state, lpc_to_spectrum(lpc, self.n_fft)
