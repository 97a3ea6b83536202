"""Cutting a signal that arrives in blocks into overlapping frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


@dataclass
class FrameBuffer:
    """Samples that later frames still need."""

    samples: Array
    at: int  # index in `samples` where the next frame begins; can lie beyond their end if hop > length
    wait: int  # samples that must still arrive before the next frame is complete


@dataclass(frozen=True)
class Framing:
    """Frames of `length` samples, one every `hop`.

    Frame k begins at sample k hop + first; its span begins at k hop. Frames are views of the samples, without copies,
    and must not be written to.
    """

    length: int
    hop: int
    first: int

    @property
    def beyond(self) -> int:
        """Samples that a frame needs from beyond the end of its span."""
        return max(0, self.first + self.length - self.hop)

    def whole(self, x: Array) -> Array:
        """Return all frames [ceil(n / hop), length] of a signal [n], n >= 1, that is zero outside."""
        count = -(-len(x) // self.hop)
        begin, end = min(self.first, 0), max((count - 1) * self.hop + self.first + self.length, len(x))
        padded = np.zeros(end - begin, x.dtype)
        padded[-begin : len(x) - begin] = x
        return self._rows(padded, self.first - begin, count)

    def start(self, dtype: np.dtype[Any]) -> FrameBuffer:
        """Return the buffer before the first sample."""
        return FrameBuffer(np.zeros(max(0, -self.first), dtype), max(0, self.first), self.hop + self.beyond)

    def step(self, held: FrameBuffer, x: Array) -> Array:
        """Add the samples x to the buffer and return the frames that are now complete."""
        held.samples = np.concatenate((held.samples, x))
        held.wait -= len(x)
        return self._give(held, max(0, 1 - -(-held.wait // self.hop)))

    def flush(self, held: FrameBuffer) -> Array:
        """Return the frames that remain at the end of the signal."""
        begun = self.hop + self.beyond - held.wait  # samples in the spans whose frames were not returned yet
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
        """Return `count` frames as a view, the first from samples[at] on."""
        size = samples.itemsize
        return np.ndarray((count, self.length), samples.dtype, samples.data, at * size, (self.hop * size, size))


def centred_framing(length: int, hop: int, centre: float | None) -> Framing:
    """Return the framing with frames centred `centre` samples after the start of their span.

    Without a centre a frame lies in the middle of its span, half a sample early if length and hop differ in parity.
    Raises ValueError if the centre falls between two samples.
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
