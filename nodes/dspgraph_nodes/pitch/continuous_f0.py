"""Pitch without gaps."""

import math

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def continuous_f0(f0: Array, default: float) -> tuple[Array, Array]:
    """Log pitch through unvoiced stretches on straight lines, and where there is voice.

    f0: [n], Hz, voiced where above 0. Returns log_f0 [n] (natural logarithm of hertz) and voicing [n] (0 or 1), both in
    the dtype of f0 (float32 of int16). Before the first voiced frame and after the last log_f0 stays as it is there;
    without any voice it is log(default).
    """
    from dspgraph_nodes._kernels.maths.elementary import log

    voiced = f0 > 0
    at = np.flatnonzero(voiced)
    if len(at):
        log_f0 = np.interp(np.arange(len(f0)), at, log(f0[at].astype(np.float64)))
    else:
        log_f0 = np.full(len(f0), log(np.array([default], np.float64))[0])
    dtype = np.result_type(f0, np.float32)
    return log_f0.astype(dtype), voiced.astype(dtype)


class ContinuousF0(Node):
    """Log pitch in every frame, and whether it was voiced: the two streams statistical models are trained on.

        log_f0[k] = ln f0[k] where f0[k] > 0, on a straight line between voiced frames, constant outside them
        voicing[k] = 1 where f0[k] > 0, else 0

    A signal without any voice has the log of `default` throughout. It wants the whole signal: a gap may end anywhere.

    Source: K. Yu and S. Young, Continuous F0 Modeling for HMM Based Statistical Parametric Speech Synthesis, IEEE
    Transactions on Audio, Speech, and Language Processing 19(5), 2011.
    """

    f0 = Input(Frames, "f0")
    log_f0 = Output(Frames, "log_f0")
    voicing = Output(Frames, "voicing")

    default: float = Field(100.0, gt=0, description="pitch of a signal without any voice, Hz")

    def streams(self, f0: Frames) -> tuple[Frames, Frames]:
        if f0.width != 1:
            raise ParameterError(f"continuous_f0 takes one pitch per frame; found {f0}")
        return f0.like(kind="log_f0"), f0.like(kind="voicing")

    def lookahead(self, f0: Frames) -> float:
        return math.inf

    def step(self, state: State, f0: Array) -> tuple[State, Array, Array]:
        log_f0, voicing = continuous_f0(f0[:, 0], self.default)
        return state, log_f0[:, None], voicing[:, None]
