"""Comb filters."""

from dspgraph import Array, Audio, Field, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.limits import MOST_DELAY


def comb(x: Array, samples: int, forward: float = 0.0, back: float = 0.0) -> Array:
    """Return y[n] = x[n] + forward * x[n - samples] + back * y[n - samples], with x = y = 0 before the signal.

    x: [n] or [n, channels]; samples: at least 1. The result has the shape and dtype of x (float32 for int16).
    """
    from dspgraph_nodes._kernels.signal.combs import comb_filter, comb_start

    x = floating(x)
    return comb_filter(x, forward, back, comb_start(samples, x.shape[1:], x.dtype))


class Comb(Node):
    """Add delayed copies of the input and of the output: a comb filter, with peaks or notches rate / samples Hz apart.

        y[n] = x[n] + forward * x[n - samples] + back * y[n - samples]

    Source: J. O. Smith, Physical Audio Signal Processing, W3K Publishing, 2010 (chapter "Comb Filters").
    """

    x = Input(Audio)
    y = Output(Audio)

    samples: int = Field(ge=1, le=MOST_DELAY, description="samples of delay")
    forward: float = Field(0.0, ge=-1e3, le=1e3, description="factor of the delayed input")
    back: float = Field(0.0, gt=-1, lt=1, description="factor of the delayed output")

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.combs import comb_start

        return comb_start(self.samples, x.item_shape, x.dtype)

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.combs import comb_filter

        return held, comb_filter(x, self.forward, self.back, held)
