"""Limiter with lookahead."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def least_ahead(gain: Array, ahead: int) -> Array:
    """Return the minimum of gain[n] .. gain[n + ahead] for each n: [max(0, len(gain) - ahead)]."""
    if len(gain) <= ahead:
        return gain[:0]
    windows = np.lib.stride_tricks.sliding_window_view(gain, ahead + 1)
    least: Array = windows.min(axis=1)
    return least


class Limiter(Node):
    """Keep every sample below a ceiling, with a gain that falls smoothly before each peak.

        g[n] = min(1, ceiling / max over channels |x[n]|),    m[n] = min(g[n], ..., g[n + L])
        r[n] = m[n] if m[n] < r[n - 1], else c * r[n - 1] + (1 - c) * m[n],    c = e**(-1 / (release * rate))
        y[n] = x[n] * (r[n - L] + ... + r[n]) / (L + 1),    L = round(lookahead_seconds * rate)

    `ceiling` stands for its amplitude here. r[n - L] .. r[n] are all at most g[n], so their mean is at most g[n] too,
    and no sample exceeds the ceiling. Outside the signal g is 1. The first r is r[-L]; the r before it counts as 1. The
    node waits for L samples. The ceiling holds for samples: between two samples, the continuous signal can be higher.

    Source: Faust libraries, compressors.lib, `limiter_lad_mono` (a lookahead limiter).
    """

    x = Input(Audio)
    y = Output(Audio)

    ceiling: float = Field(-1.0, ge=-120, le=60, description="largest level of a sample, dB of full scale")
    lookahead_seconds: float = Field(0.002, ge=0, le=0.1, description="time in which the gain falls, s")
    release: float = Field(0.05, ge=0, le=10, description="time constant of a rising gain, s")

    def lookahead(self, x: Audio) -> Fraction:
        return self._ahead(x) / x.rate

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.ballistics import decay, factor

        ceiling = float(factor(np.array(self.ceiling)))
        ahead = self._ahead(x)
        return (ceiling, decay(self.release, float(x.rate)), ahead), x.empty(), np.ones(ahead), np.ones(0), 1.0

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.ballistics import peak_level

        ceiling = state[0][0]
        return self._limited(state, x, np.minimum(1, ceiling / np.maximum(peak_level(x).astype(np.float64), ceiling)))

    def flush(self, state: State) -> tuple[Array]:
        ahead, waiting = state[0][2], state[1]
        return (self._limited(state, waiting[:0], np.ones(ahead))[1],)

    def _limited(self, state: State, x: Array, gain: Array) -> tuple[State, Array]:
        """Return (new state, limited samples).

        A sample is returned when the L samples after it are known; until then it waits in the state. x: the next
        samples, none after the end of the signal; gain: [n], for each sample of x the largest gain, at most 1, with
        which it does not exceed the ceiling, or L ones after the end of the signal.
        """
        from dspgraph_nodes._kernels.signal.ballistics import follow

        (ceiling, release, ahead), waiting, ungiven, smoothed, before = state
        waiting, ungiven = np.concatenate((waiting, x)), np.concatenate((ungiven, gain))
        followed = follow(least_ahead(ungiven, ahead), release, 0.0, before)
        smoothed = np.concatenate((smoothed, followed))
        before = float(followed[-1]) if len(followed) else before
        count = max(0, len(smoothed) - ahead)
        mean = np.zeros(count)
        for k in range(ahead + 1):
            mean += smoothed[k : k + count]
        mean /= ahead + 1
        y = waiting[:count] * mean.reshape(-1, *[1] * (waiting.ndim - 1))
        top = waiting.dtype.type(ceiling)
        rest = waiting[count:].copy(), ungiven[len(followed) :].copy(), smoothed[count:].copy(), before
        return (state[0], *rest), np.clip(y, -top, top).astype(waiting.dtype)  # rounding can exceed the ceiling

    def _ahead(self, x: Audio) -> int:
        return round(self.lookahead_seconds * float(x.rate))
