"""Magnitude from power."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating


def power_to_magnitude(power: Array) -> Array:
    """Return sqrt(P), [n, bins], in the dtype of the powers (float32 for int16). power: P, [n, bins], at least 0.

    Raises ValueError that names the first row with a power below 0.
    """
    power = floating(power)
    negative = (power < 0).any(axis=1)
    if negative.any():
        row = int(negative.argmax())
        raise ValueError(f"the power of a bin is at least 0; row {row} has {power[row].min():g}")
    root: Array = np.sqrt(power)
    return root


class PowerToMagnitude(Node):
    """Compute magnitude spectra from power spectra: |X| = sqrt(P).

    For complex spectra take `polar`, which gives magnitude and phase.

    Source: NumPy reference, `numpy.sqrt`.
    """

    power = Input(Frames, "power")
    magnitude = Output(Frames, "magnitude")

    def streams(self, power: Frames) -> tuple[Frames]:
        return (power.like(kind="magnitude"),)

    def step(self, state: State, power: Array) -> tuple[State, Array]:
        return state, power_to_magnitude(power)
