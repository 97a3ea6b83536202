"""Audio from overlapping frames."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.windows import Norm, Window, taper

NOTHING = 1e-10  # of the window's peak: below it a sample is lost to rounding


def overlap_add(frames: Array, window: Array, hop: int, first: int) -> Array:
    """y[n] = sum_k f_k[n - k hop - first] / sum_k w[n - k hop - first], over the K frames there are.

    frames: [K, length]; window: [length], above 0 over the frame's own span. Returns [K hop].
    """
    total, weight = _added(frames, window, hop, np.zeros((2, len(window) - hop), frames.dtype))
    whole = slice(-first, len(frames) * hop - first)
    y: Array = total[whole] / weight[whole]
    return y


def _added(frames: Array, window: Array, hop: int, tail: Array) -> Array:
    """Totals and weights [2, len(frames) hop + length - hop] of frames that follow a tail [2, length - hop]."""
    from dspgraph_nodes._kernels.overlap import add_frames

    sums = np.zeros((2, len(frames) * hop + tail.shape[1]), frames.dtype)
    sums[:, : tail.shape[1]] = tail
    add_frames(frames, window, hop, sums[0], sums[1])
    return sums


@dataclass
class Tail:
    """Sums that frames to come still add to."""

    sums: Array  # totals and weights, [2, length - hop]
    early: int  # samples before the start of the signal that are still to be dropped
    ahead: int  # samples by which frames begin before their span


class OverlapAdd(Node):
    """Audio from frames that carry their window once: the inverse of `frame` with the same window, edges included.

        y[n] = sum_k f_k[n - k hop - first] / sum_k w[n - k hop - first],    first = centre - length / 2

    Only frames that exist are summed. Every sample must be carried by the frame whose span it lies in, else nothing
    would carry it at the edges.

    Source: J. B. Allen, Short Term Spectral Analysis, Synthesis, and Modification by Discrete Fourier Transform, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 25(3), 1977.
    """

    frames = Input(Frames, "wave")
    y = Output(Audio)

    hop: int = Field(ge=1, description="samples from one frame to the next")
    window: Window = Field("hann", description="the window the frames carry")
    norm: Norm = Field("none", description="as in the frames: power where the squares of the window sum to 1")

    def streams(self, frames: Frames) -> tuple[Audio]:
        first, length = self._first(frames), frames.width
        values = taper(self.window, self.norm, length, np.dtype(np.float64))
        at = np.arange(self.hop) - first
        carried = np.where((at >= 0) & (at < length), values[at.clip(0, length - 1)], 0)
        if carried.min() <= NOTHING * values.max():
            raise ParameterError(
                f"overlap_add cannot restore sample {int(carried.argmin())} of every {self.hop}: a {self.window} "
                f"window of {length} samples that begins at {first} is 0 there; take a longer window, a smaller hop or "
                "a window centred in the span"
            )
        return (Audio(rate=frames.rate * self.hop, dtype=frames.dtype),)

    def lookahead(self, frames: Frames) -> Fraction:
        return -self._first(frames) / (frames.rate * self.hop)

    def start(self, frames: Frames) -> State:
        ahead = -self._first(frames)
        return Tail(np.zeros((2, frames.width - self.hop), frames.dtype), ahead, ahead)

    def step(self, tail: Tail, frames: Array) -> tuple[State, Array]:
        window = taper(self.window, self.norm, frames.shape[1], frames.dtype)
        sums = _added(frames, window, self.hop, tail.sums)
        done = len(frames) * self.hop
        early = min(tail.early, done)
        total, weight = sums[:, early:done]
        return Tail(sums[:, done:].copy(), tail.early - early, tail.ahead), total / weight

    def flush(self, tail: Tail) -> tuple[Array]:
        total, weight = tail.sums[:, tail.early : tail.ahead]
        return (total / weight,)

    def _first(self, frames: Frames) -> int:
        """Where a frame begins, in samples from the start of its span."""
        first = frames.centre * frames.rate * self.hop - Fraction(frames.width, 2)
        if first.denominator != 1:
            raise ParameterError(
                f"overlap_add.hop is {self.hop}, but {frames} would begin at {float(first):g} samples, between two: "
                "take the hop the frames were cut with"
            )
        return int(first)
