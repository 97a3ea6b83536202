"""Modified discrete cosine transform."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, State, require_mono
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.mdct import MdctWindow


def mdct(x: Array, bins: int, window: MdctWindow = "sine") -> Array:
    """Return the MDCT of a signal, [ceil(n / bins), bins], in the dtype of x (float32 for int16).

    x: [n], n >= 1, taken as 0 after its end; bins: an even number.
    """
    x = floating(x)
    return transforms(framing(bins).whole(x), window, True, True)


def framing(bins: int) -> Framing:
    """Return the framing: frames of 2 * bins samples that begin bins / 2 samples before their spans."""
    return Framing(2 * bins, bins, -(bins // 2))


def transforms(frames: Array, window: MdctWindow, first: bool, last: bool) -> Array:
    """Return the MDCT, [n, bins], of frames [n, 2 * bins], to which this function applies the window.

    first: whether frames[0] is the first frame of the signal; last: whether frames[-1] is the last frame of the signal.
    """
    from dspgraph_nodes._kernels.signal.mdct import forward, half_windows

    bins = frames.shape[1] // 2
    rising, start = half_windows(window, bins, frames.dtype.name)
    left, right = np.tile(rising, (len(frames), 1)), np.tile(rising[::-1], (len(frames), 1))
    if first:
        left[:1] = start
    if last:
        right[-1:] = start[::-1]
    return forward(frames, left, right)


class Mdct(Node):
    """Compute the modified discrete cosine transform: as many numbers as samples; `inverse_mdct` restores the samples.

        X_k[b] = sqrt(2 / N) * sum_i w[i] * x[k * N - N / 2 + i] * cos(pi / N * (i + 1/2 + N / 2) * (b + 1/2))
        i = 0 .. 2 * N - 1,    N = bins

    The sine window is s[i] = sin(pi / (2 * N) * (i + 1/2)), the Vorbis window sin(pi / 2 * s[i]**2). In the overlap at
    the start and at the end of the signal, the window is 0 outside the signal and 1 inside, so that the edges are
    restored too.

    Source: J. P. Princen, A. W. Johnson and A. B. Bradley, Subband/transform coding using filter bank designs based on
    time domain aliasing cancellation, ICASSP 1987; Xiph.Org Foundation, Vorbis I specification (its window).
    """

    x = Input(Audio)
    mdct = Output(Frames, "mdct")

    bins: int = Field(512, ge=2, le=1 << 15, multiple_of=2, description="numbers per row, and samples from row to row")
    window: MdctWindow = Field("sine", description="shape of the window")

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        centre = Fraction(self.bins, 2) / x.rate
        return (Frames(rate=x.rate / self.bins, kind="mdct", width=self.bins, centre=centre, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        return framing(self.bins).beyond / x.rate

    def frequencies(self, x: Audio) -> Array:
        return (np.arange(self.bins) + 0.5) * (float(x.rate) / (2 * self.bins))

    def start(self, x: Audio) -> State:
        return framing(self.bins).start(x.dtype), True

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        held, first = state
        rows = transforms(framing(self.bins).step(held, x), self.window, first, False)
        return (held, first and not len(rows)), rows

    def flush(self, state: State) -> tuple[Array]:
        held, first = state
        return (transforms(framing(self.bins).flush(held), self.window, first, True),)
