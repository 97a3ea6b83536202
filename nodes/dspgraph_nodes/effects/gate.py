"""Noise gate."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def recently_loud(loud: Array, hold: int, quiet: int) -> tuple[Array, int]:
    """Return for every sample whether this sample, or one of the `hold` samples before it, is loud: [n], bool.

    loud: [n], bool, n >= 1; quiet: the number of samples between the last loud sample and this block, 0 if the sample
    before this block is loud, `hold` or more if there was no loud sample. The second result is `quiet` for the next
    block.
    """
    at = np.arange(len(loud))
    since = at - np.maximum.accumulate(np.where(loud, at, -1 - quiet))
    return since <= hold, int(since[-1])


class Gate(Node):
    """Reduce the gain while the signal is soft: a noise gate.

        r[n] = 0 where max(|x[n - h]|, ..., |x[n]|) >= 10**(threshold / 20),    h = round(hold * rate);    else -range
        s[n] = c * s[n - 1] + (1 - c) * r[n],    c = e**(-1 / (t * rate))
        t is `attack` where r[n] > s[n - 1], else `release`
        y[n] = x[n] * 10**(s[n] / 20)

    Over several channels, |x[n]| is the largest magnitude, and all channels get the same gain. Before the signal begins
    the gate is closed: s[-1] = -range.

    Source: MathWorks, Audio Toolbox reference, `noiseGate` (threshold, attack, release, hold; here the gain is smoothed
    in dB).
    """

    x = Input(Audio)
    y = Output(Audio)

    threshold: float = Field(-50.0, ge=-200, le=60, description="level that opens the gate, dB of full scale")
    range: float = Field(60.0, ge=0, le=200, description="attenuation while closed, dB")
    attack: float = Field(0.002, ge=0, le=10, description="time constant of opening, s")
    hold: float = Field(0.05, ge=0, le=10, description="time that the gate stays open, s")
    release: float = Field(0.05, ge=0, le=10, description="time constant of closing, s")

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.ballistics import decay, factor

        rate = float(x.rate)
        hold = round(self.hold * rate)
        least = float(factor(np.array(self.threshold)))
        return (decay(self.attack, rate), decay(self.release, rate), hold, least), -self.range, hold + 1

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.ballistics import factor, follow, peak_level

        (attack, release, hold, least), before, quiet = state
        is_open, quiet = recently_loud(peak_level(x) >= least, hold, min(quiet, hold + 1))
        gain_db = follow(np.where(is_open, 0.0, -self.range), attack, release, before)
        gain = factor(gain_db).reshape(-1, *[1] * (x.ndim - 1))
        return ((attack, release, hold, least), float(gain_db[-1]), quiet), (x * gain).astype(x.dtype)
