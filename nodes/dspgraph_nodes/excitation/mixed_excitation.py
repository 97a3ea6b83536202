"""Mixture of a periodic and a noisy excitation."""

from fractions import Fraction

import numpy as np

from dspgraph import (
    Array,
    Audio,
    Field,
    Frames,
    Input,
    Node,
    Output,
    ParameterError,
    State,
    require_alike,
    require_mono,
)
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.windows import window_values


class MixedExcitation(Node):
    """Mix a periodic excitation and noise at each frequency by its aperiodicity.

        Y_k[b] = sqrt(1 - a_k[b]**2) * P_k[b] + a_k[b] * N_k[b]

    P_k and N_k are the spectra of the two signals at frame k, windowed by a Hann window of n_fft samples around the
    centre of the row; a_k is the aperiodicity, limited to `least` .. 1, of a row of n_fft / 2 + 1 bins. The frames Y_k
    are windowed again, overlapped and added, with the sum of the squared windows divided out. With two excitations of
    unit power the mixture has unit power too.

    Source: M. Morise, F. Yokomori and K. Ozawa, WORLD: a vocoder-based high-quality speech synthesis system for
    real-time applications, IEICE Transactions on Information and Systems E99-D(7), 2016 (aperiodicity as the share of
    noise).
    """

    periodic = Input(Audio)
    noise = Input(Audio)
    aperiodicity = Input(Frames, "aperiodicity")
    y = Output(Audio)

    least: float = Field(0.0, ge=0, le=1, description="smallest share of noise")

    def streams(self, periodic: Audio, noise: Audio, aperiodicity: Frames) -> tuple[Audio]:
        require_mono(periodic, self)
        require_alike({"periodic": periodic, "noise": noise}, self)
        self._cut(periodic, aperiodicity)
        if aperiodicity.dtype != periodic.dtype:
            raise ParameterError(
                f"mixed_excitation takes signals and rows of one dtype; found {periodic.dtype} and "
                f"{aperiodicity.dtype}: convert one of them before the node"
            )
        return (periodic,)

    def lookahead(self, periodic: Audio, noise: Audio, aperiodicity: Frames) -> Fraction:
        cut = self._cut(periodic, aperiodicity)  # rows and samples come in whole hops
        return (-(-cut.beyond // cut.hop) * cut.hop - cut.first) / periodic.rate

    def start(self, periodic: Audio, noise: Audio, aperiodicity: Frames) -> State:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        cut, dtype = self._cut(periodic, aperiodicity), periodic.dtype
        tail = overlap.start(cut.length, cut.hop, cut.first, dtype)
        return cut, cut.start(dtype), cut.start(dtype), aperiodicity.empty(), tail, 0  # samples that are still due

    def step(self, state: State, periodic: Array, noise: Array, aperiodicity: Array) -> tuple[State, Array]:
        cut, one, other, rows, tail, due = state
        rows = np.concatenate((rows, aperiodicity))
        frames = cut.step(one, periodic), cut.step(other, noise)
        y = self._mixed(cut, *frames, rows[: len(frames[0])], tail)
        return (cut, one, other, rows[len(frames[0]) :].copy(), tail, due + len(periodic) - len(y)), y

    def flush(self, state: State) -> tuple[Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        cut, one, other, rows, tail, due = state
        frames = cut.flush(one), cut.flush(other)
        y = self._mixed(cut, *frames, rows[: len(frames[0])], tail)
        return (np.concatenate((y, overlap.flush(tail)))[:due],)

    def _mixed(self, cut: Framing, periodic: Array, noise: Array, aperiodicity: Array, tail: State) -> Array:
        """Return the output samples that are complete after these frames, [m].

        cut: the framing; periodic, noise: [n, n_fft], frames of both signals; aperiodicity: [n, bins]; tail: the sums
        of the overlap-add, updated in place.
        """
        from dspgraph_nodes._kernels.signal import overlap_add as overlap
        from dspgraph_nodes._kernels.signal.stft import inverse_frames, spectra

        if not len(periodic):
            return np.empty(0, periodic.dtype)
        window = window_values("hann", "none", cut.length, periodic.dtype)
        share = np.clip(aperiodicity, periodic.dtype.type(self.least), 1)
        mixed = np.sqrt(1 - share * share) * spectra(periodic, window, cut.length)
        mixed += share * spectra(noise, window, cut.length)
        pieces = inverse_frames([mixed], cut.length)
        y: Array = overlap.step(tail, pieces, len(mixed), window, window * window, cut.hop)
        return y

    def _cut(self, x: Audio, rows: Frames) -> Framing:
        from dspgraph_nodes._kernels.signal.overlap_add import find_lost_sample

        length, hop = 2 * (rows.width - 1), x.rate / rows.rate
        first = rows.centre * x.rate - Fraction(length, 2)
        whole = hop.denominator == first.denominator == 1
        if whole and length and -length <= first <= 0:
            window = window_values("hann", "none", length, np.dtype(np.float64))
            if find_lost_sample(window * window, int(hop), int(first)) is None:
                return Framing(length, int(hop), int(first))
        raise ParameterError(
            f"mixed_excitation takes rows whose windows overlap and begin at whole samples; found {rows} and {x}, a "
            f"hop of {float(hop):g} samples and windows of {length}: take a longer n_fft, or another hop or centre"
        )
