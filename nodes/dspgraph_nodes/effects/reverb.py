"""Artificial reverberation."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State
from dspgraph_nodes._kernels.signal.combs import CombState, comb_filter, comb_start

_COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
_ALLPASSES = (556, 441, 341, 225)
_SPREAD = 23
"""Delays in samples at 44.1 kHz, and by how much they are longer in each further channel: Freeverb's tuning."""

_INPUT, _OUTPUT, _ALLPASS = 0.03, 3.0, 0.5


@dataclass
class ReverbState:
    """The state of one channel of the reverberation.

    combs: for each comb, the values in its delay line and the last output of its lowpass; allpasses: the state of each
    all-pass.
    """

    combs: list[tuple[Array, float]]  # the last values in the delay line, and the last output of the lowpass
    allpasses: list[CombState]


class Reverb(Node):
    """Add the reverberation of an imaginary room by Freeverb: combs with lowpasses, followed by all-passes.

        u[n] = 0.03 * (mean of the channels of x[n])
        eight combs side by side:  o[n] = w[n - d],  f[n] = (1 - q) * o[n] + q * f[n - 1],  w[n] = u[n] + b * f[n]
        b = 0.7 + 0.28 * room,    q = 0.4 * damp;    v[n] is the sum of the eight o[n]
        four times, one after the other:  z[n] = p[n - d] - v[n],  p[n] = v[n] + p[n - d] / 2;    v = z
        y[n] = dry * x[n] + wet * 3 * v[n]

    The delays d of the first channel are Freeverb's, multiplied by rate / 44100 and rounded. In each further channel
    Freeverb's delays are first made longer, by 23 more than in the channel before, so that the channels differ. Without
    a `tail` the output ends with the input. `convolve` gives the reverberation of a real room.

    Source: J. O. Smith, Physical Audio Signal Processing, W3K Publishing, 2010 (section "Freeverb", the program by
    Jezar at Dreampoint, 2000).
    """

    x = Input(Audio)
    y = Output(Audio)

    room: float = Field(0.5, ge=0, le=1, description="size of the room: how slowly the reverberation decays")
    damp: float = Field(0.5, ge=0, le=1, description="how much faster high frequencies decay")
    wet: float = Field(0.33, ge=0, le=100, description="factor of the reverberation")
    dry: float = Field(1.0, ge=0, le=100, description="factor of the signal itself")
    tail: float = Field(0.0, ge=0, le=60, description="time by which the output lasts longer than the input, s")

    def extra(self, x: Audio) -> Fraction:
        return round(self.tail * float(x.rate)) / x.rate

    def start(self, x: Audio) -> State:
        def samples(length: int, channel: int) -> int:
            return max(1, round((length + _SPREAD * channel) * float(x.rate) / 44100))

        dtype = np.dtype(np.float64)
        rooms = [
            ReverbState(
                [(np.zeros(samples(d, channel)), 0.0) for d in _COMBS],
                [comb_start(samples(d, channel), (), dtype) for d in _ALLPASSES],
            )
            for channel in range(x.channels)
        ]
        return rooms, np.zeros((round(self.tail * float(x.rate)), *x.item_shape), x.dtype)

    def flush(self, state: State) -> tuple[Array, ...]:
        silence = state[1]
        return (self.step(state, silence)[1],) if len(silence) else ()

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        rooms = state[0]
        channels = x.reshape(len(x), -1).astype(np.float64)
        total = np.zeros(len(x))
        for channel in channels.T:
            total += channel
        u = total * (_INPUT / channels.shape[1])
        wet = np.stack([self._reverberated(u, held) for held in rooms], axis=1)
        return state, (self.dry * channels + (self.wet * _OUTPUT) * wet).reshape(x.shape).astype(x.dtype)

    def _reverberated(self, u: Array, held: ReverbState) -> Array:
        """Return the reverberation v of one channel, [n].

        u: [n], its input; held: the state of the channel, updated in place.
        """
        v = np.zeros(len(u))
        for k, (line, before) in enumerate(held.combs):
            out, *held.combs[k : k + 1] = lowpass_comb(u, 0.7 + 0.28 * self.room, 0.4 * self.damp, line, before)
            v += out
        for comb in held.allpasses:
            late = comb.y.oldest(len(v))
            p = comb_filter(v, 0.0, _ALLPASS, comb)
            v = np.concatenate((late, p))[: len(v)] - v
        return v


def lowpass_comb(
    u: Array, feedback: float, damp: float, line: Array, before: float
) -> tuple[Array, tuple[Array, float]]:
    """Return o[n] = w[n - d], with w[n] = u[n] + feedback * f[n] and f[n] = (1 - damp) * o[n] + damp * f[n - 1].

    u: [n], float64; line: the last d values of w, oldest first; before: f[-1]. The second result is (line, before) for
    the next call.
    """
    from dspgraph_nodes._kernels.signal.iir import one_pole

    d = len(line)
    w = np.concatenate((line, u))
    for at in range(d, len(w), d):
        late = w[at - d : min(at, len(w) - d)]
        f = np.empty((len(late) + 1, 1))
        f[0] = before
        one_pole(((1 - damp) * late)[:, None], damp, f)
        w[at : at + d] += feedback * f[1:, 0]
        before = float(f[-1, 0])
    return w[: len(u)], (w[len(u) :].copy(), before)
