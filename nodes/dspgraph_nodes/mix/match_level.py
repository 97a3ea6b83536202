"""Matching of levels."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State, require_alike, require_mono
from dspgraph_nodes._kernels.signal.framing import FrameBuffer, Framing
from dspgraph_nodes._kernels.signal.windows import window_values

_SILENCE = 1e-14  # -140 dB: added to every power, so that the noise floor of a vocoder is not taken for a signal


def gains(x: Array, like: Array, most: float) -> Array:
    """Return the gain of each frame, [n] float64, that gives the frame of x the power of the frame of `like`.

    x, like: [n, length]; their power is weighted by a Hann window and raised a little, as in `MatchLevel`. most: a gain
    is limited to 1 / most .. most.
    """
    from dspgraph_nodes._kernels.signal.level import windowed_power

    window = window_values("hann", "none", x.shape[1], np.dtype(np.float64))
    silence = _SILENCE * window.sum()
    found, wanted = (windowed_power(frames.astype(np.float64), window) + silence for frames in (x, like))
    gain: Array = np.clip(np.sqrt(wanted / found), 1 / most, most)
    return gain


@dataclass
class MatchState:
    """The state of level matching.

    x, like: the samples of both signals that later frames need. waiting: the samples of x whose gain is not known yet.
    gain: the gain of the last frame; None before the first frame.
    """

    waiting: Array  # samples of x whose gain is not known yet
    x: FrameBuffer
    like: FrameBuffer
    gain: float | None = None  # gain at the start of the next span; None before the first gain is known


class MatchLevel(Node):
    """Scale a signal so that its short-time power follows that of another signal.

        y[n] = g[n] * x[n],    g_k = sqrt(P_like[k] / P_x[k]),    P_s[k] = sum_i w[i] * s[k * hop - length / 2 + i]**2

    w is a Hann window of `seconds`, and hop a quarter of its length. After sample k * hop - 1, g moves linearly from
    g_k and reaches g_(k+1) at sample (k + 1) * hop - 1; after the last frame it stays as it is. To both powers 1e-14 *
    (sum of w) is added, so that the gain is 1 where both signals are silent.

    A vocoder needs this because the power of the spectral envelope is not always that of the speech. If the envelope is
    a narrow peak, such as that of a pure tone, a pulse train whose harmonic meets the peak comes out up to 10 dB too
    loud, and a pulse train whose harmonics miss the peak comes out too soft. The window is long, because the power of
    noise in a short window fluctuates: matching with a window of 40 ms moves the spectral envelope of a whisper away
    from that of the speech by 0.4 dB, and with 240 ms by 0.1 dB.

    Source: T. E. Tremain, The Government Standard Linear Predictive Coding Algorithm: LPC-10, Speech Technology, 1982,
    whose decoder scales every pitch period to the RMS of the speech.
    """

    x = Input(Audio)
    like = Input(Audio)
    y = Output(Audio)

    seconds: float = Field(0.24, gt=0.0, le=10.0, description="length of the window, s")
    most: float = Field(10.0, ge=1.0, le=1e6, description="highest gain; the lowest is 1 / most")

    def streams(self, x: Audio, like: Audio) -> tuple[Audio]:
        require_mono(x, self)
        require_alike({"x": x, "like": like}, self)
        return (x,)

    def lookahead(self, x: Audio, like: Audio) -> Fraction:
        cut = self._cut(x)
        return (cut.hop + cut.length // 2 - 1) / x.rate

    def start(self, x: Audio, like: Audio) -> State:
        cut = self._cut(x)
        return cut, MatchState(x.empty(), cut.start(x.dtype), cut.start(x.dtype))

    def step(self, state: State, x: Array, like: Array) -> tuple[State, Array]:
        cut, held = state
        held.waiting = np.concatenate((held.waiting, x))
        return state, self._scaled(cut, held, cut.step(held.x, x), cut.step(held.like, like))

    def flush(self, state: State) -> tuple[Array]:
        cut, held = state
        y = self._scaled(cut, held, cut.flush(held.x), cut.flush(held.like))
        last = 1.0 if held.gain is None else held.gain  # in the last span the gain stays as it is
        return (np.concatenate((y, (held.waiting * last).astype(y.dtype))),)

    def _scaled(self, cut: Framing, held: MatchState, x: Array, like: Array) -> Array:
        """Return those waiting samples of x whose gain is known after these frames, multiplied by the gain.

        cut: the framing of both signals. x, like: the next frames of both signals, [n, length] each. held: the state,
        updated in place.
        """
        known = gains(x, like, self.most)
        if held.gain is not None:
            known = np.concatenate(([held.gain], known))
        if not len(known):
            return held.waiting[:0]
        ramp = np.arange(1, cut.hop + 1) / cut.hop
        gain = (known[:-1, None] + np.diff(known)[:, None] * ramp).ravel()
        y, held.waiting, held.gain = held.waiting[: len(gain)], held.waiting[len(gain) :], float(known[-1])
        return (y * gain).astype(y.dtype)

    def _cut(self, x: Audio) -> Framing:
        hop = max(1, round(self.seconds * x.rate / 4))
        return Framing(4 * hop, hop, -2 * hop)
