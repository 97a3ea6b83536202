"""The values of a control at every sample: straight lines from item to item."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


@dataclass
class Ramp:
    """The state of a control that is interpolated.

    samples, items: how many samples, and how many items of the control, one period has. before: the value of the last
    item; None before the first item.
    """

    samples: int
    items: int
    before: float | None = None


def start_ramp(audio: Fraction, control: Fraction) -> Ramp:
    """Return the state before the first item. audio, control: samples and items per second."""
    ratio = audio / control
    return Ramp(ratio.numerator, ratio.denominator)


def ramp(state: Ramp, values: Array, count: int) -> Array:
    """Return the values for the next `count` samples, [count] float64. state: updated in place.

    values: [n], the items that begin in the time of these samples, which starts with a new period. During the span of
    an item, the value moves linearly from the value of the item before it to the value of this item, which is reached
    at the end of the span. During the first span of a signal, the value is that of the first item.
    """
    first = float(values[0]) if state.before is None else state.before
    points = np.concatenate(([first], values.astype(np.float64)))
    place = np.arange(count) * state.items
    item, share = place // state.samples, (place % state.samples) / state.samples
    state.before = float(points[-1])
    line: Array = points[item] + (points[item + 1] - points[item]) * share
    return line
