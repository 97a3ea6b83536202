"""Linear prediction."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def lpc(frames: Array, order: int, white_noise: float = 0.0, bandwidth: float = 0.0, rate: float = 16000) -> Array:
    """Return predictors of frames x: rows (gain, a[1..order]) that minimise the energy of x[n] + sum_k a[k] * x[n-k].

    frames: [n, length], windowed, length > order; rate: sampling rate of the audio, Hz, which only `bandwidth` needs;
    the other arguments are the parameters of `Lpc`. The defaults of `white_noise` and `bandwidth` are 0 here, so that
    the function fits the frames without corrections. Returns [n, order + 1] in the dtype of the frames (float32 for
    int16); the sums are in float64. A silent frame, whose energy is at most finfo(dtype).tiny, has gain 0 and
    coefficients 0, not NaN.
    """
    from dspgraph_nodes._kernels.signal.levinson import autocorrelation, levinson

    dtype = np.result_type(frames, np.float32)
    r = autocorrelation(frames, order)
    if white_noise:
        r[:, 0] *= 1 + white_noise
    if bandwidth:
        from dspgraph_nodes._kernels.maths.elementary import exp

        r *= exp(-0.5 * (2 * np.pi * bandwidth / rate * np.arange(order + 1)) ** 2)
    return levinson(r, float(np.finfo(dtype).tiny)).astype(dtype, copy=False)


class Lpc(Node):
    """Compute linear-prediction coefficients of windowed frames, gain first.

        r[j] = sum_n x[n] * x[n+j],    r[0] is multiplied by 1 + white_noise,    r[j] by exp(-(2 * pi * b * j)**2 / 2)
        sum_k a[k] * r[|j-k|] = -r[j],    gain**2 = r[0] + sum_k a[k] * r[k],    b = bandwidth / rate

    This is the autocorrelation method, solved by the Levinson-Durbin recursion. j and k run from 1 to `order`.

    The two corrections limit the dynamic range of the spectrum that is fitted. Without `white_noise`, the predictor of
    a frame with an empty band, such as speech that was recorded at 8 kHz and resampled to 16 kHz, or of a pure tone,
    has poles so close to the unit circle that `allpole` rings from frame to frame: bursts up to 40 dB above the input.
    `bandwidth` widens every line of the spectrum to a Gaussian with this standard deviation, so that a harmonic of the
    excitation that meets the peak of a tone does not come out far too loud. If both are 0, the frame is fitted without
    a correction.

    Source: J. Makhoul, Linear Prediction: A Tutorial Review, Proceedings of the IEEE 63(4), 1975. The corrections: 3GPP
    TS 26.190, AMR-WB speech codec, Transcoding functions, section 5.2.1 (1e-4, and 60 Hz).
    """

    frames = Input(Frames, "wave")
    lpc = Output(Frames, "lpc")

    order: int = Field(16, ge=1, le=64, description="prediction order")
    white_noise: float = Field(
        1e-4, ge=0.0, le=1.0, description="power of the white noise added to a frame, as a share of the frame's power"
    )
    bandwidth: float = Field(
        0.0, ge=0.0, le=1e6, description="width to which every line of the spectrum is widened, Hz"
    )
    rate: float = Field(16000, gt=0, le=1e6, description="sampling rate of the audio the frames were cut from, Hz")

    def streams(self, frames: Frames) -> tuple[Frames]:
        if self.order >= frames.width:
            raise ParameterError(
                f"lpc.order is {self.order}; frames of {frames.width} samples determine an order of at most "
                f"{frames.width - 1}: lower the order or lengthen the frames"
            )
        return (frames.like(kind="lpc", width=self.order + 1),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, lpc(frames, self.order, self.white_noise, self.bandwidth, self.rate)
