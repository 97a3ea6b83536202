"""A sine of a given pitch."""

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, to_fraction
from dspgraph_nodes._kernels.limits import MOST_RATE
from dspgraph_nodes._kernels.signal.pitch_clock import clock_fault, clock_start, turns


class Sine(Node):
    """Generate a sine that follows a pitch contour; silence where the pitch is 0.

        y[n] = amplitude * sin(2 * pi * p[n]),    p[n + 1] = p[n] + f0[n] / rate,    p[0] = 0

    Sample n has the pitch of the frame in which the sample begins. A negative or NaN pitch counts as 0; a pitch above
    rate / 2 raises ValueError. The phase p is counted in steps of 2**-53 cycles, exactly, so that it does not drift.

    Source: X. Wang, S. Takaki and J. Yamagishi, Neural source-filter-based waveform model for statistical parametric
    speech synthesis, ICASSP 2019 (its source of sines).
    """

    f0 = Input(Frames, "f0")
    y = Output(Audio)

    rate: float = Field(16000, gt=0, le=MOST_RATE, description="sampling rate of the output, Hz")
    amplitude: float = Field(0.1, ge=-1e3, le=1e3, description="amplitude")

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
        from dspgraph_nodes._kernels.maths.elementary import sin

        return np.where(pitch > 0, self.amplitude * sin(2 * np.pi * turns(phase)), 0.0)
