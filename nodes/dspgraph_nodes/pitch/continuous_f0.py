"""Continuous pitch."""

import math
from dataclasses import dataclass
from fractions import Fraction

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

    Statistical models are trained on these two streams. Without any voiced frame log_f0 is the log of `default`.

    An unvoiced segment can have any length, so that the node needs the whole signal. With `reach`, it waits only for
    `reach` seconds, and the result is the same in unvoiced segments that are not longer than this. In a longer segment
    log_f0 keeps the last pitch (before the first voiced frame: the default), and in the last `reach` seconds of the
    segment it moves linearly to the next pitch.

    Source: K. Yu and S. Young, Continuous F0 Modeling for HMM Based Statistical Parametric Speech Synthesis, IEEE
    Transactions on Audio, Speech, and Language Processing 19(5), 2011.
    """

    f0 = Input(Frames, "f0")
    log_f0 = Output(Frames, "log_f0")
    voicing = Output(Frames, "voicing")

    default: float = Field(100.0, gt=0, description="pitch of a signal without any voiced frame, Hz")
    reach: float | None = Field(
        None, gt=0, le=60, description="longest line through an unvoiced segment, s; null: of any length"
    )

    def streams(self, f0: Frames) -> tuple[Frames, Frames]:
        if f0.width != 1:
            raise ParameterError(f"continuous_f0 takes one pitch per frame; found {f0}")
        return f0.like(kind="log_f0"), f0.like(kind="voicing")

    def lookahead(self, f0: Frames) -> Fraction | float:
        return math.inf if self.reach is None else self._rows(f0) / f0.rate

    def start(self, f0: Frames) -> State:
        return None if self.reach is None else _Lines(self._rows(f0), self.default, f0.empty()[:, 0])

    def step(self, state: State, f0: Array) -> tuple[State, Array, Array]:
        log_f0, voicing = continuous_f0(f0[:, 0], self.default) if state is None else state.push(f0[:, 0])
        return state, log_f0[:, None], voicing[:, None]

    def flush(self, state: State) -> tuple[Array, ...]:
        if state is None:
            return ()
        log_f0, voicing = state.push(state.held[:0], end=True)
        return log_f0[:, None], voicing[:, None]

    def _rows(self, f0: Frames) -> int:
        return max(1, round((self.reach or 0) * f0.rate))


@dataclass
class _Lines:
    """The state of a `ContinuousF0` with a `reach`.

    reach: the parameter `reach` in frames; default: Hz; held: the waiting pitches, [n] Hz, whose results were not
    returned yet; begin: the number of the frame held[0]; last: (number, log pitch) of the last voiced frame whose
    result was returned, None if there was none.
    """

    reach: int
    default: float
    held: Array
    begin: int = 0
    last: tuple[int, float] | None = None

    def push(self, f0: Array, end: bool = False) -> tuple[Array, Array]:
        """Take pitches f0 [n], Hz; return log_f0 [m] and voicing [m] of the waiting rows that are now determined.

        end: whether the signal ends after these rows; then all waiting rows are returned.
        """
        from dspgraph_nodes._kernels.maths.elementary import log

        self.held = np.concatenate((self.held, f0))
        n = len(self.held) if end else max(0, len(self.held) - self.reach)
        at = np.flatnonzero(self.held > 0)
        pitch = log(self.held[at].astype(np.float64))
        found = np.empty(n)
        for k, nearest in enumerate(np.searchsorted(at, np.arange(n))):
            ahead = int(at[nearest]) - k if nearest < len(at) else self.reach + 1
            if not ahead:
                self.last = self.begin + k, float(pitch[nearest])
            found[k] = self._between(self.begin + k, ahead, float(pitch[nearest]) if ahead <= self.reach else 0.0)
        given, self.held, self.begin = self.held[:n], self.held[n:].copy(), self.begin + n
        dtype = np.result_type(f0, np.float32)
        return found.astype(dtype), (given > 0).astype(dtype)

    def _between(self, k: int, ahead: int, pitch: float) -> float:
        """Return the log pitch of frame k by the rules of `ContinuousF0` with a `reach`.

        k: the number of the frame in the signal; ahead: frames from k to the next voiced frame, 0 if k is voiced;
        pitch: the log pitch of that voiced frame. If none of the next `reach` frames is voiced, ahead is any number
        above `reach`, and pitch is not used: the last log pitch is kept, before the first voiced frame the default.
        """
        if self.last is None and k + ahead <= self.reach:
            return pitch
        before, kept = self.last or (-1, self._default())
        if ahead > self.reach:
            return kept
        begin = max(before, k + ahead - self.reach - 1)
        return (pitch - kept) / (k + ahead - begin) * (k - begin) + kept if ahead else pitch

    def _default(self) -> float:
        from dspgraph_nodes._kernels.maths.elementary import log

        return float(log(np.array([self.default], np.float64))[0])
