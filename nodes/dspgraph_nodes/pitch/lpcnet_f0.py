"""Pitch in Hz from LPCNet's pitch."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating


def lpcnet_f0(pitch: Array, correlation: Array, rate: float, threshold: float) -> Array:
    """Return the pitch in Hz, and 0 where the correlation is not above the threshold, in the shape of `pitch`.

    pitch, correlation: the results of `lpcnet_pitch`, of one shape; rate: sampling rate of the audio, Hz. A pitch that
    stands for a period of 0 samples or less, which `lpcnet_pitch` never gives, becomes 0. The result has the dtype of
    `pitch` (float32 for int16).
    """
    pitch = floating(pitch)
    period = 50 * pitch.astype(np.float64) + 100  # samples
    hertz = rate / np.where(period > 0, period, 1)
    return np.where((correlation > threshold) & (period > 0), hertz, 0).astype(pitch.dtype)


class LpcnetF0(Node):
    """Convert LPCNet's pitch and correlation to a pitch in Hz; 0: unvoiced.

        f0 = rate / T,    T = (100 * pitch + 200) / 2,    0 where correlation <= threshold

    T is the mean of the lags of the two halves of a frame, in samples. Both inputs are outputs of `lpcnet_pitch`, which
    by default needs no later frames: a vocoder with this pitch has a shorter latency than one with `pyin`. The range is
    that of `lpcnet_pitch`: 62.7 to 485 Hz at 16 kHz.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019, for the meaning of the two features. The paper does not say which frames are voiced. A threshold of 0 is the
    middle of the range of `correlation`, -0.5 to about 0.5.
    """

    pitch = Input(Frames, "pitch")
    correlation = Input(Frames, "correlation")
    f0 = Output(Frames, "f0")

    rate: float = Field(16000, gt=0, le=1e6, description="sampling rate of the audio, Hz")
    threshold: float = Field(0.0, ge=-0.5, le=0.5, description="correlation above which a frame is voiced")

    def streams(self, pitch: Frames, correlation: Frames) -> tuple[Frames]:
        if pitch.width != 1 or correlation.width != 1:
            raise ParameterError(
                f"lpcnet_f0 takes one pitch and one correlation per frame; found {pitch}, {correlation}"
            )
        return (pitch.like(kind="f0"),)

    def step(self, state: State, pitch: Array, correlation: Array) -> tuple[State, Array]:
        return state, lpcnet_f0(pitch, correlation, self.rate, self.threshold)
