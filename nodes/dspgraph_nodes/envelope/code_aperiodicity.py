"""Coding of aperiodicity in a few numbers, as in WORLD."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def code_aperiodicity(aperiodicity: Array, rate: float) -> Array:
    """Return the aperiodicity in dB at 3, 6, 9 ... kHz, up to rate / 2 - 3 kHz and at most 15 kHz: [n, bands].

    Between two bins it is interpolated linearly in dB. aperiodicity: [n, n_fft / 2 + 1], from 0 to 1; rate: sampling
    rate of the audio, Hz, at least 12 kHz. The result has the dtype of the aperiodicity (float32 for int16); values
    below the least normal number of this dtype count as that number.
    """
    from dspgraph_nodes._kernels.signal.world_codec import code_bands

    dtype = np.result_type(aperiodicity, np.float32)
    coded = code_bands(np.maximum(aperiodicity.astype(np.float64), np.finfo(dtype).tiny), rate)
    return coded.astype(dtype, copy=False)


class CodeAperiodicity(Node):
    """Describe aperiodicity by a few numbers, as WORLD does: its levels in dB at 3, 6, 9 ... kHz.

        c[k] = 20 * log10(a(3000 * (k + 1) Hz)),    k = 0 .. min(15000, rate / 2 - 3000) // 3000 - 1

    Between two bins the value in dB is interpolated linearly. `decode_aperiodicity` decodes the numbers.

    Source: WORLD, codec.cpp (M. Morise).
    """

    aperiodicity = Input(Frames, "aperiodicity")
    coded = Output(Frames, "coded_aperiodicity")

    rate: float = Field(16000, ge=12000, le=1e6, description="sampling rate of the audio, Hz")

    def streams(self, aperiodicity: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.signal.world_codec import aperiodicity_bands

        if aperiodicity.width < 2:
            raise ParameterError(f"code_aperiodicity takes the bins of a transform, 2 at least; found {aperiodicity}")
        return (aperiodicity.like(kind="coded_aperiodicity", width=aperiodicity_bands(self.rate)),)

    def step(self, state: State, aperiodicity: Array) -> tuple[State, Array]:
        return state, code_aperiodicity(aperiodicity, self.rate)
