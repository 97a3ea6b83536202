"""Cutting audio into windowed frames."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.windows import Norm, Window, taper


def frame(x: Array, window: Array, hop: int, first: int) -> Array:
    """Rows f_k[i] = window[i] * x[k * hop + first + i], x zero outside, k = 0 .. ceil(len(x) / hop) - 1.

    x: [n], n >= 1; window: [length]. Returns [ceil(n / hop), length].
    """
    count = -(-len(x) // hop)
    begin, end = min(first, 0), max((count - 1) * hop + first + len(window), len(x))
    padded = np.zeros(end - begin, x.dtype)
    padded[-begin : len(x) - begin] = x
    return _rows(padded, first - begin, count, window, hop)


def _rows(samples: Array, at: int, count: int, window: Array, hop: int) -> Array:
    """`count` frames, the first from samples[at] on. The overlap is read in place: no index arrays, no copies."""
    size = samples.itemsize
    overlapping: Array = np.ndarray((count, len(window)), samples.dtype, samples.data, at * size, (hop * size, size))
    return overlapping * window


@dataclass
class Held:
    """Samples that frames to come still need."""

    samples: Array
    at: int  # where in them the next frame begins; beyond their end when hop > length
    wait: int  # samples still to come before the next frame can be given


class Frame(Node):
    """Windowed frames of `length` samples, one every `hop`.

        f_k[i] = w[i] x[k hop + first + i],    first = centre - length / 2,    x = 0 outside the signal

    Frame k belongs to the span [k hop, (k + 1) hop); without a `centre` the window sits in the middle of it, half a
    sample early where length and hop differ in parity. Windows are periodic; `norm: power` divides them by
    sqrt(sum w**2), so that the gain of a linear predictor is the RMS of its residual.

    Source: SPTK 4.0 reference, `window` (normalisation); SciPy reference, `scipy.signal.get_window`.
    """

    x = Input(Audio)
    frames = Output(Frames, "wave")

    length: int = Field(ge=1, description="width of the window, samples")
    hop: int = Field(ge=1, description="samples from one frame to the next")
    window: Window = Field("hann", description="shape of the window")
    norm: Norm = Field("none", description="power: the squares of the window sum to 1")
    centre: float | None = Field(None, description="centre of the window, samples after the start of the frame's span")

    def first(self) -> int:
        """Where a frame begins, in samples from the start of its span."""
        if self.centre is None:
            return (self.hop - self.length) // 2
        first = self.centre - self.length / 2
        if not first.is_integer():
            raise ParameterError(
                f"frame.centre is {self.centre:g}, but a window of {self.length} samples is centred on a "
                f"{'half' if self.length % 2 else 'whole'} sample: take {np.floor(first) + self.length / 2:g} "
                f"or {np.ceil(first) + self.length / 2:g}"
            )
        return int(first)

    def streams(self, x: Audio) -> tuple[Frames]:
        if x.channels > 1:
            raise ParameterError(f"frame takes one channel; found {x}: put a mono 'mix' before it")
        centre = Fraction(2 * self.first() + self.length, 2) / x.rate
        return (Frames(rate=x.rate / self.hop, kind="wave", width=self.length, centre=centre, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        return self._beyond() / x.rate

    def start(self, x: Audio) -> State:
        first = self.first()
        return Held(np.zeros(max(0, -first), x.dtype), max(0, first), self.hop + self._beyond())

    def step(self, held: Held, x: Array) -> tuple[State, Array]:
        held.samples = np.concatenate((held.samples, x))
        held.wait -= len(x)
        return held, self._give(held, max(0, 1 - -(-held.wait // self.hop)))

    def flush(self, held: Held) -> tuple[Array]:
        begun = self.hop + self._beyond() - held.wait  # samples of the spans that have not given their frames
        count = -(-begun // self.hop)
        missing = held.at + (count - 1) * self.hop + self.length - len(held.samples)
        held.samples = np.concatenate((held.samples, np.zeros(max(0, missing), held.samples.dtype)))
        return (self._give(held, count),)

    def _beyond(self) -> int:
        """Samples a frame needs from beyond the end of its span."""
        return max(0, self.first() + self.length - self.hop)

    def _give(self, held: Held, count: int) -> Array:
        window = taper(self.window, self.norm, self.length, held.samples.dtype)
        if not count:
            return np.empty((0, self.length), window.dtype)
        frames = _rows(held.samples, held.at, count, window, self.hop)
        held.wait += count * self.hop
        held.at += count * self.hop
        gone = min(held.at, len(held.samples))
        held.samples, held.at = held.samples[gone:], held.at - gone
        return frames
