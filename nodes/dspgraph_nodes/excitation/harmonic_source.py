"""Harmonics of a given pitch."""

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, to_fraction
from dspgraph_nodes._kernels.limits import MOST_RATE
from dspgraph_nodes._kernels.signal.pitch_clock import clock_fault, clock_start, turns


def harmonic_sum(pitch: Array, phase: Array, rate: float, most: int) -> Array:
    """Return sqrt(2 / K) * sum_(k = 1 .. K) cos(2 * pi * k * p), 0 where the pitch or K is 0, [n] float64.

    pitch: [n], Hz, at least 0; phase: p in the formula is in cycles, the argument is [n] uint64 in units of 2**-64
    cycles; rate: Hz. K is the number of harmonics below half the rate, at most `most`.
    """
    from dspgraph_nodes._kernels.maths.elementary import cos

    voiced = pitch > 0
    counts = np.where(voiced, np.minimum(np.ceil(rate / 2 / np.where(voiced, pitch, 1)) - 1, most), 0)
    total = np.zeros(len(pitch))
    for k in range(1, int(counts.max(initial=0)) + 1):
        total += np.where(counts >= k, cos(2 * np.pi * turns(phase * np.uint64(k))), 0.0)
    return total * np.sqrt(2 / np.maximum(counts, 1))


class HarmonicSource(Node):
    """Generate all harmonics of a pitch contour below half the rate, with equal strength and a total power of 1.

        y[n] = sqrt(2 / K) * sum_(k = 1 .. K) cos(2 * pi * k * p[n]),    p[n + 1] = p[n] + f0[n] / rate,    p[0] = 0

    K is the number of harmonics below rate / 2, or `harmonics` if that is less. The output is a pulse train without
    aliasing; where the pitch is 0 or rate / 2 it is silent. Sample n has the pitch of the frame in which the sample
    begins. A negative or NaN pitch counts as 0; a pitch above rate / 2 raises ValueError. The phase p is counted in
    steps of 2**-53 cycles, exactly.

    Source: T. F. Quatieri and R. J. McAulay, Speech transformations based on a sinusoidal representation, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 34(6), 1986 (harmonics in phase at pulses).
    """

    f0 = Input(Frames, "f0")
    y = Output(Audio)

    rate: float = Field(16000, gt=0, le=MOST_RATE, description="sampling rate of the output, Hz")
    harmonics: int = Field(10_000, ge=1, le=10_000, description="largest number of harmonics")

    def streams(self, f0: Frames) -> tuple[Audio]:
        if fault := clock_fault(self.type_name, to_fraction(self.rate), f0):
            raise ParameterError(fault)
        return (Audio(rate=to_fraction(self.rate), dtype=f0.dtype),)

    def start(self, f0: Frames) -> State:
        return clock_start(to_fraction(self.rate), f0)

    def step(self, clock: State, f0: Array) -> tuple[State, Array]:
        return clock, clock.step(f0[:, 0], self._samples)

    def flush(self, clock: State) -> tuple[Array]:
        return (clock.flush(self._samples),)

    def _samples(self, pitch: Array, phase: Array) -> Array:
        return harmonic_sum(pitch, phase, float(self.rate), self.harmonics)
