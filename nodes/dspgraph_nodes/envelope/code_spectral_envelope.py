"""Coding of spectral envelopes in a few numbers, as in WORLD."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def code_spectral_envelope(power: Array, rate: float, dimensions: int) -> Array:
    """Return spectral envelopes coded as WORLD does, [n, dimensions], in the dtype of the powers (float32 for int16).

    A code is a cosine transform of ln(power) on a mel axis. power: [n, n_fft / 2 + 1]; values below the least normal
    number of the result's dtype count as that number. rate: sampling rate of the audio, Hz; dimensions: numbers per
    envelope, at most n_fft / 2. Computed in float64.
    """
    from dspgraph_nodes._kernels.signal.world_codec import code_envelope

    dtype = np.result_type(power, np.float32)
    coded = code_envelope(np.maximum(power.astype(np.float64), np.finfo(dtype).tiny), rate, dimensions)
    return coded.astype(dtype, copy=False)


class CodeSpectralEnvelope(Node):
    """Describe a spectral envelope by a few numbers, as WORLD does: a cosine transform of its logarithm on a mel axis.

        c[k] = s[k] / N * sum_i L[i] * cos(pi * k * (2 * i + d[i]) / (2 * N)),    N = n_fft / 2
        s[0] = 1, else sqrt(2);    d[i] = -1 for even i, 3 for odd i

    L[i] is the logarithm of the power at N points equally spaced in mel, 1127.01048 * ln(1 + f / 700), from 40 Hz up
    to, but not including, half the rate (20 kHz at most), interpolated linearly in mel between bins.
    `decode_spectral_envelope` decodes the numbers with d[i] = 1, as in a DCT-II. WORLD's coder and decoder differ in d;
    the nodes here do the same.

    Source: WORLD, codec.cpp, CodeSpectralEnvelope (M. Morise, 2017).
    """

    power = Input(Frames, "power")
    coded = Output(Frames, "coded_spectral_envelope")

    rate: float = Field(16000, gt=160, le=1e6, description="sampling rate of the audio, Hz")
    dimensions: int = Field(60, ge=1, le=4096, description="numbers per row")

    def streams(self, power: Frames) -> tuple[Frames]:
        if not self.dimensions < power.width <= 4097:
            raise ParameterError(
                f"code_spectral_envelope.dimensions is {self.dimensions}; {power} determines at most "
                f"{power.width - 1}, and has 4097 bins at most: take fewer, or another n_fft"
            )
        return (power.like(kind="coded_spectral_envelope", width=self.dimensions),)

    def step(self, state: State, power: Array) -> tuple[State, Array]:
        return state, code_spectral_envelope(power, self.rate, self.dimensions)
