"""Scaling of pitch."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating


def f0_scale(f0: Array, ratio: float, spread: float = 1.0, offset: float = 0.0) -> Array:
    """Return ratio * exp(spread * ln f0 + offset) where f0 > 0, else f0, in the dtype of f0 (float32 for int16).

    f0: Hz, of any shape.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log

    f0 = floating(f0)
    voiced = np.where(f0 > 0, f0, 1).astype(np.float64)
    if spread != 1 or offset:
        voiced = exp(spread * log(voiced) + offset)
    return np.where(f0 > 0, (ratio * voiced).astype(f0.dtype), f0)


class F0Scale(Node):
    """Raise or lower the pitch, and give it the mean and the range of another speaker.

        f0' = ratio * 2**(semitones / 12) * exp(s * (ln f0 - source_mean) + target_mean)
        s = target_deviation / source_deviation

    Unvoiced frames, whose f0 is 0, do not change. With the default means and deviations only `ratio` and `semitones`
    have an effect.

    Source: sprocket (K. Kobayashi and T. Toda), `F0statistics.convert` (mean and deviation of another speaker).
    """

    f0 = Input(Frames, "f0")
    scaled = Output(Frames, "f0")

    semitones: float = Field(0.0, ge=-120, le=120, description="interval, semitones")
    ratio: float = Field(1.0, gt=0, le=1e3, description="factor of the pitch")
    source_mean: float = Field(0.0, ge=-20, le=20, description="mean of ln f0 (f0 in Hz) of the speaker")
    source_deviation: float = Field(1.0, gt=0, le=1e3, description="standard deviation of ln f0 of the speaker")
    target_mean: float = Field(0.0, ge=-20, le=20, description="mean of ln f0 of the other speaker")
    target_deviation: float = Field(1.0, ge=0, le=1e3, description="standard deviation of ln f0 of the other speaker")

    def start(self, f0: Frames) -> State:
        from dspgraph_nodes._kernels.maths.elementary import LN_2, exp

        ratio = self.ratio * float(exp(np.array(LN_2 * self.semitones / 12)))
        spread = self.target_deviation / self.source_deviation
        return ratio, spread, self.target_mean - spread * self.source_mean

    def step(self, state: State, f0: Array) -> tuple[State, Array]:
        return state, f0_scale(f0, *state)
