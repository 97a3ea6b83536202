"""Phase reconstruction by the Griffin-Lim algorithm."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, generator
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.limits import MOST_HOP, MOST_POINTS
from dspgraph_nodes._kernels.signal.phase import from_polar
from dspgraph_nodes._kernels.signal.windows import Window, window_values


def griffin_lim(
    magnitude: Array, phase: Array, window: Array, hop: int, first: int, iterations: int = 32, momentum: float = 0.99
) -> Array:
    """Return a signal [K * hop] whose short-time spectra have magnitudes near the given ones, found by iteration.

    magnitude: [K, n_fft / 2 + 1]; phase: initial phases, radians, of the same shape; first: where the window of frame k
    begins, in samples after k * hop, at most 0; hop: samples from one frame to the next; window: w, [length], above 0
    from w[-first] to w[hop - 1 - first], which are the samples k * hop .. (k + 1) * hop - 1 of frame k; momentum: 0 for
    the algorithm of 1984, whose error never grows; values near 1 converge faster. The result has the dtype of the
    window.
    """
    from dspgraph_nodes._kernels.signal.framing import Framing
    from dspgraph_nodes._kernels.signal.griffin_lim import impose_magnitudes
    from dspgraph_nodes._kernels.signal.stft import resynthesise, spectra_in_pieces, split_rows

    magnitude, window = floating(magnitude), floating(window)
    spectrum = from_polar(magnitude, phase.astype(magnitude.dtype, copy=False))
    cut, n_fft = Framing(len(window), hop, first), 2 * (magnitude.shape[1] - 1)
    share = np.array([momentum / (1 + momentum)], magnitude.dtype)
    before = np.zeros_like(spectrum)

    def projected(y: Array) -> Iterator[Array]:
        at = 0
        for rows in spectra_in_pieces(cut.whole(y), window, n_fft):
            part = slice(at, at + len(rows))
            impose_magnitudes(rows, before[part], magnitude[part], share)
            yield rows
            at += len(rows)

    y = resynthesise(split_rows(spectrum), len(magnitude), window, hop, first)
    for _ in range(iterations):
        y = resynthesise(projected(y), len(magnitude), window, hop, first)
    return y


class GriffinLim(Node):
    """Reconstruct audio from magnitudes alone, with phases that overlapping frames agree on.

        t_n = STFT(ISTFT(c_n)),    c_{n+1} = |X| * s / |s|,    s = t_n - momentum / (1 + momentum) * t_{n-1}

    n counts the iterations. c_0 has the given magnitudes |X|, with random phases or phases of 0. Momentum 0 gives the
    algorithm of Griffin and Lim, whose error never grows; momentum 0.99 gives the accelerated algorithm. The frames are
    those of `stft` with the same hop, length and window. The node needs the whole signal. A bin whose s is 0 is set to
    0 in that iteration.

    Source: D. W. Griffin, J. S. Lim, Signal Estimation from Modified Short-Time Fourier Transform, IEEE Transactions on
    Acoustics, Speech, and Signal Processing 32(2), 1984; N. Perraudin, P. Balazs, P. L. Sondergaard, A Fast Griffin-Lim
    Algorithm, IEEE Workshop on Applications of Signal Processing to Audio and Acoustics, 2013.
    """

    magnitude = Input(Frames, "magnitude")
    y = Output(Audio)

    hop: int = Field(256, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    length: int | None = Field(None, ge=1, le=MOST_POINTS, description="width of the window, samples; n_fft by default")
    window: Window = Field("hann", description="the window the frames were cut with")
    iterations: int = Field(32, ge=0, le=100_000, description="number of iterations")
    momentum: float = Field(0.99, ge=0, le=1, description="0: the algorithm of 1984; near 1: faster convergence")
    begin: Literal["random", "zero"] = Field("random", description="initial phases")
    seed: int = Field(0, ge=0, description="seed of the random phases")

    def streams(self, magnitude: Frames) -> tuple[Audio]:
        self._first(magnitude)
        return (Audio(rate=magnitude.rate * self.hop, dtype=magnitude.dtype),)

    def lookahead(self, magnitude: Frames) -> float:
        return math.inf

    def start(self, magnitude: Frames) -> State:
        return generator(self.seed), self._first(magnitude)

    def step(self, state: State, magnitude: Array) -> tuple[State, Array]:
        draw, first = state
        turns = draw.random(magnitude.shape) if self.begin == "random" else np.zeros(magnitude.shape)
        phase = (2 * math.pi * turns).astype(magnitude.dtype, copy=False)
        window = window_values(self.window, "none", self.length or 2 * (magnitude.shape[1] - 1), magnitude.dtype)
        return state, griffin_lim(magnitude, phase, window, self.hop, first, self.iterations, self.momentum)

    def _first(self, magnitude: Frames) -> int:
        """Return where the window of a row begins, in samples after the start of the row's span.

        magnitude: the stream of rows. Raises ParameterError if no signal can be made from these rows with this hop,
        length and window.
        """
        from dspgraph_nodes._kernels.signal.stft import window_start

        try:
            return window_start(magnitude, self.hop, self.length, self.window)
        except ValueError as error:
            raise ParameterError(f"griffin_lim.{error}") from None
