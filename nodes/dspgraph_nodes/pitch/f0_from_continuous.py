"""Pitch from continuous log pitch and voicing."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating


def f0_from_continuous(log_f0: Array, voicing: Array, threshold: float = 0.5) -> Array:
    """Return exp(log_f0) where voicing >= threshold, else 0, in the dtype of log_f0 (float32 for int16).

    log_f0: natural logarithm of the pitch in Hz; voicing: from 0 to 1, in the shape of log_f0.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp

    log_f0 = floating(log_f0)
    return np.where(voicing >= threshold, exp(log_f0), log_f0.dtype.type(0))


class F0FromContinuous(Node):
    """Compute the pitch from continuous log pitch and voicing: the inverse of `continuous_f0`.

        f0[k] = exp(log_f0[k]) where voicing[k] >= threshold, else 0

    Source: K. Yu and S. Young, Continuous F0 Modeling for HMM Based Statistical Parametric Speech Synthesis, IEEE
    Transactions on Audio, Speech, and Language Processing 19(5), 2011.
    """

    log_f0 = Input(Frames, "log_f0")
    voicing = Input(Frames, "voicing")
    f0 = Output(Frames, "f0")

    threshold: float = Field(0.5, gt=0, le=1, description="least voicing of a voiced frame")

    def streams(self, log_f0: Frames, voicing: Frames) -> tuple[Frames]:
        if log_f0.width != 1 or voicing.width != 1:
            raise ParameterError(
                f"f0_from_continuous takes one pitch and one voicing per frame; found {log_f0} and {voicing}"
            )
        return (log_f0.like(kind="f0"),)

    def step(self, state: State, log_f0: Array, voicing: Array) -> tuple[State, Array]:
        return state, f0_from_continuous(log_f0, voicing, self.threshold)
