"""Decoding of spectral envelopes that were coded in a few numbers, as in WORLD."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def decode_spectral_envelope(coded: Array, rate: float, n_fft: int) -> Array:
    """Return power spectra [n, n_fft / 2 + 1] of coded spectral envelopes, in their dtype (float32 for int16).

    coded: [n, dimensions], dimensions <= n_fft / 2; rate: sampling rate of the audio, Hz; n_fft: even. Computed in
    float64. A power too large for the dtype is infinite.
    """
    from dspgraph_nodes._kernels.signal.world_codec import decode_envelope

    with np.errstate(over="ignore"):
        power: Array = decode_envelope(coded.astype(np.float64), rate, n_fft).astype(np.result_type(coded, np.float32))
    return power


class DecodeSpectralEnvelope(Node):
    """Compute spectral envelopes from the few numbers of `code_spectral_envelope`, as WORLD does.

        ln P[i] = c[0] + sqrt(2) * sum_(k > 0) c[k] * cos(pi * k * (2 * i + 1) / (2 * N)),    N = n_fft / 2

    On the scale ln(1 + f / 700), point i lies i / N of the way from 40 Hz to half the rate (20 kHz at most). Between
    two points ln P is interpolated linearly in Hz; below the first point and above the last one it is constant.

    Source: WORLD, codec.cpp, DecodeSpectralEnvelope (M. Morise, 2017).
    """

    coded = Input(Frames, "coded_spectral_envelope")
    power = Output(Frames, "power")

    rate: float = Field(16000, gt=160, le=1e6, description="sampling rate of the audio, Hz")
    n_fft: int = Field(1024, ge=2, le=8192, multiple_of=2, description="length of the transform, samples")

    def streams(self, coded: Frames) -> tuple[Frames]:
        if coded.width > self.n_fft // 2:
            raise ParameterError(
                f"decode_spectral_envelope.n_fft is {self.n_fft}; {coded} needs {2 * coded.width} at least: raise it"
            )
        return (coded.like(kind="power", width=self.n_fft // 2 + 1),)

    def step(self, state: State, coded: Array) -> tuple[State, Array]:
        return state, decode_spectral_envelope(coded, self.rate, self.n_fft)
