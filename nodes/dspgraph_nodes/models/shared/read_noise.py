"""Noise in the samples that an autoregressive network reads while it learns.

In synthesis a network reads its own samples, which differ from those of the recordings; the noise stands for this
difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

_MU = 255


@dataclass(frozen=True)
class ReadNoise:
    """Noise for the samples that a network reads in training.

    The noise is added to the mu-law companded samples, so that its level follows that of the signal. largest: the
    largest standard deviation, in steps of 8-bit mu-law; the standard deviation of each signal is drawn uniformly from
    0 to `largest`. levels: the number of levels, if signals are whole numbers from 0 on; 0 if they are samples from -1
    to 1. companded: whether the levels are mu-law codes; otherwise they are linear.
    """

    largest: float = 0.0
    levels: int = 0
    companded: bool = False

    def added(self, signal: Array, random: np.random.Generator) -> Array:
        """Return a signal [n] with noise, in its dtype and within its bounds; if `largest` is 0, `signal` itself.

        random: the generator of the noise.
        """
        if not self.largest:
            return signal
        x = 2 * signal / (self.levels - 1) - 1 if self.levels else signal.astype(np.float64)
        y = x if self.companded else np.sign(x) * np.log1p(_MU * np.abs(x)) / np.log1p(_MU)
        steps = self.largest * random.random() * random.standard_normal(len(x))
        y = np.clip(y + steps * (2 / _MU), -1, 1)
        x = y if self.companded else np.sign(y) * np.expm1(np.abs(y) * np.log1p(_MU)) / _MU
        found: Array = np.floor((x + 1) / 2 * (self.levels - 1) + 0.5) if self.levels else x
        return found.astype(signal.dtype)
