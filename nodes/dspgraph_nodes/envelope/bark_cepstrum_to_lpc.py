"""Linear prediction from the Bark cepstrum."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State

_PREDICTED = 1e-3  # residual power at which the recursion stops (30 dB): below, it follows the cepstrum's rounding


def bark_cepstrum_to_lpc(
    cepstrum: Array, order: int = 16, rate: float = 16000, length: int = 320, lpc_gamma: float = 1.0
) -> Array:
    """Return rows (gain, a[1..order]) of the predictor of the smooth spectrum that a Bark cepstrum stands for.

    cepstrum: [n, bands]; length: that of the frames it was computed from. Returns [n, order + 1] in the dtype of the
    cepstrum (float32 of int16), computed in float64; full scale is +-1. The cepstrum of silence has gain 0. Raises
    ValueError if frames of this length have too few bins, or if the power of a cepstrum overflows the dtype.
    """
    from dspgraph_nodes._kernels.signal import bark
    from dspgraph_nodes._kernels.signal.levinson import levinson, residual_power
    from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE

    dtype = np.result_type(cepstrum, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # the next lines check for it
        r = bark.cepstra_to_autocorrelation(cepstrum, rate, length, order)
    if (~(r[:, 0] <= np.finfo(dtype).max) & ~np.isnan(cepstrum).any(axis=1)).any():
        raise ValueError(
            f"the power of a Bark cepstrum overflows {dtype}; the largest c[0] is {cepstrum[:, 0].max():g}, "
            "and full scale has about 20: take the cepstrum of a signal of full scale +-1"
        )
    rows = levinson(r, 0.0, _PREDICTED)
    # Subtract the autocorrelation of silence, the floor of every band, in the same dtype: silence then has power 0.
    r -= bark.cepstra_to_autocorrelation(
        bark.silence_cepstrum(cepstrum.shape[1]).astype(dtype)[None], rate, length, order
    )
    # The power of a bin is 4 mean |X|**2 and the window passes half the power, so r[0] is twice the signal's.
    rows[:, 0] = np.sqrt(0.5 * np.maximum(residual_power(r, rows), 0)) / INT16_FULL_SCALE
    rows[:, 1:] *= np.cumprod(np.full(order, lpc_gamma))
    return rows.astype(dtype, copy=False)


class BarkCepstrumToLpc(Node):
    """Compute LPCNet's predictor: linear prediction of the spectrum that joins the Bark bands by straight lines.

        G_i = 10**L_i 4 / sum_b w_i(b),    r = IDFT(lines through G),    R a = -r,    gain**2 = a' (R - S) a / 2

    These are in the scale of 16-bit samples; the output gain, the first column, is for full scale +-1. Before the
    recursion r[0] is raised by a ten-thousandth and by half a step of 16 bits, and r[i] is multiplied by 1 - 6e-5 i**2.
    The recursion stops where the prediction gain reaches 30 dB. S is the R of silence: the floor of the bands is not
    part of the signal, so silence has gain 0.

    With noise of unit power as its input, the filter gain / A(z) reproduces the level of the signal if the squares of
    the frames' window sum to half their length, as for vorbis and the square root of hann. The prediction is
    -sum_k a[k] s[n-k].

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019, section 2; the constants are those of the program published with it.
    """

    cepstrum = Input(Frames, "bark_cepstrum")
    lpc = Output(Frames, "lpc")

    order: int = Field(16, ge=1, le=64, description="prediction order")
    rate: float = Field(
        16000, gt=0, le=1e6, description="sampling rate of the audio the cepstrum was computed from, Hz"
    )
    length: int = Field(320, ge=2, description="width of the frames the cepstrum was computed from, samples")
    lpc_gamma: float = Field(
        1.0, gt=0.0, le=1.0, description="a[k] is multiplied by gamma**k, which moves the poles inwards"
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
        return state, bark_cepstrum_to_lpc(cepstrum, self.order, self.rate, self.length, self.lpc_gamma)
