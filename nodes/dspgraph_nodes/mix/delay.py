"""Delay."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State
from dspgraph_nodes._kernels.limits import MOST_DELAY
from dspgraph_nodes._kernels.signal.delay_lines import DelayLine


def delay(x: Array, samples: int) -> Array:
    """Return x delayed by `samples` samples: zeros come first, and the end of x is cut off. x: [n] or [n, channels]."""
    return DelayLine(np.zeros((samples, *x.shape[1:]), x.dtype)).delayed(x)


class Delay(Node):
    """Delay audio by a number of samples: y[n] = x[n - samples], and 0 for n < samples.

    The output is as long as the input, so the last `samples` samples of the input are lost.
    """

    x = Input(Audio)
    y = Output(Audio)

    samples: int = Field(ge=0, le=MOST_DELAY, description="samples of delay")

    def start(self, x: Audio) -> State:
        return DelayLine(np.zeros((self.samples, *x.item_shape), x.dtype))

    def step(self, line: State, x: Array) -> tuple[State, Array]:
        return line, line.delayed(x)
