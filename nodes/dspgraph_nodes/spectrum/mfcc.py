"""Mel-frequency cepstral coefficients."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating


def mfcc(log_mel: Array, count: int = 20, lifter: float = 0.0) -> Array:
    """Return MFCCs of rows of log mel bands, [n, count], in the dtype of the rows (float32 for int16).

    log_mel: [n, bands], dB for librosa's MFCCs; count: number of coefficients; lifter: length of the sine lifter in the
    formula of `Mfcc`, 0 for none.
    """
    from dspgraph_nodes._kernels.maths.elementary import sin
    from dspgraph_nodes._kernels.signal.cosines import dct_rows

    c = dct_rows(floating(log_mel), count)
    if lifter:
        c *= (1 + lifter / 2 * sin(np.pi * np.arange(1, count + 1) / lifter)).astype(c.dtype)
    return c


class Mfcc(Node):
    """Compute mel-frequency cepstral coefficients: the cosine transform of log mel bands.

        c[n, k] = l[k] * s[k] * sum_j m[n, j] * cos(pi * k * (2 * j + 1) / (2 * bands)),    k = 0 .. count - 1
        s[0] = sqrt(1 / bands),    s[k] = sqrt(2 / bands)
        l[k] = 1 + lifter / 2 * sin(pi * (k + 1) / lifter);    l[k] = 1 with lifter = 0

    m are log mel bands. If they come from `mel` of a power spectrum and `log` in dB, the result is that of librosa
    with top_db=None; `log` with `range: 80` gives librosa's default. The pipeline `mfcc_features` computes the
    coefficients from audio.

    Source: S. B. Davis, P. Mermelstein, Comparison of Parametric Representations for Monosyllabic Word Recognition in
    Continuously Spoken Sentences, IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4), 1980; librosa
    0.11 reference, `librosa.feature.mfcc`.
    """

    log_mel = Input(Frames, "mel_db", "log_mel")
    mfcc = Output(Frames, "mfcc")

    count: int = Field(
        20, ge=1, le=4096, description="number of coefficients, including the first, which is for the level"
    )
    lifter: float = Field(0.0, ge=0, le=1e6, description="length of the lifter; 0: none")

    def streams(self, log_mel: Frames) -> tuple[Frames]:
        if self.count > log_mel.width:
            raise ParameterError(
                f"mfcc.count is {self.count}; {log_mel} has {log_mel.width} bands: take at most "
                f"{log_mel.width}, or more bands"
            )
        return (log_mel.like(kind="mfcc", width=self.count),)

    def step(self, state: State, log_mel: Array) -> tuple[State, Array]:
        return state, mfcc(log_mel, self.count, self.lifter)
