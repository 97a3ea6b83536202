"""Delay."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def delay(x: Array, held: Array) -> tuple[Array, Array]:
    """Return the first len(x) items of `held` followed by x, and the remaining items, which are held next."""
    joined = np.concatenate((held, x))
    return joined[: len(x)], joined[len(x) :]


class Delay(Node):
    """Delay audio by a number of samples: y[n] = x[n - samples], zeros first. The length stays the same."""

    x = Input(Audio)
    y = Output(Audio)

    samples: int = Field(ge=0, description="samples of delay")

    def start(self, x: Audio) -> State:
        return np.zeros((self.samples, *x.item_shape), x.dtype)

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        y, held = delay(x, held)
        return held, y
