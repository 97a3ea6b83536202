"""Compression of the dynamic range."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State


def gain_reduction(level: Array, threshold: float, ratio: float, knee: float) -> Array:
    """Return by how many dB the compressor reduces each level: [n], at least 0.

    level: [n], dB; threshold: dB; ratio: how many dB the input rises for each dB of output, above the threshold, at
    least 1; knee: the width of the soft bend at the threshold, dB, 0 for a sharp bend.
    """
    over = level - threshold
    bent = (over + knee / 2) ** 2 / (2 * knee) if knee else np.zeros_like(over)
    reduction: Array = np.where(2 * over >= knee, over, np.where(2 * over > -knee, bent, 0.0)) * (1 - 1 / ratio)
    return reduction


class Compressor(Node):
    """Reduce the level where a signal is louder than a threshold: a feed-forward compressor with a soft knee.

        o = 20 * log10(max over channels |x[n]|) - threshold
        r[n] = (1 - 1 / ratio) * o                               where 2 * o >= knee
               (1 - 1 / ratio) * (o + knee / 2)**2 / (2 * knee)  where |2 * o| < knee;    else 0
        s[n] = c * s[n - 1] + (1 - c) * r[n],    c = e**(-1 / (t * rate))
        t is `attack` where r[n] > s[n - 1], else `release`;    s[-1] = 0
        y[n] = x[n] * 10**((makeup - s[n]) / 20)

    All channels get the same gain.

    Source: MathWorks, Audio Toolbox reference, `compressor` (gain computer with a soft knee, and smoothing of the gain;
    there, attack and release are the times from 10 % to 90 % of a change, 2.2 times the time constants used here).
    """

    x = Input(Audio)
    y = Output(Audio)

    threshold: float = Field(-20.0, ge=-200, le=60, description="level above which the gain falls, dB of full scale")
    ratio: float = Field(4.0, ge=1, le=1e3, description="dB of input for each dB of output above the threshold")
    knee: float = Field(6.0, ge=0, le=60, description="width of the bend at the threshold, dB")
    attack: float = Field(0.005, ge=0, le=10, description="time constant of a falling gain, s")
    release: float = Field(0.1, ge=0, le=10, description="time constant of a rising gain, s")
    makeup: float = Field(0.0, ge=-120, le=120, description="gain of the whole signal, dB")

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.ballistics import decay

        return decay(self.attack, float(x.rate)), decay(self.release, float(x.rate)), 0.0

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.ballistics import decibels, factor, follow, peak_level

        attack, release, before = state
        wanted = gain_reduction(decibels(peak_level(x)), self.threshold, self.ratio, self.knee)
        reduced = follow(wanted, attack, release, before)
        gain = factor(self.makeup - reduced).reshape(-1, *[1] * (x.ndim - 1))
        return (attack, release, float(reduced[-1])), (x * gain).astype(x.dtype)
