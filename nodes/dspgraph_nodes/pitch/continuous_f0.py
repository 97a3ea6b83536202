"""Continuous pitch."""

import math

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State


def continuous_f0(f0: Array, default: float) -> tuple[Array, Array]:
    """Return (log_f0, voicing): the log pitch, interpolated through unvoiced segments, and which frames are voiced.

    f0: [n], Hz, voiced where above 0; default: pitch of a signal without any voiced frame, Hz. Returns log_f0 [n], the
    natural logarithm of the pitch in Hz, and voicing [n], 0 or 1, both in the dtype of f0 (float32 for int16). Before
    the first voiced frame and after the last one, log_f0 is constant. Without any voiced frame log_f0 is log(default).
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
    """Interpolate log pitch through unvoiced frames, and output voicing as a second stream.

        log_f0[k] = ln(f0[k]) where f0[k] > 0; on a straight line between two voiced frames;
                              constant before the first voiced frame and after the last voiced frame
        voicing[k] = 1 where f0[k] > 0, else 0

    Statistical models are trained on these two streams. Without any voiced frame log_f0 is the log of `default`. The
    node needs the whole signal, because an unvoiced segment can have any length.

    Source: K. Yu and S. Young, Continuous F0 Modeling for HMM Based Statistical Parametric Speech Synthesis, IEEE
    Transactions on Audio, Speech, and Language Processing 19(5), 2011.
    """

    f0 = Input(Frames, "f0")
    log_f0 = Output(Frames, "log_f0")
    voicing = Output(Frames, "voicing")

    default: float = Field(100.0, gt=0, description="pitch of a signal without any voiced frame, Hz")

    def streams(self, f0: Frames) -> tuple[Frames, Frames]:
        if f0.width != 1:
            raise ParameterError(f"continuous_f0 takes one pitch per frame; found {f0}")
        return f0.like(kind="log_f0"), f0.like(kind="voicing")

    def lookahead(self, f0: Frames) -> float:
        return math.inf

    def step(self, state: State, f0: Array) -> tuple[State, Array, Array]:
        log_f0, voicing = continuous_f0(f0[:, 0], self.default)
        return state, log_f0[:, None], voicing[:, None]
