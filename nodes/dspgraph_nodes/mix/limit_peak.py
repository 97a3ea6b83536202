"""Limiting of peaks."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State, require_alike


def limit_peak(x: Array, like: Array, ratio: float, before: float) -> tuple[Array, float]:
    """Return x, each sample clipped to +- ratio times the largest magnitude of `like` up to this sample.

    x, like: [n] or [n, channels], of one shape, n >= 1; before: the largest magnitude of the signal `like` before this
    block, 0 at the start. A magnitude is the largest of all channels. The second result is `before` for the next block:
    the largest magnitude of `like` up to the end of this block.
    """
    magnitude = np.abs(like).reshape(len(like), -1).max(axis=1, initial=0)
    largest = np.maximum.accumulate(np.maximum(magnitude, before))
    most = (largest.astype(np.float64) * ratio).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return np.clip(x, -most, most), float(largest[-1]) if len(largest) else before


class LimitPeak(Node):
    """Clip a signal to a multiple of the largest magnitude that another signal has had so far.

        y[n] = max(-m[n], min(m[n], x[n])),    m[n] = ratio * largest |like[j]| of all channels, j = 0 .. n

    At the end of a vocoder, with the speech as `like`, the node limits how far a sample can exceed the peak of the
    speech. The limit matters for a clipped or coarsely quantised recording, whose peaks are hardly higher than its RMS:
    the peaks of the Gaussian noise of unvoiced sounds are about four times the RMS of the noise.
    """

    x = Input(Audio)
    like = Input(Audio)
    y = Output(Audio)

    ratio: float = Field(1.9, gt=0.0, le=1e6, description="limit, as a multiple of the peak; 1.9 is 5.6 dB")

    def streams(self, x: Audio, like: Audio) -> tuple[Audio]:
        require_alike({"x": x, "like": like}, self)
        return (x,)

    def start(self, x: Audio, like: Audio) -> State:
        return 0.0  # the largest magnitude so far

    def step(self, before: State, x: Array, like: Array) -> tuple[State, Array]:
        y, largest = limit_peak(x, like, self.ratio, before)
        return largest, y
