"""Magnitude from log magnitude."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating


def log_to_magnitude(log_magnitude: Array) -> Array:
    """Return exp(L), [n, bins], in the dtype of the logarithms (float32 for int16).

    log_magnitude: L, [n, bins], natural logarithms. A magnitude that is too large for the dtype is infinite.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp

    with np.errstate(over="ignore"):
        return exp(floating(log_magnitude))


_KINDS = {
    "log_magnitude": "magnitude",
    "constant_q_log_magnitude": "constant_q_magnitude",
    "log_mel": "mel",
}
"""Kind of the output, by the kind of the input."""


class LogToMagnitude(Node):
    """Compute magnitudes or mel bands from their natural logarithms: |X| = exp(L).

    This is the inverse of `log_magnitude`, except below its floor.

    Source: NumPy reference, `numpy.exp`.
    """

    log_magnitude = Input(Frames, *_KINDS)
    magnitude = Output(Frames, *_KINDS.values())

    def streams(self, log_magnitude: Frames) -> tuple[Frames]:
        return (log_magnitude.like(kind=_KINDS[log_magnitude.kind]),)

    def step(self, state: State, log_magnitude: Array) -> tuple[State, Array]:
        return state, log_to_magnitude(log_magnitude)
