"""Crossfade between two signals, moved by a control, to switch an effect on and off."""

import numpy as np

from dspgraph import Array, Audio, Frames, Input, Node, Output, ParameterError, State, require_alike


def blend(dry: Array, wet: Array, position: Array) -> Array:
    """Return dry + position * (wet - dry), in the shape of dry and wet.

    dry, wet: [n] or [n, channels], floats; position: [n], from 0 to 1. Where the position is 0, the result is exactly
    dry; where the position is 1, the result is exactly wet.
    """
    w = position.astype(dry.dtype).reshape(-1, *[1] * (dry.ndim - 1))
    between = dry + w * (wet - dry)
    return np.where(w == 0, dry, np.where(w == 1, wet, between))


class Blend(Node):
    """Switch an effect on and off by a control, without a click: y[n] = dry[n] + w[n] * (wet[n] - dry[n]).

    During the span of a control item, w moves linearly from the value of the item before it to the value of this item.
    During the first span w is constant. Where w is 0, y is exactly dry; where w is 1, y is exactly wet. The effect goes
    on running while it is off, so its echoes and filters are as if it had never been off.

    If the tail of an effect, such as an echo, should still be heard after the effect is switched off, do not use this
    node: control the input of the effect by a `fade`, and add its output to the dry signal by a `mix`.
    """

    dry = Input(Audio)
    wet = Input(Audio)
    position = Input(Frames, "control")
    y = Output(Audio)

    def streams(self, dry: Audio, wet: Audio, position: Frames) -> tuple[Audio]:
        require_alike({"dry": dry, "wet": wet}, self)
        if position.width != 1:
            raise ParameterError(f"blend takes a control with one number per item; found {position}")
        return (dry,)

    def start(self, dry: Audio, wet: Audio, position: Frames) -> State:
        from dspgraph_nodes._kernels.signal.ramps import start_ramp

        return start_ramp(dry.rate, position.rate)

    def step(self, state: State, dry: Array, wet: Array, position: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.ramps import ramp

        return state, blend(dry, wet, ramp(state, position[:, 0], len(dry)))
