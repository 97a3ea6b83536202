"""Gain that follows a control."""

from dspgraph import Array, Audio, Frames, Input, Node, Output, ParameterError, State


class Fade(Node):
    """Scale audio by a control that can move while the graph runs: y[n] = g[n] * x[n].

    During the span of a control item, g moves linearly from the value of the item before it to the value of this item.
    During the first span g is constant. So a control that jumps makes no click: the jump becomes a ramp of one span,
    10 ms at 100 items per second. Where the control stays at 1, y is x.

    With one `fade` before each input of a `mix`, every signal of the sum has a gain of its own; a signal whose gain is
    0 is disconnected.
    """

    x = Input(Audio)
    gain = Input(Frames, "control")
    y = Output(Audio)

    def streams(self, x: Audio, gain: Frames) -> tuple[Audio]:
        if gain.width != 1:
            raise ParameterError(f"fade takes a control with one number per item; found {gain}")
        return (x,)

    def start(self, x: Audio, gain: Frames) -> State:
        from dspgraph_nodes._kernels.signal.ramps import start_ramp

        return start_ramp(x.rate, gain.rate)

    def step(self, state: State, x: Array, gain: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.ramps import ramp

        g = ramp(state, gain[:, 0], len(x)).astype(x.dtype)
        return state, x * g.reshape(-1, *[1] * (x.ndim - 1))
