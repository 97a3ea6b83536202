"""Decoding of aperiodicity that was coded in a few numbers, as in WORLD."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_POINTS


def decode_aperiodicity(coded: Array, rate: float, n_fft: int) -> Array:
    """Return aperiodicity [n, n_fft / 2 + 1], from 0 to 1, in the dtype of `coded` (float32 for int16).

    coded: [n, bands], dB at 3, 6, 9 ... kHz, all bands that `code_aperiodicity` returns at this rate; rate: sampling
    rate of the audio, Hz; n_fft: even. A row that is nearly all noise becomes all noise, see `DecodeAperiodicity`.
    """
    from dspgraph_nodes._kernels.signal.world_codec import decode_bands

    rows: Array = decode_bands(coded.astype(np.float64), rate, n_fft).astype(np.result_type(coded, np.float32))
    return rows


class DecodeAperiodicity(Node):
    """Compute aperiodicity from the few numbers of `code_aperiodicity`, as WORLD does.

    The numbers are the aperiodicity in dB at the bands of `code_aperiodicity`. Together with two fixed points, -60 dB
    at 0 Hz and 0 dB at half the rate, they are interpolated linearly in dB to all frequencies. A row whose numbers have
    a mean above -0.5 dB is all noise: its aperiodicity is 1 - 1e-12 everywhere.

    Source: WORLD, codec.cpp (M. Morise).
    """

    coded = Input(Frames, "coded_aperiodicity")
    aperiodicity = Output(Frames, "aperiodicity")

    rate: float = Field(16000, ge=12000, le=1e6, description="sampling rate of the audio, Hz")
    n_fft: int = Field(1024, ge=2, le=MOST_POINTS, multiple_of=2, description="length of the transform, samples")

    def streams(self, coded: Frames) -> tuple[Frames]:
        from dspgraph_nodes._kernels.signal.world_codec import aperiodicity_bands

        if coded.width != aperiodicity_bands(self.rate):
            raise ParameterError(
                f"decode_aperiodicity.rate is {self.rate:g} Hz, where {aperiodicity_bands(self.rate)} bands are coded; "
                f"found {coded}: give the rate of the audio"
            )
        return (coded.like(kind="aperiodicity", width=self.n_fft // 2 + 1),)

    def step(self, state: State, coded: Array) -> tuple[State, Array]:
        return state, decode_aperiodicity(coded, self.rate, self.n_fft)
