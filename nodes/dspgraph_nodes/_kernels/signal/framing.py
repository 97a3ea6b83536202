"""A signal that comes in blocks, cut into frames that overlap."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class Held:
    """Samples that frames to come still need."""

    samples: Array
    at: int  # where in them the next frame begins; beyond their end when hop > length
    wait: int  # samples still to come before the next frame can be given


@dataclass(frozen=True)
class Cut:
    """Frames of `length` samples, one every `hop`: frame k, of the span from k hop on, begins at sample k hop + first.

    Frames come as views of the samples: they are read in place, without copies, and must not be written to.
    """

    length: int
    hop: int
    first: int

    @property
    def beyond(self) -> int:
        """Samples a frame needs from beyond the end of its span."""
        return max(0, self.first + self.length - self.hop)

    def whole(self, x: Array) -> Array:
        """All frames [ceil(n / hop), length] of a signal [n], n >= 1, that is zero outside."""
        count = -(-len(x) // self.hop)
        begin, end = min(self.first, 0), max((count - 1) * self.hop + self.first + self.length, len(x))
        padded = np.zeros(end - begin, x.dtype)
        padded[-begin : len(x) - begin] = x
        return self._rows(padded, self.first - begin, count)

    def start(self, dtype: np.dtype[Any]) -> Held:
        """Before the first sample."""
        return Held(np.zeros(max(0, -self.first), dtype), max(0, self.first), self.hop + self.beyond)

    def step(self, held: Held, x: Array) -> Array:
        """The frames that can be given once the samples x have come."""
        held.samples = np.concatenate((held.samples, x))
        held.wait -= len(x)
        return self._give(held, max(0, 1 - -(-held.wait // self.hop)))

    def flush(self, held: Held) -> Array:
        """The frames left when the signal has ended."""
        begun = self.hop + self.beyond - held.wait  # samples of the spans that have not given their frames
        count = -(-begun // self.hop)
        missing = held.at + (count - 1) * self.hop + self.length - len(held.samples)
        held.samples = np.concatenate((held.samples, np.zeros(max(0, missing), held.samples.dtype)))
        return self._give(held, count)

    def _give(self, held: Held, count: int) -> Array:
        if not count:
            return np.empty((0, self.length), held.samples.dtype)
        frames = self._rows(held.samples, held.at, count)
        held.wait += count * self.hop
        held.at += count * self.hop
        gone = min(held.at, len(held.samples))
        held.samples, held.at = held.samples[gone:], held.at - gone
        return frames

    def _rows(self, samples: Array, at: int, count: int) -> Array:
        """`count` frames, the first from samples[at] on."""
        size = samples.itemsize
        return np.ndarray((count, self.length), samples.dtype, samples.data, at * size, (self.hop * size, size))


def placed(length: int, hop: int, centre: float | None) -> Cut:
    """Frames centred `centre` samples after the start of their span; ValueError where that falls between two samples.

    Without a centre they sit in the middle of the span, half a sample early where length and hop differ in parity.
    """
    if centre is None:
        return Cut(length, hop, (hop - length) // 2)
    first = centre - length / 2
    if not first.is_integer():
        raise ValueError(
            f"centre is {centre:g}, but a window of {length} samples is centred on a "
            f"{'half' if length % 2 else 'whole'} sample: take {np.floor(first) + length / 2:g} "
            f"or {np.ceil(first) + length / 2:g}"
        )
    return Cut(length, hop, int(first))
