"""Frames between two streams of frames."""

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def blend_frames(a: Array, b: Array, amount: float) -> Array:
    """Return (1 - amount) * a + amount * b, in the dtype of a. a, b: [n, width]."""
    w = a.dtype.type(amount)
    blended: Array = (a.dtype.type(1) - w) * a + w * b
    return blended


class BlendFrames(Node):
    """Compute the frames between two streams of frames, number by number.

        y[n] = (1 - amount) * a[n] + amount * b[n]

    If a and b are encodings of two sounds by `wavenet_encoder`, y is the encoding of a sound between them. Both streams
    have the same rate, kind and width. With an amount below 0 or above 1, y lies beyond a or b.

    Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    arXiv:1704.01279.
    """

    a = Input(Frames)
    b = Input(Frames)
    y = Output(Frames)

    amount: float = Field(0.5, ge=-10, le=10, description="0: the frames of a; 1: the frames of b")

    def streams(self, a: Frames, b: Frames) -> tuple[Frames]:
        if a != b:
            raise ParameterError(
                f"blend_frames takes two streams of one rate, kind, width and dtype; found {a} in {a.dtype} and {b} in "
                f"{b.dtype}: compute both in the same way"
            )
        return (a,)

    def step(self, state: State, a: Array, b: Array) -> tuple[State, Array]:
        return state, blend_frames(a, b, self.amount)
