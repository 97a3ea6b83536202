"""The pre-emphasis and gain of the samples that a network sees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.iir import one_pole


class Emphasis(NamedTuple):
    """The filter gain * (x[n] - coef * x[n - 1]), x[-1] = 0, that turns samples x into those that a network sees."""

    gain: float
    coef: float

    def applied(self, x: Array) -> Array:
        """Return the samples that the network sees, [n], limited to +-1. x: [n], the samples of a signal."""
        before = np.concatenate((np.zeros_like(x[..., :1]), x[..., :-1]), -1)
        return np.clip(self.gain * (x - self.coef * before), -1, 1)

    def undone(self, seen: Array, state: Array) -> Array:
        """Return the samples of a signal, [n] float64, limited to +-1: the inverse of `applied`.

        seen: [n], the samples that the network sees; state: [1] float64, the output of the inverse filter before these
        samples, at first 0; it is changed in place.
        """
        y = np.empty((len(seen) + 1, 1))
        y[0] = state
        one_pole(seen[:, None], self.coef, y)
        state[:] = y[-1]
        return np.clip(y[1:, 0] / self.gain, -1, 1)
