"""Inverse short-time Fourier transform."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.limits import MOST_HOP, MOST_POINTS
from dspgraph_nodes._kernels.signal.windows import Window, window_values


def istft(spectrum: Array, window: Array, hop: int, first: int) -> Array:
    """Return y[n] = (sum_k w[i] * f_k[i]) / (sum_k w[i]**2), i = n - k * hop - first, [K * hop], for K spectra.

    spectrum: [K, n_fft / 2 + 1], n_fft even; f_k is the middle len(window) samples of the inverse transform of row k.
    first: where the window of frame k begins, in samples after k * hop, at most 0; hop: samples from one frame to the
    next; window: w, [length], above 0 from w[-first] to w[hop - 1 - first], which are the samples k * hop .. (k + 1) *
    hop - 1 of frame k. The result has the dtype of the window.
    """
    from dspgraph_nodes._kernels.signal.stft import resynthesise, split_rows

    return resynthesise(split_rows(floating(spectrum)), len(spectrum), floating(window), hop, first)


class Istft(Node):
    """Synthesise audio from spectra: the signal whose windowed spectra are nearest to the given ones in least squares.

        y[n] = (sum_k w[i] * f_k[i]) / (sum_k w[i]**2),    i = n - k * hop - first,    first = centre - length / 2

    f_k is the middle `length` samples of the inverse transform of row k, with n_fft = 2 * (bins - 1). Both sums run
    over the frames that exist, so that unchanged spectra of `stft` give their signal back, edges included. This
    requires that the window of frame k is above 0 from sample k * hop to sample (k + 1) * hop - 1.

    Source: D. W. Griffin, J. S. Lim, Signal Estimation from Modified Short-Time Fourier Transform, IEEE Transactions on
    Acoustics, Speech, and Signal Processing 32(2), 1984 (equation 6).
    """

    spectrum = Input(Frames, "spectrum")
    y = Output(Audio)

    hop: int = Field(256, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    length: int | None = Field(None, ge=1, le=MOST_POINTS, description="width of the window, samples; n_fft by default")
    window: Window = Field("hann", description="the window the frames were cut with")

    def streams(self, spectrum: Frames) -> tuple[Audio]:
        if spectrum.dtype.kind != "c":
            raise ParameterError(f"istft takes complex rows; found {spectrum} of {spectrum.dtype}")
        self._first(spectrum)
        return (Audio(rate=spectrum.rate * self.hop, dtype=self._dtype(spectrum)),)

    def lookahead(self, spectrum: Frames) -> Fraction:
        return -self._first(spectrum) / (spectrum.rate * self.hop)

    def start(self, spectrum: Frames) -> State:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        return overlap.start(self._length(spectrum), self.hop, self._first(spectrum), self._dtype(spectrum))

    def step(self, tail: State, spectrum: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap
        from dspgraph_nodes._kernels.signal.stft import inverse_frames, split_rows

        length = self.length or 2 * (spectrum.shape[1] - 1)
        window = window_values(self.window, "none", length, spectrum.real.dtype)
        pieces = inverse_frames(split_rows(spectrum), length)
        return tail, overlap.step(tail, pieces, len(spectrum), window, window * window, self.hop)

    def flush(self, tail: State) -> tuple[Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        return (overlap.flush(tail),)

    def _dtype(self, spectrum: Frames) -> np.dtype[np.floating]:
        return np.dtype(np.float32 if spectrum.dtype == np.complex64 else np.float64)

    def _length(self, spectrum: Frames) -> int:
        return self.length or 2 * (spectrum.width - 1)

    def _first(self, spectrum: Frames) -> int:
        """Return where the window of a row begins, in samples after the start of the row's span.

        spectrum: the stream of rows. Raises ParameterError if no signal can be made from these rows with this hop,
        length and window.
        """
        from dspgraph_nodes._kernels.signal.stft import window_start

        try:
            return window_start(spectrum, self.hop, self.length, self.window)
        except ValueError as error:
            raise ParameterError(f"istft.{error}") from None
