"""White noise."""

from typing import Any

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def white_noise(draw: np.random.Generator, shape: tuple[int, ...], gain: float, dtype: Any = np.float64) -> Array:
    """Gaussian samples of mean 0 and standard deviation `gain`, drawn in float64 and rounded to `dtype` at the end."""
    return (gain * draw.standard_normal(shape)).astype(dtype, copy=False)


class WhiteNoise(Node):
    """Gaussian noise as long, as fast and in as many channels as another signal: whispered excitation.

        y[n] = gain * e[n],    e[n] independent, of mean 0 and variance 1

    Nothing of `like` is heard. Sample n has the same noise whatever the precision.
    """

    like = Input(Audio)
    y = Output(Audio)

    gain: float = Field(1.0, ge=0.0, le=1e6, description="standard deviation of the noise")
    seed: int = Field(0, ge=0, description="another seed, another noise")

    def start(self, like: Audio) -> State:
        return np.random.Generator(np.random.Philox(key=self.seed))

    def step(self, draw: State, like: Array) -> tuple[State, Array]:
        return draw, white_noise(draw, like.shape, self.gain, like.dtype)
