"""Synthesis from the sub-bands of a pseudo-quadrature mirror filter bank."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.pqmf import pqmf_filters, usual_cutoff, usual_taps


class InversePqmf(Node):
    """Synthesise audio from sub-bands: nearly the inverse of `pqmf` with the same parameters.

        y[n] = bands * sum_k sum_b g_b[k * bands + taps / 2 - n] * X_k[b]
        g_b[n] = 2 * p[n] * cos((2 * b + 1) * pi / (2 * bands) * (n - taps / 2) - (-1)**b * pi / 4)

    p is the prototype of `pqmf`.

    Source: Y.-P. Lin and P. P. Vaidyanathan, A Kaiser window approach for the design of prototype filters of cosine
    modulated filterbanks, IEEE Signal Processing Letters 5(6), 1998; ParallelWaveGAN, layers/pqmf.py.
    """

    bands = Input(Frames, "pqmf")
    y = Output(Audio)

    taps: int | None = Field(
        None, ge=4, le=8192, multiple_of=2, description="order of the filters; 16 * bands - 2 by default"
    )
    cutoff: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="cutoff of the prototype filter, as a share of half the rate; 0.568 / bands by default",
    )
    beta: float = Field(9.0, ge=0, le=50, description="parameter of the Kaiser window")

    def streams(self, bands: Frames) -> tuple[Audio]:
        if bands.dtype.kind == "c" or not 2 <= bands.width <= self._taps(bands.width) // 2:
            raise ParameterError(
                f"inverse_pqmf takes real rows of 2 to taps / 2 = {self._taps(bands.width) // 2} bands; found "
                f"{bands} in {bands.dtype}: give the taps of 'pqmf'"
            )
        return (Audio(rate=bands.rate * bands.width, dtype=bands.dtype),)

    def lookahead(self, bands: Frames) -> Fraction:
        return Fraction(self._taps(bands.width) // 2) / (bands.rate * bands.width)

    def start(self, bands: Frames) -> State:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        taps = self._taps(bands.width)
        return overlap.start(taps + 1, bands.width, -(taps // 2), bands.dtype)

    def step(self, tail: State, bands: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.maths.matmul import matmul
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        count, taps = bands.shape[1], self._taps(bands.shape[1])
        _, synthesis = pqmf_filters(count, taps, self.cutoff or usual_cutoff(count), self.beta)
        pieces = matmul(bands, np.ascontiguousarray(count * synthesis[::-1].T))
        ones, own = np.ones(taps + 1, bands.dtype), np.zeros(taps + 1, bands.dtype)
        own[taps // 2 : taps // 2 + count] = 1  # every sample counts once: the sums are not divided
        return tail, overlap.step(tail, [pieces], len(bands), ones, own, count)

    def flush(self, tail: State) -> tuple[Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        return (overlap.flush(tail),)

    def _taps(self, bands: int) -> int:
        return self.taps or usual_taps(bands)
