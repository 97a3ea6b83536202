"""Silence before and after a signal."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


class Pad(Node):
    """Put silence before and after audio: the output lasts longer by `before` and `after`.

        y[n] = x[n - round(before * rate)], and 0 outside the signal

    Example: to add a signal to the longer output of `echo` with a tail, pad the signal by this tail.

    Source: NumPy reference, `numpy.pad`.
    """

    x = Input(Audio)
    y = Output(Audio)

    before: float = Field(0.0, ge=0, le=60, description="silence before the signal, s")
    after: float = Field(0.0, ge=0, le=60, description="silence after the signal, s")

    def extra(self, x: Audio) -> Fraction:
        return sum(self._samples(x)) / x.rate

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.delay_lines import DelayLine

        before, after = self._samples(x)
        return DelayLine(np.zeros((before, *x.item_shape), x.dtype)), after

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, state[0].delayed(x)

    def flush(self, state: State) -> tuple[Array]:
        held, after = state
        past = held.values
        return (np.concatenate((held.oldest(len(past)), np.zeros((after, *past.shape[1:]), past.dtype))),)

    def _samples(self, x: Audio) -> tuple[int, int]:
        return round(self.before * float(x.rate)), round(self.after * float(x.rate))
