"""Comb filters: filters with a single delay. Feedback is added in pieces no longer than the delay."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.delay_lines import DelayLine


@dataclass
class CombState:
    """The state of a comb filter with a delay of D samples: its last D inputs x and its last D outputs y."""

    x: DelayLine
    y: DelayLine


def comb_start(samples: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> CombState:
    """Return the state of a comb filter before the first sample.

    samples: the delay, at least 1; shape: the shape of one sample, () or (channels,); dtype: the dtype of the samples.
    """
    return CombState(*(DelayLine(np.zeros((samples, *shape), dtype)) for _ in range(2)))


def comb_filter(x: Array, forward: float, back: float, held: CombState) -> Array:
    """Return y[n] = x[n] + forward * x[n - D] + back * y[n - D], in the shape and dtype of x; D is the delay.

    x: [n] or [n, channels], floats; held: the state from `comb_start`, for this dtype and number of channels, updated
    in place. The terms are added from left to right, so that a sample does not depend on the length of x.
    """
    samples, b, a = len(held.x.values), x.dtype.type(forward), x.dtype.type(back)
    y: Array = x + b * held.x.delayed(x)
    if back:
        y[:samples] += a * held.y.oldest(len(y))
        for at in range(samples, len(y), samples):
            piece = y[at : at + samples]
            piece += a * y[at - samples : at - samples + len(piece)]
    held.y.push(y)
    return y
