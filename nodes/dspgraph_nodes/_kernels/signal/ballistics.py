"""Smoothing of levels and gains with an attack and a release time."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import LN_10, exp, log

_SILENCE = 1e-12  # -240 dB: smaller levels count as this


def decay(seconds: float, rate: float) -> float:
    """Return e**(-1 / (seconds * rate)), the coefficient of a one-pole smoother for a time constant; 0 for 0 seconds.

    rate: the sampling rate, Hz.
    """
    return float(exp(np.array(-1 / (seconds * rate)))) if seconds else 0.0


def decibels(level: Array) -> Array:
    """Return 20 * log10(level), float64, at least -240. level: [n], at least 0."""
    return log(np.maximum(level.astype(np.float64), _SILENCE)) * (20 / LN_10)


def factor(gain_db: Array) -> Array:
    """Return the factor 10**(gain_db / 20) for a gain in dB, an array of float64 in the shape of gain_db."""
    return exp(np.asarray(gain_db, np.float64) * (LN_10 / 20))


def peak_level(x: Array) -> Array:
    """Return, for every sample, the largest magnitude of all channels: [n].

    x: [n] or [n, channels], floats, n >= 1. The result has the dtype of x.
    """
    level: Array = np.abs(x).reshape(len(x), -1).max(axis=1, initial=0)
    return level


def follow(x: Array, up: float, down: float, before: float) -> Array:
    """Smooth x by one pole: y[n] = c * y[n - 1] + (1 - c) * x[n], with c = up if x[n] > y[n - 1], else c = down.

    x: [n], float64; before: y[-1]. Returns y, [n].
    """
    y = np.empty(len(x) + 1)
    y[0] = before
    _follow(x, up, down, y)
    return y[1:]


@kernel
def _follow(x: Array, up: float, down: float, y: Array) -> None:
    for n in range(len(x)):
        c = up if x[n] > y[n] else down
        y[n + 1] = c * y[n] + (1.0 - c) * x[n]
