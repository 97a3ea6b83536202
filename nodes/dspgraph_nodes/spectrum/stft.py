"""Short-time Fourier transform."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.limits import MOST_HOP, MOST_POINTS
from dspgraph_nodes._kernels.signal.framing import FrameBuffer, Framing, centred_framing
from dspgraph_nodes._kernels.signal.windows import Window, window_values


def stft(x: Array, window: Array, hop: int, first: int, n_fft: int | None = None) -> Array:
    """Return rows X_k[b] = sum_i w[i] * x[k * hop + first + i] * e**(-2 * pi * j * b * (i + left) / n_fft).

    x: [n], n >= 1, taken as 0 outside; window: w, [length], length <= n_fft; hop: samples from one frame to the next;
    first: where the window of frame k begins, in samples after k * hop; n_fft: length by default. j is the imaginary
    unit, left = (n_fft - length) // 2. Returns [ceil(n / hop), n_fft // 2 + 1], complex64 for float32 and int16,
    complex128 for float64: `scipy.fft.rfft` of the windowed frames.
    """
    from dspgraph_nodes._kernels.signal.stft import spectra

    return spectra(Framing(len(window), hop, first).whole(floating(x)), window, n_fft or len(window))


class Stft(Node):
    """Compute the short-time Fourier transform: spectra of windowed frames, one every `hop` samples.

        X_k[b] = sum_i w[i] * x[k * hop + first + i] * e**(-2 * pi * j * b * (i + left) / n_fft),    b = 0 .. n_fft / 2

    j is the imaginary unit; first = centre - length / 2; x = 0 outside the signal. A window shorter than n_fft is
    placed in the middle of n_fft samples, left = (n_fft - length) // 2, with zeros on both sides. Frame k belongs to
    the span [k * hop, (k + 1) * hop). Without a `centre` the window lies in the middle of the span, or half a sample
    before the middle if exactly one of length and hop is odd. Windows are periodic. n_fft is even, so that
    n_fft = 2 * (bins - 1).

    Source: J. B. Allen, L. R. Rabiner, A Unified Approach to Short-Time Fourier Analysis and Synthesis, Proceedings of
    the IEEE 65(11), 1977; SciPy reference, `scipy.fft.rfft`.
    """

    x = Input(Audio)
    spectrum = Output(Frames, "spectrum")

    n_fft: int = Field(1024, ge=2, le=MOST_POINTS, multiple_of=2, description="length of the transform, samples")
    hop: int = Field(256, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    length: int | None = Field(None, ge=1, le=MOST_POINTS, description="width of the window, samples; n_fft by default")
    window: Window = Field("hann", description="shape of the window")
    centre: float | None = Field(
        None, ge=-1e6, le=1e6, description="centre of the window, samples after the start of the frame's span"
    )

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        cut = self._cut()
        if cut.length > self.n_fft:
            raise ParameterError(
                f"stft.length is {self.length}; a window is at most as long as n_fft, {self.n_fft}: shorten it or "
                "raise n_fft"
            )
        return (
            Frames(
                rate=x.rate / self.hop,
                kind="spectrum",
                width=self.n_fft // 2 + 1,
                centre=Fraction(2 * cut.first + cut.length, 2) / x.rate,
                dtype="complex64" if x.dtype == "float32" else "complex128",
            ),
        )

    def lookahead(self, x: Audio) -> Fraction:
        return self._cut().beyond / x.rate

    def frequencies(self, x: Audio) -> Array:
        return np.linspace(0, float(x.rate) / 2, self.n_fft // 2 + 1)

    def start(self, x: Audio) -> State:
        return self._cut().start(x.dtype)

    def step(self, held: FrameBuffer, x: Array) -> tuple[State, Array]:
        return held, self._spectra(self._cut().step(held, x))

    def flush(self, held: FrameBuffer) -> tuple[Array]:
        return (self._spectra(self._cut().flush(held)),)

    def _cut(self) -> Framing:
        try:
            return centred_framing(self.length or self.n_fft, self.hop, self.centre)
        except ValueError as error:
            raise ParameterError(f"stft.{error}") from None

    def _spectra(self, frames: Array) -> Array:
        from dspgraph_nodes._kernels.signal.stft import spectra

        return spectra(frames, window_values(self.window, "none", frames.shape[1], frames.dtype), self.n_fft)
