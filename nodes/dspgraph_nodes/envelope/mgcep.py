"""Mel-generalised cepstral analysis."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def mgcep(
    frames: Array,
    order: int,
    alpha: float,
    gamma: float,
    tolerance: float = 1e-3,
    iterations: int = 30,
    floor: float = 1e-16,
) -> Array:
    """Return mel-generalised cepstra [n, order + 1] of windowed frames, in their dtype (float32 for int16).

    frames: [n, length], 4 * order <= length <= 16384; the other arguments are the parameters of `Mgcep`. Computed in
    float64. Raises ValueError that names the first frame whose analysis fails.
    """
    from dspgraph_nodes._kernels.foreign.sptk import mel_generalised_cepstrum

    points = 1 << max(1, (frames.shape[1] - 1).bit_length())
    padded = np.zeros((len(frames), points))
    padded[:, : frames.shape[1]] = frames
    rows = np.empty((len(frames), order + 1), np.result_type(frames, np.float32))
    for k, frame in enumerate(padded):
        try:
            rows[k] = mel_generalised_cepstrum(frame, order, alpha, gamma, tolerance, iterations, floor)
        except ValueError as error:
            raise ValueError(f"frame {k}: {error}") from None
    return rows


class Mgcep(Node):
    """Estimate the mel-generalised cepstrum of windowed frames: between linear prediction and the mel-cepstrum.

        H(z) = (1 + gamma * sum_m c[m] * z~**-m)**(1 / gamma),    z~**-1 = (z**-1 - alpha) / (1 - alpha * z**-1)
        c minimises the mean of I / |H|**2 + ln(|H|**2) over the bins of the periodogram I

    gamma = -1 is warped linear prediction, which models peaks better than valleys. gamma = 0 models both alike and
    gives a mel-cepstrum; `mcep` is faster for that. The frames are filled up with zeros to a power of two. `floor` is
    added to every bin of the periodogram. `mgc_to_mgc` converts to a mel-cepstrum. For gamma = -1 and an alpha other
    than 0, SPTK makes only one step of the iteration: the mean is up to 5e-4 above its least value (measured on
    speech).

    Source: K. Tokuda, T. Kobayashi, T. Masuko and S. Imai, Mel-generalized cepstral analysis: a unified approach to
    speech spectral estimation, ICSLP, 1994; the code is SPTK's, called through pysptk.
    """

    frames = Input(Frames, "wave")
    mgc = Output(Frames, "mgc", "mcep")

    order: int = Field(24, ge=1, le=128, description="order of the cepstrum")
    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant: 0.42 is the mel scale at 16 kHz")
    gamma: float = Field(-0.5, ge=-1.0, le=0.0, description="power: -1 for linear prediction, 0 for the mel-cepstrum")
    tolerance: float = Field(1e-3, gt=0.0, description="relative change that ends the iteration")
    iterations: int = Field(30, ge=1, le=1000, description="largest number of iterations")
    floor: float = Field(1e-16, ge=1e-100, description="power added to every bin; 1e-16 is -160 dB")

    def streams(self, frames: Frames) -> tuple[Frames]:
        if not 4 * self.order <= frames.width <= 1 << 14:
            raise ParameterError(
                f"mgcep.order is {self.order}; it takes frames of {4 * self.order} to {1 << 14} samples, and found "
                f"{frames}: lower the order, or change the length of the frames"
            )
        return (frames.like(kind="mgc" if self.gamma else "mcep", width=self.order + 1),)

    def step(self, seen: State, frames: Array) -> tuple[State, Array]:
        rows = mgcep(frames, self.order, self.alpha, self.gamma, self.tolerance, self.iterations, self.floor)
        return seen, rows
