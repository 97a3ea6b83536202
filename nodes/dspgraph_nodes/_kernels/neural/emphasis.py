"""Pre-emphasis and gain, which turn the samples of a signal into those that a network reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.iir import one_pole


class Emphasis(NamedTuple):
    """The filter y[n] = gain * (x[n] - coef * x[n - 1]), with x[-1] = 0. A network is trained on its output."""

    gain: float
    coef: float

    def applied(self, x: Array) -> Array:
        """Return the filtered samples, [n], limited to +-1. x: [n], a whole signal, from its first sample on."""
        before = np.concatenate((np.zeros_like(x[..., :1]), x[..., :-1]), -1)
        return np.clip(self.gain * (x - self.coef * before), -1, 1)

    def undone(self, seen: Array, state: Array) -> Array:
        """Return the output of the inverse filter, [n] float64, limited to +-1. seen: [n], filtered samples.

        state: [1] float64, the last output of the recursive filter, not divided by the gain, for the samples before
        these; at first 0; it is changed in place.
        """
        y = np.empty((len(seen) + 1, 1))
        y[0] = state
        one_pole(seen[:, None], self.coef, y)
        state[:] = y[-1]
        return np.clip(y[1:, 0] / self.gain, -1, 1)
