"""Spectra from mel bands."""

from typing import Literal

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS
from dspgraph_nodes._kernels.maths.hop import hop_of
from dspgraph_nodes._kernels.signal.mel import MelNorm, MelScale

SpectrumKind = Literal["magnitude", "power"]


def inverse_mel(
    mel: Array,
    n_fft: int = 1024,
    rate: float = 16000,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: MelScale = "slaney",
    norm: MelNorm = "slaney",
    iterations: int = 50,
) -> Array:
    """Return spectra s >= 0, [n, n_fft / 2 + 1], whose mel bands approach the given bands m by iteration.

        s[b] <- s[b] * sum_j (w[b, j] * m[j] / sum_c (w[c, j] * s[c])) / sum_j w[b, j]

    mel: m, [n, bands]; negative values count as 0; rate, f_min, f_max (default: rate / 2): Hz. w are the triangles of
    `mel` with the same rate, range, scale and norm. Bins that no band covers are 0. The result has the dtype of mel
    (float32 for int16), computed in float64.
    """
    from dspgraph_nodes._kernels.maths.banded import banded_product
    from dspgraph_nodes._kernels.signal.mel import mel_and_inverse

    there, back = mel_and_inverse(mel.shape[1], rate, n_fft // 2 + 1, f_min, f_max or rate / 2, scale, norm)
    tiny = np.finfo(np.float64).tiny
    wanted = np.maximum(mel.astype(np.float64), 0)
    ones = np.ones((1, mel.shape[1]))
    covered = np.maximum(banded_product(ones, back), tiny)
    # Begin with a smooth spectrum: each band is spread over its own bins.
    spectra = banded_product(wanted / np.maximum(banded_product(banded_product(ones, back), there), tiny), back)
    for _ in range(iterations):
        ratio = wanted / np.maximum(banded_product(spectra, there), tiny)
        spectra *= banded_product(ratio, back) / covered
    result: Array = spectra.astype(np.result_type(mel, np.float32), copy=False)
    return result


class InverseMel(Node):
    """Approximate power or magnitude spectra from their mel bands: an approximate inverse of `mel`.

        s[b] <- s[b] * sum_j (w[b, j] * m[j] / sum_c (w[c, j] * s[c])) / sum_j w[b, j]

    m are the given bands, w the triangles of `mel`. The spectra s are at least 0. No iteration increases the
    Kullback-Leibler divergence of their bands from m. Many spectra have the same bands; the iteration begins with a
    smooth spectrum, so that the result has no ripple. Bins that no band covers are 0.

    Source: D. D. Lee, H. S. Seung, Algorithms for Non-negative Matrix Factorization, Advances in Neural Information
    Processing Systems 13, 2001.
    """

    mel = Input(Frames, "mel")
    spectrum = Output(Frames, "magnitude", "power")

    n_fft: int = Field(
        1024, ge=2, le=MOST_POINTS, multiple_of=2, description="length of the transform of the spectra, samples"
    )
    kind: SpectrumKind = Field(
        "magnitude", description="kind of the output, and of the spectra that the bands were made from"
    )
    rate: float = Field(16000, gt=0, le=1e6, description="sampling rate of the audio the frames were cut from, Hz")
    f_min: float = Field(0.0, ge=0, description="lower edge of the first band, Hz")
    f_max: float | None = Field(None, gt=0, description="upper edge of the last band, Hz; rate / 2 by default")
    scale: MelScale = Field("slaney", description="formula of the mel scale")
    norm: MelNorm = Field("slaney", description="slaney: bands of area 1 in Hz; none: bands of peak 1")
    iterations: int = Field(50, ge=0, le=10_000, description="number of updates")

    def streams(self, mel: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.signal.mel import check_mel_bands

        width = self.n_fft // 2 + 1
        try:
            hop_of(self.rate, mel.rate)
            check_mel_bands(mel.width, self.rate, width, self.f_min, self.f_max, self.scale)
        except ValueError as error:
            raise ParameterError(f"inverse_mel.{error}") from None
        return (mel.like(kind=self.kind, width=width),)

    def step(self, state: State, mel: Array) -> tuple[State, Array]:
        options = (self.n_fft, self.rate, self.f_min, self.f_max, self.scale, self.norm, self.iterations)
        return state, inverse_mel(mel, *options)
