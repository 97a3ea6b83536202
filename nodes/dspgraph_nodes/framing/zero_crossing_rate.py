"""Rate of zero crossings."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating


def zero_crossing_rate(frames: Array, threshold: float = 1e-10) -> Array:
    """Return the number of sign changes within every frame, divided by its length, [n, 1].

    frames: [n, length]; threshold: a sample of at most this magnitude counts as 0, which counts as positive. The result
    has the dtype of the frames (float32 for int16).
    """
    frames = floating(frames)
    negative = frames < -threshold
    changes = np.count_nonzero(negative[:, 1:] != negative[:, :-1], axis=1)
    rate: Array = (changes[:, None] / frames.shape[1]).astype(frames.dtype)
    return rate


class ZeroCrossingRate(Node):
    """Compute how often the sign changes in a frame, as a share of its samples: low for vowels, high for fricatives.

        y[n] = 1 / length * (number of i with (x[n, i] < -threshold) != (x[n, i - 1] < -threshold))

    Source: librosa 0.11 reference, `librosa.feature.zero_crossing_rate`; L. R. Rabiner and R. W. Schafer, Digital
    Processing of Speech Signals, Prentice Hall, 1978 (chapter 4).
    """

    frames = Input(Frames, "wave")
    rate = Output(Frames, "zero_crossing_rate")

    threshold: float = Field(1e-10, ge=0, description="largest magnitude of a sample that counts as 0")

    def streams(self, frames: Frames) -> tuple[Frames]:
        return (frames.like(kind="zero_crossing_rate", width=1),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, zero_crossing_rate(frames, self.threshold)
