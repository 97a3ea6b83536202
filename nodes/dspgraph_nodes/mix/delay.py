"""Delay."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State
from dspgraph_nodes._kernels.limits import MOST_DELAY


def delay(x: Array, held: Array) -> tuple[Array, Array]:
    """Return the next len(x) output samples, and the samples to hold for the next call.

    x: the next input samples; held: earlier input samples that are still to be output, oldest first.
    """
    joined = np.concatenate((held, x))
    return joined[: len(x)], joined[len(x) :]


class Delay(Node):
    """Delay audio by a number of samples: y[n] = x[n - samples], and 0 for n < samples.

    The output is as long as the input, so the last `samples` samples of the input are lost.
    """

    x = Input(Audio)
    y = Output(Audio)

    samples: int = Field(ge=0, le=MOST_DELAY, description="samples of delay")

    def start(self, x: Audio) -> State:
        return np.zeros((self.samples, *x.item_shape), x.dtype)

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        y, held = delay(x, held)
        return held, y
