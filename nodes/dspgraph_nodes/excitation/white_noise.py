"""White noise."""

from typing import Any

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State, generator


def white_noise(draw: np.random.Generator, shape: tuple[int, ...], gain: float, dtype: Any = np.float64) -> Array:
    """Return Gaussian samples of mean 0 and standard deviation `gain`, in the given shape and dtype.

    They are drawn from `draw` in float64, then rounded to `dtype`.
    """
    return (gain * draw.standard_normal(shape)).astype(dtype, copy=False)


class WhiteNoise(Node):
    """Generate Gaussian noise with the length, rate and channels of another signal: an excitation for whispered speech.

        y[n] = gain * e[n],    e[n] independent, of mean 0 and variance 1

    The samples of `like` are not used. In float32 the samples are those of float64, rounded.
    """

    like = Input(Audio)
    y = Output(Audio)

    gain: float = Field(1.0, ge=0.0, le=1e6, description="standard deviation of the noise")
    seed: int = Field(0, ge=0, description="seed of the noise")

    def start(self, like: Audio) -> State:
        return generator(self.seed)

    def step(self, draw: State, like: Array) -> tuple[State, Array]:
        return draw, white_noise(draw, like.shape, self.gain, like.dtype)
