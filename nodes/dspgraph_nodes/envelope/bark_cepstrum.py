"""Bark cepstrum."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def bark_cepstrum(frames: Array, bands: int = 18, rate: float = 16000) -> Array:
    """Return cepstra c of the log energies L of Bark bands, c[0] reduced by 4.

        E_i = sum_b w_i(b) |X(b)|**2,    L_i = log10(0.01 + E_i),    c = DCT(L)        (orthonormal; w: triangles)

    frames: [n, length], windowed, full scale +-1, of even length. X is their transform divided by the length, in the
    scale of 16-bit samples (times 32768). From the lowest band up, no L_i is more than 2.5 below the one before, nor 8
    below the largest before. Returns [n, bands] in the dtype of the frames (float32 of int16), computed in float64.
    Silence has L = -2. Raises ValueError if the frames have too few bins.
    """
    from dspgraph_nodes._kernels.signal.bark import bark_cepstra

    return bark_cepstra(frames, bands, rate).astype(np.result_type(frames, np.float32), copy=False)


class BarkCepstrum(Node):
    """Compute LPCNet's cepstrum: the cosine transform of the log energies of Bark-scale bands.

        E_i = sum_b w_i(b) |X(b)|**2,    L_i = log10(0.01 + E_i),    c = DCT(L),    then c[0] reduced by 4

    The floors are those of 16-bit samples: the node multiplies the input by 32768. 18 bands at 16 kHz have LPCNet's
    peaks, 0, 200 ... 1600, 2000 ... 8000 Hz. Other layouts divide the same scale evenly from 0 to rate / 2, with CELT's
    points above 8 kHz (9.6, 12, 15.6 and 20 kHz, then equal steps). For LPCNet's features use the frames of `frame`
    with length 320, hop 160, window vorbis and centre 0, of a signal pre-emphasised with 0.85.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019; RFC 6716, Definition of the Opus Audio Codec, 2012, table 55 (bands).
    """

    frames = Input(Frames, "wave")
    cepstrum = Output(Frames, "bark_cepstrum")

    bands: int = Field(18, ge=2, le=256, description="number of bands, and of cepstral coefficients")
    rate: float = Field(16000, gt=0, le=1e6, description="sampling rate of the audio the frames were cut from, Hz")

    def streams(self, frames: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.signal.bark import band_peaks

        try:
            band_peaks(self.bands, self.rate, frames.width)
        except ValueError as error:
            raise ParameterError(
                f"bark_cepstrum.bands is {self.bands}; {error}: take fewer bands or longer frames, of even length"
            ) from None
        return (frames.like(kind="bark_cepstrum", width=self.bands),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, bark_cepstrum(frames, self.bands, self.rate)
