"""Mel bands."""

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.maths.hop import hop_of
from dspgraph_nodes._kernels.signal.mel import MelNorm, MelScale


def mel(
    spectrum: Array,
    bands: int = 80,
    rate: float = 16000,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: MelScale = "slaney",
    norm: MelNorm = "slaney",
) -> Array:
    """Return mel bands m[k, j] = sum_b w[b, j] * s[k, b], [n, bands], with triangles w.

    spectrum: s, [n, n_fft / 2 + 1], power or magnitude; rate, f_min, f_max (default: rate / 2): Hz; scale, norm: as in
    `Mel`. Each sum runs over the bins of its triangle, in ascending order. The result has the dtype of the spectrum
    (float32 for int16).
    """
    from dspgraph_nodes._kernels.maths.banded import banded_product
    from dspgraph_nodes._kernels.signal.mel import mel_and_inverse

    there, _ = mel_and_inverse(bands, rate, spectrum.shape[1], f_min, f_max or rate / 2, scale, norm)
    return banded_product(floating(spectrum), there)


class Mel(Node):
    """Compute mel bands of power or magnitude spectra: sums over triangles equally spaced in mel.

        slaney:  mel(f) = 3 * f / 200 up to 1 kHz, 15 + 27 * ln(f / 1000) / ln(6.4) above
        htk:     mel(f) = 2595 * log10(1 + f / 700)

    Each triangle rises from the centre of the triangle below to its own centre, and falls to the centre of the triangle
    above, linearly in Hz. With `norm: slaney` its area in Hz is 1, with `norm: none` its peak is 1.

    Source: S. B. Davis, P. Mermelstein, Comparison of Parametric Representations for Monosyllabic Word Recognition in
    Continuously Spoken Sentences, IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4), 1980; librosa
    reference, `librosa.filters.mel` and `librosa.hz_to_mel`.
    """

    spectrum = Input(Frames, "power", "magnitude")
    mel = Output(Frames, "mel")

    bands: int = Field(80, ge=1, le=4096, description="number of bands")
    rate: float = Field(16000, gt=0, le=1e6, description="sampling rate of the audio the frames were cut from, Hz")
    f_min: float = Field(0.0, ge=0, description="lower edge of the first band, Hz")
    f_max: float | None = Field(None, gt=0, description="upper edge of the last band, Hz; rate / 2 by default")
    scale: MelScale = Field("slaney", description="formula of the mel scale")
    norm: MelNorm = Field("slaney", description="slaney: bands of area 1 in Hz; none: bands of peak 1")

    def streams(self, spectrum: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.signal.mel import check_mel_bands

        try:
            hop_of(self.rate, spectrum.rate)
            check_mel_bands(self.bands, self.rate, spectrum.width, self.f_min, self.f_max, self.scale)
        except ValueError as error:
            raise ParameterError(f"mel.{error}") from None
        return (spectrum.like(kind="mel", width=self.bands),)

    def step(self, state: State, spectrum: Array) -> tuple[State, Array]:
        return state, mel(spectrum, self.bands, self.rate, self.f_min, self.f_max, self.scale, self.norm)
