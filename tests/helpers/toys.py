"""Small nodes with which the core is tested without the package dspgraph_nodes; `--plugin` can load this file."""

from fractions import Fraction
from typing import Any

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, State, Stream, generator


class ToyScale(Node):
    """Multiply the signal by a factor."""

    x = Input(Audio)
    y = Output(Audio)

    factor: float = Field(2.0, ge=-10, le=10, description="factor of the signal")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x * x.dtype.type(self.factor)


class ToySum(Node):
    """Add one signal or more. The sum has the dtype of the first one."""

    x = Input(Audio, many=True)
    y = Output(Audio)

    def streams(self, x: tuple[Audio, ...]) -> tuple[Stream, ...]:
        return (x[0],)

    def step(self, state: State, x: tuple[Array, ...]) -> tuple[State, Array]:
        total = x[0].copy()
        for other in x[1:]:
            total += other
        return state, total


class ToyLate(Node):
    """Output the input unchanged, but hold back the last `samples` samples until more samples or the end arrive."""

    x = Input(Audio)
    y = Output(Audio)

    samples: int = Field(100, ge=1, description="number of samples held back")

    def lookahead(self, x: Audio) -> Fraction:
        return self.samples / x.rate

    def start(self, x: Audio) -> State:
        return np.zeros(0, x.dtype)

    def step(self, held: Array, x: Array) -> tuple[Array, Array]:
        held = np.concatenate([held, x])
        return held[-self.samples :], held[: -self.samples]

    def flush(self, held: Array) -> tuple[Array, ...]:
        return (held,)


class ToyFrames(Node):
    """Divide a signal into rows of `hop` samples. Zeros fill up the last row."""

    x = Input(Audio)
    frames = Output(Frames, "wave")

    hop: int = Field(160, ge=1, description="samples per row")
    centre: float = Field(0.0, description="centre that the stream of rows declares, seconds")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / self.hop, "wave", self.hop, Fraction(str(self.centre)), x.dtype),)

    def block_size(self, x: Audio) -> int:
        return self.hop

    def start(self, x: Audio) -> State:
        return x.dtype

    def step(self, dtype: Any, x: Array) -> tuple[Any, Array]:
        row = np.zeros((1, self.hop), dtype)
        row[0, : len(x)] = x
        return dtype, row


class ToyEnergy(Node):
    """Compute the energy of each row (the sum of the squares of its samples), and the sign of its first sample."""

    frames = Input(Frames, "wave")
    level = Output(Frames, "level")
    sign = Output(Frames, "sign")

    def streams(self, frames: Frames) -> tuple[Stream, ...]:
        return frames.like(kind="level", width=1), frames.like(kind="sign", width=1)

    def step(self, state: State, frames: Array) -> tuple[State, Array, Array]:
        return state, (frames**2).sum(axis=1, keepdims=True), np.sign(frames[:, :1])


class ToyApply(Node):
    """Multiply every sample by the level, the first number, of the row that covers its time."""

    x = Input(Audio)
    level = Input(Frames, "level", "sign")
    y = Output(Audio)

    def start(self, x: Audio, level: Frames) -> State:
        return level.rate / x.rate

    def step(self, ratio: Fraction, x: Array, level: Array) -> tuple[Fraction, Array]:
        row = np.arange(len(x)) * ratio.numerator // ratio.denominator
        return ratio, x * level[row, 0]


class ToyPeak(Node):
    """Divide a signal by its largest absolute value, for which the node waits for the whole signal. Silence stays."""

    x = Input(Audio)
    y = Output(Audio)

    def lookahead(self, x: Audio) -> float:
        return float("inf")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x / max(np.abs(x).max(), np.finfo(x.dtype).tiny)


class ToyNoise(Node):
    """Make Gaussian noise, with the standard deviation 1, of the same length as the input."""

    like = Input(Audio)
    y = Output(Audio)

    seed: int = Field(0, ge=0, description="seed")

    def start(self, like: Audio) -> State:
        return generator(self.seed)

    def step(self, draw: np.random.Generator, like: Array) -> tuple[State, Array]:
        return draw, draw.standard_normal(len(like)).astype(like.dtype)


class ToyFailing(Node):
    """Return the input; raise ZeroDivisionError if a sample is beyond +-1000."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if np.abs(x).max() > 1000:
            raise ZeroDivisionError("too loud")
        return state, x


class ToySized(Node):
    """Return the rows unchanged.

    The parameter `width` decides the width of the rows that the node takes, at 100 Hz, as a file of weights does in
    other nodes.
    """

    x = Input(Frames, "level")
    y = Output(Frames)

    width: int = Field(3, ge=1, le=100, description="numbers in a row")

    def takes(self) -> dict[str, Stream]:
        return {"x": Frames(100, "level", self.width)}

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x
