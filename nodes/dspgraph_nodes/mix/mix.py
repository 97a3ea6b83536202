"""Sums of signals, and means of channels."""

from collections.abc import Sequence
from typing import Literal

from dspgraph import Array, Audio, Field, Input, Node, Output, State, require_alike


def mix(signals: Sequence[Array]) -> Array:
    """Return the sum of one or more arrays of the same shape, added from first to last, as a new array."""
    total = signals[0].copy()
    for signal in signals[1:]:
        total += signal
    return total


def mono(x: Array) -> Array:
    """Return the mean of the channels, [n]. x: [n, channels], floats, or [n], which is returned as it is."""
    return mix(list(x.T)) / x.dtype.type(x.shape[1]) if x.ndim == 2 else x


class Mix(Node):
    """Add signals in the order of the wires: y[n] = x_1[n] + x_2[n] + ...

    With `channels: mono` the output is the mean of the channels of this sum.
    """

    x = Input(Audio, many=True)
    y = Output(Audio)

    channels: Literal["keep", "mono"] = Field("keep", description="mono: average the channels of the sum")

    def streams(self, x: tuple[Audio, ...]) -> tuple[Audio]:
        require_alike({f"wire {k}": stream for k, stream in enumerate(x, start=1)}, self)
        return (x[0].like(channels=1) if self.channels == "mono" else x[0],)

    def step(self, state: State, x: tuple[Array, ...]) -> tuple[State, Array]:
        total = mix(x)
        return state, mono(total) if self.channels == "mono" else total
