"""Root mean square of frames."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State


def rms(frames: Array) -> Array:
    """Return sqrt(mean of x**2) of every frame, [n, 1], in the dtype of the frames (float32 for int16).

    frames: [n, length]; the sums are in float64, from the first sample to the last.
    """
    from dspgraph_nodes._kernels.signal.level import windowed_power

    power = windowed_power(frames, np.ones(frames.shape[1])) / frames.shape[1]
    level: Array = np.sqrt(power)[:, None].astype(np.result_type(frames, np.float32))
    return level


class Rms(Node):
    """Compute the root mean square of frames: the level of a signal over time.

        y[n] = sqrt(1 / length * sum_i x[n, i]**2)

    Frames from `frame` with a boxcar window give the level of the signal itself.

    Source: librosa 0.11 reference, `librosa.feature.rms`.
    """

    frames = Input(Frames, "wave")
    rms = Output(Frames, "rms")

    def streams(self, frames: Frames) -> tuple[Frames]:
        return (frames.like(kind="rms", width=1),)

    def step(self, state: State, frames: Array) -> tuple[State, Array]:
        return state, rms(frames)
