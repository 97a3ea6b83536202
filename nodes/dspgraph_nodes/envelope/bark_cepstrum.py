"""Bark cepstrum."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.pcm import LPCNET_FLOOR


def bark_cepstrum(frames: Array, bands: int = 18, rate: float = 16000, floor: float = LPCNET_FLOOR) -> Array:
    """Return Bark cepstra c [n, bands]: the orthonormal DCT of the log energies L of the bands, with c[0] reduced by 4.

        E_i = sum_b w_i(b) * |X(b)|**2,    L_i = log10(floor + E_i),    c = DCT(L)

    X is the DFT of a frame, times 32768 / length: the scale of 16-bit samples. w_i is the triangle of band i, see
    `BarkCepstrum`. Before the DCT, from the lowest band up, each L_i is raised to at least L_(i-1) - 2.5, and to at
    least 8 below the largest L of the lower bands. Silence has L_i = log10(floor), -2 by default.

    frames: [n, length], windowed, full scale +-1, length even; rate: sampling rate of the audio, Hz. The result has the
    dtype of the frames (float32 for int16), computed in float64. Raises ValueError if the length is odd or so small
    that the DFT has too few bins for the bands.
    """
    from dspgraph_nodes._kernels.signal.bark import bark_cepstra

    return bark_cepstra(frames, bands, rate, floor).astype(np.result_type(frames, np.float32), copy=False)


class BarkCepstrum(Node):
    """Compute LPCNet's cepstrum: the cosine transform of the log energies of Bark-scale bands.

        E_i = sum_b w_i(b) * |X(b)|**2,    L_i = log10(floor + E_i),    c = DCT(L),    then c[0] is reduced by 4

    Before the DCT, from the lowest band up, each L_i is raised to at least L_(i-1) - 2.5, and to at least 8 below the
    largest L of the lower bands. X is the DFT of a frame times 32768 / length, because the constants are for 16-bit
    samples; the input has full scale +-1. LPCNet's floor of 0.01 is about the energy in one band of white noise whose
    RMS is one 16-bit step: the spectrum of a softer signal becomes flat.

    w_i are triangles: each falls linearly from 1 at its peak to 0 at the peaks of the two neighbours. The first and the
    last are half triangles, whose weights are doubled; the bin at rate / 2 does not count. With 18 bands at 16 kHz, the
    peaks are LPCNet's: 0, 200 ... 1600, 2000 ... 8000 Hz. On the frequency scale of this node, these peaks are equally
    spaced. With other bands or rates the peaks are equally spaced on the same scale, from 0 to rate / 2. Above 8 kHz
    the scale continues with CELT's 9.6, 12, 15.6 and 20 kHz, then in steps of 4.4 kHz.

    For LPCNet's features, `preemphasis` with coef 0.85 and `frame` with length 320, hop 160, window vorbis and centre 0
    come before this node.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019; RFC 6716, Definition of the Opus Audio Codec, 2012, table 55 (bands).
    """

    frames = Input(Frames, "wave")
    cepstrum = Output(Frames, "bark_cepstrum")

    bands: int = Field(18, ge=2, le=256, description="number of bands, and of cepstral coefficients")
    rate: float = Field(16000, ge=1, le=1e6, description="sampling rate of the audio the frames were cut from, Hz")

    floor: float = Field(
        LPCNET_FLOOR, ge=1e-30, le=1e6, description="energy added to every band, in the scale of 16-bit samples"
    )

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
        return state, bark_cepstrum(frames, self.bands, self.rate, self.floor)
