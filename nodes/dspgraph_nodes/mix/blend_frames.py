"""Interpolation between two streams of frames."""

from typing import Literal

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def blend_frames(a: Array, b: Array, amount: float, path: Literal["line", "sphere"] = "line") -> Array:
    """Return the frames at a share `amount` of the path from a to b, in the dtype of a: see `BlendFrames`.

    a, b: [n, width], floats, or complex numbers if the path is the line.
    """
    if path == "line":
        w = a.dtype.type(amount)
        blended: Array = (a.dtype.type(1) - w) * a + w * b
        return blended
    one, two = _sphere_weights(a.astype(np.float64), b.astype(np.float64), amount)
    mixed: Array = one * a + two * b
    return mixed.astype(a.dtype)


def _sphere_weights(a: Array, b: Array, amount: float) -> tuple[Array, Array]:
    """Return the weights of a and of b in the frames at a share `amount` of the path along the sphere, [n, 1] each.

    a, b: [n, width] float64.
    """
    from dspgraph_nodes._kernels.maths.elementary import angle, sin

    size = np.sqrt((a * a).sum(1, keepdims=True) * (b * b).sum(1, keepdims=True))
    cosine = np.clip((a * b).sum(1, keepdims=True) / np.where(size, size, 1), -1, 1)
    w = angle(cosine + 1j * np.sqrt(1 - cosine * cosine))
    sine = sin(w)
    straight = (sine < 1e-6) | (size == 0)
    below = np.where(straight, 1, sine)
    one, two = sin((1 - amount) * w) / below, sin(amount * w) / below
    return np.where(straight, 1 - amount, one), np.where(straight, amount, two)


class BlendFrames(Node):
    """Interpolate between two streams of frames, by the share `amount` of the way from a to b.

        line:      y[n] = (1 - amount) * a[n] + amount * b[n]
        sphere:    y[n] = (sin((1 - amount) * w) * a[n] + sin(amount * w) * b[n]) / sin(w)

    w is the angle between the vectors a[n] and b[n]. Where sin(w) < 1e-6, or where a vector is 0, the path along the
    sphere is the line. The sphere is for real frames only.

    If a and b are encodings of two sounds by `wavenet_encoder`, y on the line is the encoding of a sound between them.
    Latent vectors of `gansynth` are blended on the sphere, so that the norm of y[n] is about that of the vectors with
    which the network was trained. Both streams have the same rate, kind and width. With an amount below 0 or above 1, y
    lies beyond a or b.

    Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    arXiv:1704.01279; K. Shoemake, Animating Rotation with Quaternion Curves, SIGGRAPH 1985.
    """

    a = Input(Frames)
    b = Input(Frames)
    y = Output(Frames)

    amount: float = Field(0.5, ge=-10, le=10, description="0: the frames of a; 1: the frames of b")
    path: Literal["line", "sphere"] = Field("line", description="path from a to b")

    def streams(self, a: Frames, b: Frames) -> tuple[Frames]:
        if a != b:
            raise ParameterError(
                f"blend_frames takes two streams of one rate, kind, width and dtype; found {a} in {a.dtype} and {b} in "
                f"{b.dtype}: compute both in the same way"
            )
        if self.path == "sphere" and a.dtype.kind == "c":
            raise ParameterError(f"blend_frames goes along a sphere of real numbers only; found {a}: set path to line")
        return (a,)

    def step(self, state: State, a: Array, b: Array) -> tuple[State, Array]:
        return state, blend_frames(a, b, self.amount, self.path)
