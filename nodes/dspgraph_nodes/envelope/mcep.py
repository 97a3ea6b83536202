"""Mel-cepstral analysis."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_CEPSTRUM_POINTS


def mcep(
    frames: Array,
    order: int,
    alpha: float,
    tolerance: float = 1e-3,
    iterations: int = 30,
    floor: float = 1e-16,
    relative_floor: float = 0.0,
) -> Array:
    """Return mel-cepstra c[0..order] of windowed frames: ln|H(w)| = sum_m c[m] * cos(m * w~).

    w~ is the frequency w on the warped scale. frames: [n, length]; the other arguments are the parameters of `Mcep`.
    Returns [n, order + 1] in the dtype of the frames (float32 for int16), computed in float64. A silent frame has
    c[0] = ln(floor) / 2, and its other coefficients are 0. Raises ValueError for an order above `highest_order`, and
    for frames with a NaN or with a square that overflows.

    By default there is no relative floor: the function fits the spectrum of the frames with `floor` only.
    """
    from scipy.fft import rfft

    from dspgraph_nodes._kernels.maths.elementary import squared_magnitude
    from dspgraph_nodes._kernels.signal.mcep import mel_cepstrum

    highest = highest_order(frames.shape[1], alpha)
    if order > highest:
        raise ValueError(
            f"frames of {frames.shape[1]} samples determine an order of at most {highest} with alpha {alpha:g}; "
            f"found {order}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # the next lines raise an error for it
        power = squared_magnitude(rfft(frames.astype(np.float64), axis=1)) + floor
    sound = np.isfinite(power).all(axis=1)
    if not sound.all():
        raise ValueError(f"mcep takes finite samples with finite squares; frame {int(sound.argmin())} has others")
    power = np.maximum(power, relative_floor * power.max(axis=1, keepdims=True, initial=0))
    rows = mel_cepstrum(power, frames.shape[1], order, alpha, tolerance, iterations)
    return rows.astype(np.result_type(frames, np.float32), copy=False)


def highest_order(length: int, alpha: float) -> int:
    """Return the highest order of the mel-cepstrum that a frame of `length` samples determines.

    Every period of the cosine of this order contains at least two bins. On the warped frequency scale, bins are at most
    2 * pi / length * (1 + |alpha|) / (1 - |alpha|) apart. A mel-cepstrum of higher order could oscillate between the
    bins.
    """
    return int(length / 2 * (1 - abs(alpha)) / (1 + abs(alpha)))


class Mcep(Node):
    """Estimate the mel-cepstrum of windowed frames: the unbiased log spectrum on a warped frequency scale.

        H(z) = exp(sum_m c[m] * z~^-m),    z~^-1 = (z^-1 - alpha) / (1 - alpha * z^-1)
        c minimises the mean of I / |H|**2 + ln|H|**2 over the bins of the periodogram I
        P = |DFT of the frame|**2 + floor,    I = max(P, relative_floor * largest P of the frame)

    The relative floor limits the dynamic range of the spectrum that is fitted. Without it, the envelope of a frame with
    an empty band or with a pure tone has a range of 140 to 200 dB; the MLSA filter rings there, up to 30 dB above the
    signal. SPTK's mcep has the same floor (option -E, in dB).

    The DFT is as long as the frame, whose length need not be a power of 2. Newton's method finds c for each frame
    separately. It stops when a step changes the mean of I / |H|**2 by less than `tolerance` times that mean, as in
    SPTK, and the minimised mean by less than `tolerance`. With the default of 0.001 and without the relative floor, the
    result equals pysptk's within 1e-6 dB, and on speech it is within 0.0014 dB of the minimum. If the frames come from
    `frame` with `norm: power`, an excitation of unit power, filtered by H, has about the power of the speech.

    Source: K. Tokuda, T. Kobayashi, T. Masuko and S. Imai, Mel-generalized cepstral analysis: a unified approach to
    speech spectral estimation, ICSLP, 1994 (its case gamma = 0).
    """

    frames = Input(Frames, "wave")
    mcep = Output(Frames, "mcep")

    order: int = Field(24, ge=0, le=256, description="order of the mel-cepstrum")
    alpha: float = Field(0.42, gt=-1.0, lt=1.0, description="all-pass constant: 0.42 is the mel scale at 16 kHz")
    tolerance: float = Field(1e-3, gt=0.0, description="change of the mean of I / |H|**2 that ends the iteration")
    iterations: int = Field(30, ge=1, le=1000, description="largest number of trial steps; speech takes 4 to 8")
    floor: float = Field(
        1e-16, ge=1e-100, description="power added to every bin, so silence has this power; 1e-16 is -160 dB"
    )
    relative_floor: float = Field(
        1e-8, ge=0.0, le=1.0, description="least power of a bin, as a share of the largest of its frame; 1e-8 is -80 dB"
    )

    def streams(self, frames: Frames) -> tuple[Frames]:
        if frames.width > MOST_CEPSTRUM_POINTS:
            raise ParameterError(
                f"mcep takes frames of at most {MOST_CEPSTRUM_POINTS} samples; found {frames}: shorten them"
            )
        highest = highest_order(frames.width, self.alpha)
        if self.order > highest:
            raise ParameterError(
                f"mcep.order is {self.order}; frames of {frames.width} samples determine an order of at most {highest} "
                f"with alpha {self.alpha:g}: lower the order or lengthen the frames"
            )
        return (frames.like(kind="mcep", width=self.order + 1),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        rows = mcep(frames, self.order, self.alpha, self.tolerance, self.iterations, self.floor, self.relative_floor)
        return state, rows
