"""Echo."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.limits import MOST_DELAY


def echo(x: Array, samples: int, level: float, feedback: float) -> Array:
    """Return x[n] + level * e[n], with the echoes e[n] = x[n - samples] + feedback * e[n - samples].

    x: [n] or [n, channels]; samples: at least 1. The result has the shape and dtype of x (float32 for int16).
    """
    from dspgraph_nodes._kernels.signal.combs import comb_filter, comb_start

    x = floating(x)
    late = np.concatenate((np.zeros((samples, *x.shape[1:]), x.dtype), x))[: len(x)]
    echoes = comb_filter(late, 0.0, feedback, comb_start(samples, x.shape[1:], x.dtype))
    y: Array = x + x.dtype.type(level) * echoes
    return y


class Echo(Node):
    """Repeat the signal after a delay, and each repetition again after the same delay, multiplied by `feedback`.

        y[n] = x[n] + level * e[n],    e[n] = x[n - d] + feedback * e[n - d],    d = round(seconds * rate)

    Without a `tail` the output ends with the input.

    Source: J. O. Smith, Physical Audio Signal Processing, W3K Publishing, 2010 (chapter "Comb Filters").
    """

    x = Input(Audio)
    y = Output(Audio)

    seconds: float = Field(0.25, gt=0, le=60, description="time from one echo to the next, s")
    level: float = Field(0.5, ge=-10, le=10, description="factor of the first echo")
    feedback: float = Field(0.4, gt=-1, lt=1, description="factor of each echo relative to the echo before it")
    tail: float = Field(0.0, ge=0, le=60, description="time by which the output lasts longer than the input, s")

    def streams(self, x: Audio) -> tuple[Audio]:
        if not 1 <= self._samples(x) <= MOST_DELAY:
            raise ParameterError(
                f"echo.seconds is {self.seconds:g}, {self._samples(x)} samples of {x}; it must be 1 to {MOST_DELAY} "
                f"samples: take {1 / float(x.rate):.3g} to {min(60, MOST_DELAY / float(x.rate)):.3g} s"
            )
        return (x,)

    def extra(self, x: Audio) -> Fraction:
        return self._tail(x) / x.rate

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.combs import comb_start
        from dspgraph_nodes._kernels.signal.delay_lines import DelayLine

        samples = self._samples(x)
        held = DelayLine(np.zeros((samples, *x.item_shape), x.dtype))
        return held, comb_start(samples, x.item_shape, x.dtype), self._tail(x)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.combs import comb_filter

        held, comb, _ = state
        return state, x + x.dtype.type(self.level) * comb_filter(held.delayed(x), 0.0, self.feedback, comb)

    def flush(self, state: State) -> tuple[Array, ...]:
        past, tail = state[0].values, state[2]
        return (self.step(state, np.zeros((tail, *past.shape[1:]), past.dtype))[1],) if tail else ()

    def _samples(self, x: Audio) -> int:
        return round(self.seconds * float(x.rate))

    def _tail(self, x: Audio) -> int:
        return round(self.tail * float(x.rate))
