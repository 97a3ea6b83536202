"""Linear prediction from the Bark cepstrum."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_LENGTH
from dspgraph_nodes._kernels.signal.pcm import LPCNET_FLOOR

_PREDICTED = 1e-3  # residual power / r[0] at which the recursion stops, -30 dB; below, rounding errors dominate


def bark_cepstrum_to_lpc(
    cepstrum: Array,
    order: int = 16,
    rate: float = 16000,
    length: int = 320,
    lpc_gamma: float = 1.0,
    floor: float = LPCNET_FLOOR,
) -> Array:
    """Return predictors [n, order + 1], rows (gain, a[1..order]), of the smooth spectra that Bark cepstra describe.

    cepstrum: [n, bands]; order: prediction order, at most length / 2; rate: sampling rate of the audio, Hz; length:
    samples in the frames that the cepstrum was computed from, even; lpc_gamma: a[k] is multiplied by lpc_gamma**k;
    floor: the floor that the cepstrum was computed with. The result has the dtype of the cepstrum (float32 for int16),
    computed in float64. The gain is for a signal of full scale +-1; the cepstrum of silence has gain 0. Raises
    ValueError if `length` is odd or so small that the DFT has too few bins for the bands, or if the power of a cepstrum
    overflows the dtype.
    """
    from dspgraph_nodes._kernels.signal import bark
    from dspgraph_nodes._kernels.signal.levinson import levinson, residual_power
    from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE

    dtype = np.result_type(cepstrum, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # the next lines raise an error for it
        r = bark.cepstra_to_autocorrelation(cepstrum, rate, length, order, floor)
    if (~(r[:, 0] <= np.finfo(dtype).max) & ~np.isnan(cepstrum).any(axis=1)).any():
        raise ValueError(
            f"the power of a Bark cepstrum overflows {dtype}; the largest c[0] is {cepstrum[:, 0].max():g}, "
            "and full scale has about 20: take the cepstrum of a signal of full scale +-1"
        )
    rows = levinson(r, 0.0, _PREDICTED)
    # Subtract the autocorrelation of the floor of all bands, from a cepstrum of the same dtype: silence has power 0.
    r -= bark.cepstra_to_autocorrelation(
        bark.silence_cepstrum(cepstrum.shape[1], floor).astype(dtype)[None], rate, length, order, floor
    )
    # A bin has 4 times the mean |X|**2 of its band, and the window passes half the power: r[0] is twice the signal's.
    rows[:, 0] = np.sqrt(0.5 * np.maximum(residual_power(r, rows), 0)) / INT16_FULL_SCALE
    rows[:, 1:] *= np.cumprod(np.full(order, lpc_gamma))
    return rows.astype(dtype, copy=False)


class BarkCepstrumToLpc(Node):
    """Compute LPCNet's predictor: linear prediction of the spectrum that joins the Bark bands by straight lines.

        G_i = 10**L_i * 4 / sum_b w_i(b),    r = length * IDFT(lines through G)
        sum_k a[k] * r[|j-k|] = -r[j],    j, k = 1 .. order
        gain**2 = sum_jk a[j] * a[k] * (r[|j-k|] - s[|j-k|]) / 2,    j, k = 0 .. order,    a[0] = 1

    L and w are those of `bark_cepstrum`. s is the r of silence: it is subtracted because the floor of the bands is not
    part of the signal, so silence has gain 0. The formulas are in the scale of 16-bit samples; the output gain, the
    first column, is for full scale +-1. Before the recursion, r[0] is raised by 1e-4 * r[0] and by (length // 12) / 38
    * (floor / 0.01), and r[i] is multiplied by 1 - 6e-5 * i**2. The recursion stops where the prediction gain reaches
    30 dB.

    With noise of unit power as its input, the filter gain / A(z) reproduces the level of the signal if the squares of
    the window sum to half the length of a frame. This holds for the window vorbis. The prediction of sample n is -sum_k
    a[k] * x[n-k], k = 1 .. order.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019, section 2; the constants are those of the program published with it.
    """

    cepstrum = Input(Frames, "bark_cepstrum")
    lpc = Output(Frames, "lpc")

    order: int = Field(16, ge=1, le=64, description="prediction order")
    rate: float = Field(
        16000, ge=1, le=1e6, description="sampling rate of the audio the cepstrum was computed from, Hz"
    )
    length: int = Field(
        320, ge=2, le=MOST_LENGTH, description="width of the frames the cepstrum was computed from, samples"
    )
    lpc_gamma: float = Field(
        1.0, gt=0.0, le=1.0, description="a[k] is multiplied by gamma**k, which moves the poles inwards"
    )

    floor: float = Field(
        LPCNET_FLOOR, ge=1e-30, le=1e6, description="floor that the cepstrum was computed with; 0.01 is LPCNet's"
    )

    def streams(self, cepstrum: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.signal.bark import band_peaks

        try:
            band_peaks(cepstrum.width, self.rate, self.length)
        except ValueError as error:
            raise ParameterError(
                f"bark_cepstrum_to_lpc.length is {self.length}; {error}: take the length the frames were cut with"
            ) from None
        if self.order > self.length // 2:
            raise ParameterError(
                f"bark_cepstrum_to_lpc.order is {self.order}; frames of {self.length} samples have an order of at most "
                f"{self.length // 2}: lower the order or lengthen the frames"
            )
        return (cepstrum.like(kind="lpc", width=self.order + 1),)

    def step(self, state: State, cepstrum: Array) -> tuple[State, Array]:
        return state, bark_cepstrum_to_lpc(cepstrum, self.order, self.rate, self.length, self.lpc_gamma, self.floor)
