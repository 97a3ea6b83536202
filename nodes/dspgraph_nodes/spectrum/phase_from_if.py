"""Phase from instantaneous frequency."""

import math

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.signal.phase import FrequencyUnit, wrap_phase


def phase_from_if(frequency: Array, rate: float | None = None) -> Array:
    """Return phases p[k] = pi * sum_(j <= k) IF[j], [n, bins], in radians, wrapped to -pi .. pi.

    frequency: IF, [n, bins]: the change of the phase from row to row, over pi; rate: rows per second, if the frequency
    is in Hz: then IF = 2 * frequency / rate. The result has the dtype of the frequency (float32 for int16).
    """
    frequency = floating(frequency)
    return _summed(frequency, np.zeros(frequency.shape[1]), rate)[0]


def _summed(frequency: Array, before: Array, rate: float | None) -> tuple[Array, Array]:
    """Return the phases [n, bins], in radians, and the sum of all changes up to the last row, [bins], in cycles.

    frequency, rate: as in `phase_from_if`; before: [bins], the sum of all changes before the first row, in cycles. Each
    change counts without its whole turns, as -1/2 .. 1/2. The sum itself is not wrapped, so that it is rounded in the
    same way however the rows are cut into blocks.
    """
    turns = np.empty((len(frequency) + 1, frequency.shape[1]))
    turns[0], turns[1:] = before, frequency
    turns[1:] *= 0.5 if rate is None else 1 / rate
    turns[1:] -= np.rint(turns[1:])  # whole turns change no phase, but a large sum has fewer exact digits
    turns = np.add.accumulate(turns, axis=0)
    return (2 * math.pi * wrap_phase(turns[1:])).astype(frequency.dtype, copy=False), turns[-1].copy()


class PhaseFromIf(Node):
    """Integrate instantaneous frequency to phase: the inverse of `instantaneous_frequency` with the same unit.

        unit pi:     p[k] = p[k - 1] + pi * IF[k]
        unit hertz:  p[k] = p[k - 1] + 2 * pi * f[k] / (rows per second)

    The phase before the first row is 0. The sum is in float64, for float32 inputs too. The phase is wrapped to
    -pi .. pi.

    Source: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019.
    """

    frequency = Input(Frames, "if", "constant_q_if")
    phase = Output(Frames, "phase", "constant_q_phase")

    unit: FrequencyUnit = Field("pi", description="pi: phase advance per hop over pi; hertz: frequency of each bin")

    def streams(self, frequency: Frames) -> tuple[Frames]:
        return (frequency.like(kind=frequency.kind.replace("if", "phase")),)

    def start(self, frequency: Frames) -> State:
        return np.zeros(frequency.width), None if self.unit == "pi" else float(frequency.rate)

    def step(self, state: State, frequency: Array) -> tuple[State, Array]:
        before, rate = state
        phase, before = _summed(frequency, before, rate)
        return (before, rate), phase
