"""Cutting a signal that arrives in blocks into overlapping frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


@dataclass
class FrameBuffer:
    """The samples that later frames still need, and the counts that say where the next frame begins.

    samples: [n]; at: the index at which the next frame begins; wait: how many samples are missing until the next frame
    is complete and its span has ended.
    """

    samples: Array
    at: int  # index in `samples` where the next frame begins; can lie beyond the end of `samples`
    wait: int  # samples that must still arrive until the next frame, and its span, are complete


@dataclass(frozen=True)
class Framing:
    """The framing of a signal: frames of `length` samples, one every `hop` samples.

    The span of frame k begins at sample k * hop, and the frame itself at sample k * hop + first. Frames are returned as
    views of the samples, not as copies: they must not be written to.
    """

    length: int
    hop: int
    first: int

    @property
    def beyond(self) -> int:
        """The number of samples that a frame needs from after the end of its span."""
        return max(0, self.first + self.length - self.hop)

    def whole(self, x: Array) -> Array:
        """Return all frames of a whole signal: [ceil(n / hop), length].

        x: [n], n >= 1; before its first sample and after its last it counts as zero.
        """
        count = -(-len(x) // self.hop)
        begin, end = min(self.first, 0), max((count - 1) * self.hop + self.first + self.length, len(x))
        padded = np.zeros(end - begin, x.dtype)
        padded[-begin : len(x) - begin] = x
        return self._rows(padded, self.first - begin, count)

    def start(self, dtype: np.dtype[Any]) -> FrameBuffer:
        """Return the buffer for the beginning of a signal. dtype: the dtype of the samples."""
        return FrameBuffer(np.zeros(max(0, -self.first), dtype), max(0, self.first), self.hop + self.beyond)

    def step(self, held: FrameBuffer, x: Array) -> Array:
        """Add the next samples x [n] to the buffer `held`; return the frames [m, length] that are now complete.

        A frame is complete when all its samples are there and its span has ended.
        """
        held.samples = np.concatenate((held.samples, x))
        held.wait -= len(x)
        return self._give(held, max(0, 1 - -(-held.wait // self.hop)))

    def flush(self, held: FrameBuffer) -> Array:
        """Return the frames [m, length] that are not complete at the end of the signal, filled up with zeros.

        They are those whose span has begun, so that with them a signal of n samples has ceil(n / hop) frames. held: the
        buffer, updated in place.
        """
        begun = self.hop + self.beyond - held.wait  # samples received since the start of the span of the next frame
        count = -(-begun // self.hop)
        missing = held.at + (count - 1) * self.hop + self.length - len(held.samples)
        held.samples = np.concatenate((held.samples, np.zeros(max(0, missing), held.samples.dtype)))
        return self._give(held, count)

    def _give(self, held: FrameBuffer, count: int) -> Array:
        if not count:
            return np.empty((0, self.length), held.samples.dtype)
        frames = self._rows(held.samples, held.at, count)
        held.wait += count * self.hop
        held.at += count * self.hop
        gone = min(held.at, len(held.samples))
        held.samples, held.at = held.samples[gone:], held.at - gone
        return frames

    def _rows(self, samples: Array, at: int, count: int) -> Array:
        """Return `count` frames as a view of `samples`; the first frame begins at samples[at]."""
        size = samples.itemsize
        return np.ndarray((count, self.length), samples.dtype, samples.data, at * size, (self.hop * size, size))


def centred_framing(length: int, hop: int, centre: float | None) -> Framing:
    """Return a framing in which the middle of every frame lies `centre` samples after the start of the frame's span.

    Without `centre` a frame lies in the middle of its span, or half a sample earlier if one of length and hop is odd
    and the other even. Raises ValueError if frames would begin between two samples. The message begins with the
    parameter "centre"; the caller puts the name of the node and a dot before it.
    """
    if centre is None:
        return Framing(length, hop, (hop - length) // 2)
    first = centre - length / 2
    if not first.is_integer():
        raise ValueError(
            f"centre is {centre:g}, but a window of {length} samples is centred on a "
            f"{'half' if length % 2 else 'whole'} sample: take {np.floor(first) + length / 2:g} "
            f"or {np.ceil(first) + length / 2:g}"
        )
    return Framing(length, hop, int(first))
