"""The pre-emphasis and gain of the samples that a network sees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.iir import one_pole


class Emphasis(NamedTuple):
    """What a network sees of the samples x of a signal: gain * (x[n] - coef * x[n - 1]), with x[-1] = 0."""

    gain: float
    coef: float

    def applied(self, x: Array) -> Array:
        """Return what the network sees of the samples x [n], limited to +-1."""
        return np.clip(self.gain * (x - self.coef * np.append(0.0, x[:-1])), -1, 1)

    def undone(self, seen: Array, state: Array) -> Array:
        """Return the samples [n] of what the network sees, limited to +-1, in float64.

        state: [1] float64, the output of the filter before these samples, at first 0; it is changed in place.
        """
        y = np.empty((len(seen) + 1, 1))
        y[0] = state
        one_pole(seen[:, None], self.coef, y)
        state[:] = y[-1]
        return np.clip(y[1:, 0] / self.gain, -1, 1)
