"""Constant-Q transform."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.limits import MOST_HOP
from dspgraph_nodes._kernels.signal.framing import FrameBuffer, Framing

_MOST_SAMPLES = 2**24  # limit of the sum of all window lengths, samples; half are stored: 128 MiB in cosines and sines


def constant_q(
    x: Array, rate: float, hop: int, f_min: float, bins: int, bins_per_octave: int, filter_scale: float = 1.0
) -> Array:
    """Return the constant-Q transform of a signal, complex rows [ceil(n / hop), bins], by the formulas of `ConstantQ`.

    x: [n], n >= 1, taken as 0 outside; rate: sampling rate of x, Hz; the other arguments are the parameters of
    `ConstantQ`. The result is complex64 for float32 and int16, complex128 for float64.
    """
    from dspgraph_nodes._kernels.signal.constant_q import constant_q_filters, constant_q_rows

    scale = ConstantQBins.of(rate, f_min, bins, bins_per_octave, filter_scale)
    rows = constant_q_rows(scale.cut(hop).whole(floating(x)), constant_q_filters(scale.cycles, scale.lengths))
    return rows.astype(np.result_type(x.dtype, np.complex64), copy=False)


@dataclass(frozen=True)
class ConstantQBins:
    """The frequencies of the bins in cycles per sample, and the lengths of their windows in samples."""

    cycles: tuple[float, ...]
    lengths: tuple[float, ...]

    @classmethod
    def of(cls, rate: float, f_min: float, bins: int, bins_per_octave: int, filter_scale: float) -> "ConstantQBins":
        """Return the bins of a transform. rate: sampling rate, Hz; the others are the parameters of `ConstantQ`."""
        from dspgraph_nodes._kernels.signal.constant_q import bin_frequencies, quality_factor

        frequencies = bin_frequencies(f_min, bins, bins_per_octave)
        lengths = filter_scale * quality_factor(bins_per_octave) * rate / frequencies
        return cls(tuple((frequencies / rate).tolist()), tuple(lengths.tolist()))

    def cut(self, hop: int) -> Framing:
        """Return the framing for the longest window, with its middle at sample hop // 2 of the span."""
        from dspgraph_nodes._kernels.signal.constant_q import half_window

        over = half_window(self.lengths[0])
        return Framing(2 * over + 1, hop, hop // 2 - over)


class ConstantQ(Node):
    """Compute the constant-Q transform: bins a musical interval apart, windows of a fixed number of periods.

        f_b = f_min * 2**(b / bins_per_octave),    N_b = (rate / f_b) * filter_scale / (2**(1 / bins_per_octave) - 1)
        w_b[m] = 0.5 + 0.5 * cos(2 * pi * m / N_b),    -N_b / 2 < m < N_b / 2
        X_k[b] = sqrt(N_b) / (sum_m w_b[m]) * sum_m w_b[m] * x[k * hop + hop // 2 + m] * e**(-2j * pi * f_b * m / rate)

    j is the imaginary unit. The sums are computed as written, without an FFT, from the middle of the window outwards.
    Phases are relative to the middle of the window. The scale is librosa's: a tone of amplitude A at f_b gives |X_k[b]|
    = A * sqrt(N_b) / 2. The lookahead is about half the longest window, that of f_min, minus half a hop.

    Source: J. C. Brown, Calculation of a constant Q spectral transform, Journal of the Acoustical Society of America
    89(1), 1991; librosa 0.11 reference, `librosa.cqt` (scale).
    """

    x = Input(Audio)
    spectrum = Output(Frames, "constant_q")

    hop: int = Field(256, ge=1, le=MOST_HOP, description="samples from one row to the next")
    f_min: float = Field(32.70319566257483, gt=0, description="frequency of the lowest bin, Hz")
    bins: int = Field(84, ge=1, le=4096, description="number of bins")
    bins_per_octave: int = Field(12, ge=1, le=512, description="bins per octave")
    filter_scale: float = Field(
        1.0, gt=0, le=100, description="factor of the window lengths; below 1 windows are shorter"
    )

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        scale = self._scale(x)
        within = sum(cycles < 0.5 for cycles in scale.cycles)
        if within < self.bins:
            half, top = float(x.rate) / 2, scale.cycles[-1] * float(x.rate)
            raise ParameterError(
                f"constant_q.bins is {self.bins}; the last of them would be at {top:.5g} Hz, and half the rate of {x} "
                f"is {half:.6g} Hz: take {f'at most {within} bins' if within else f'an f_min below {half:.6g} Hz'}"
            )
        values = sum(scale.lengths)
        if values > _MOST_SAMPLES:
            raise ParameterError(
                f"constant_q.f_min is {self.f_min:g}; the windows of {self.bins} bins from there on have {values:.2g} "
                f"samples in all; at most {_MOST_SAMPLES} are possible: take a higher f_min, fewer "
                "bins_per_octave or a smaller filter_scale"
            )
        rate, dtype = x.rate / self.hop, np.result_type(x.dtype, np.complex64)
        return (Frames(rate, "constant_q", self.bins, Fraction(self.hop // 2) / x.rate, dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        return self._scale(x).cut(self.hop).beyond / x.rate

    def frequencies(self, x: Audio) -> Array:
        return self.f_min * 2 ** (np.arange(self.bins) / self.bins_per_octave)

    def start(self, x: Audio) -> State:
        scale = self._scale(x)
        return scale, scale.cut(self.hop).start(x.dtype)

    def step(self, state: tuple[ConstantQBins, FrameBuffer], x: Array) -> tuple[State, Array]:
        scale, held = state
        return state, self._rows(scale, scale.cut(self.hop).step(held, x))

    def flush(self, state: tuple[ConstantQBins, FrameBuffer]) -> tuple[Array]:
        scale, held = state
        return (self._rows(scale, scale.cut(self.hop).flush(held)),)

    def _rows(self, scale: ConstantQBins, frames: Array) -> Array:
        from dspgraph_nodes._kernels.signal.constant_q import constant_q_filters, constant_q_rows

        dtype = np.result_type(frames.dtype, np.complex64)
        if not len(frames):
            return np.empty((0, self.bins), dtype)
        rows = constant_q_rows(frames, constant_q_filters(scale.cycles, scale.lengths))
        return rows.astype(dtype, copy=False)

    def _scale(self, x: Audio) -> ConstantQBins:
        return ConstantQBins.of(float(x.rate), self.f_min, self.bins, self.bins_per_octave, self.filter_scale)
