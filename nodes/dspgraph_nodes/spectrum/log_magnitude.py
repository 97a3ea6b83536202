"""Log magnitude."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating


def log_magnitude(magnitude: Array, floor: float = 0.0) -> Array:
    """Return ln(max(|X|, floor)), [n, bins], natural logarithm, in the dtype of the magnitudes (float32 for int16).

    magnitude: |X|, [n, bins]; floor: a floor below finfo(dtype).tiny is replaced by finfo(dtype).tiny.
    """
    from dspgraph_nodes._kernels.maths.elementary import log

    magnitude = floating(magnitude)
    least = np.maximum(np.finfo(magnitude.dtype).tiny, magnitude.dtype.type(floor))
    return log(np.maximum(magnitude, least))


_KINDS = {
    "magnitude": "log_magnitude",
    "constant_q_magnitude": "constant_q_log_magnitude",
    "mel": "log_mel",
}
"""Kind of the output, by the kind of the input."""


class LogMagnitude(Node):
    """Compute the natural logarithm of magnitudes or mel bands: ln(max(|X|, floor)).

    The floor keeps silence finite. By default it is the smallest normal number of the dtype: 1.2e-38 in float32, with
    logarithm -87.3; 2.2e-308 in float64, with logarithm -708.4.

    Source: NumPy reference, `numpy.finfo` (tiny).
    """

    magnitude = Input(Frames, *_KINDS)
    log_magnitude = Output(Frames, *_KINDS.values())

    floor: float | None = Field(None, gt=0, description="smallest magnitude; by default the smallest normal number")

    def streams(self, magnitude: Frames) -> tuple[Frames]:
        return (magnitude.like(kind=_KINDS[magnitude.kind]),)

    def step(self, state: State, magnitude: Array) -> tuple[State, Array]:
        return state, log_magnitude(magnitude, self.floor or 0.0)
