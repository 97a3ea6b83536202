"""Overlap-add of frames."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_HOP
from dspgraph_nodes._kernels.signal.windows import Window, WindowNorm, window_values


def overlap_add(frames: Array, window: Array, hop: int, first: int) -> Array:
    """Return y[n] = (sum_k f_k[n - k * hop - first]) / (sum_k w[n - k * hop - first]), [K * hop], for K frames f_k.

    frames: [K, length], floats, already multiplied by w; first: where frame k begins, in samples after k * hop, at most
    0; hop: samples from one frame to the next; window: w, [length], above 0 from w[-first] to w[hop - 1 - first], which
    are the samples k * hop .. (k + 1) * hop - 1 of frame k.
    """
    from dspgraph_nodes._kernels.signal import overlap_add as overlap

    tail = overlap.start(len(window), hop, first, frames.dtype)
    y = overlap.step(tail, [frames], len(frames), np.ones_like(window), window, hop)
    return np.concatenate((y, overlap.flush(tail)))


class OverlapAdd(Node):
    """Overlap and add windowed frames to audio: the inverse of `frame` with the same window.

        y[n] = (sum_k f_k[n - k * hop - first]) / (sum_k w[n - k * hop - first]),    first = centre - length / 2

    The frames f_k are already multiplied by the window w, as `frame` does. Both sums run over the frames that exist, so
    the edges of the signal are restored too. This requires that the window of frame k is above 0 from sample k * hop to
    sample (k + 1) * hop - 1. The centre is that of the stream `frames`, in samples after the start of the span.

    Source: J. B. Allen, Short Term Spectral Analysis, Synthesis, and Modification by Discrete Fourier Transform, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 25(3), 1977.
    """

    frames = Input(Frames, "wave")
    y = Output(Audio)

    hop: int = Field(ge=1, le=MOST_HOP, description="samples from one frame to the next")
    window: Window = Field("hann", description="the window of the frames")
    norm: WindowNorm = Field("none", description="scale of the window, as in `frame`; power: its squares sum to 1")

    def streams(self, frames: Frames) -> tuple[Audio]:
        from dspgraph_nodes._kernels.signal.overlap_add import find_lost_sample

        first, length = self._first(frames), frames.width
        missing = find_lost_sample(window_values(self.window, self.norm, length, np.dtype(np.float64)), self.hop, first)
        if missing is not None:
            raise ParameterError(
                f"overlap_add cannot restore sample {missing} of every {self.hop}: a {self.window} "
                f"window of {length} samples that begins at {first} is 0 there; take a longer window, a smaller hop or "
                "a window centred in the span"
            )
        return (Audio(rate=frames.rate * self.hop, dtype=frames.dtype),)

    def lookahead(self, frames: Frames) -> Fraction:
        return -self._first(frames) / (frames.rate * self.hop)

    def start(self, frames: Frames) -> State:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        return overlap.start(frames.width, self.hop, self._first(frames), frames.dtype)

    def step(self, tail: State, frames: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        window = window_values(self.window, self.norm, frames.shape[1], frames.dtype)
        return tail, overlap.step(tail, [frames], len(frames), np.ones_like(window), window, self.hop)

    def flush(self, tail: State) -> tuple[Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap

        return (overlap.flush(tail),)

    def _first(self, frames: Frames) -> int:
        """Return how many samples after the start of its span a frame begins; negative if it begins before.

        frames: the stream of the frames. Raises ParameterError if this is not a whole number.
        """
        first = frames.centre * frames.rate * self.hop - Fraction(frames.width, 2)
        if first.denominator != 1:
            raise ParameterError(
                f"overlap_add.hop is {self.hop}, but {frames} would begin at {float(first):g} samples, between two: "
                "take the hop the frames were cut with"
            )
        return int(first)
