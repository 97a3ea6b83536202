"""Glottal pulses of the LF model."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, to_fraction
from dspgraph_nodes._kernels.limits import MOST_RATE
from dspgraph_nodes._kernels.signal.pitch_clock import clock_fault, clock_start, turns


class LfShape(NamedTuple):
    """The constants te, w, a, e and ta of an LF pulse, in the formulas of `GlottalPulse`.

    The period is the unit of time.
    """

    te: float
    w: float
    a: float
    e: float
    ta: float


@lru_cache(maxsize=64)
def lf_shape(rd: float) -> LfShape:
    """Return the constants of the LF model for the shape parameter Rd, from 0.3 (pressed) to 2.7 (breathy)."""
    from dspgraph_nodes._kernels.maths.elementary import cos, exp, sin

    ra, rk = (-1 + 4.8 * rd) / 100, (22.4 + 11.8 * rd) / 100
    rg = rk / 4 * (0.5 + 1.2 * rk) / (0.11 * rd - ra * (0.5 + 1.2 * rk))
    te, w, ta = (1 + rk) / (2 * rg), 2 * np.pi * rg, ra
    rest = 1 - te

    def value(function: Callable[[Array], Array], x: float) -> float:
        return float(function(np.array(x)))

    def root(left: float, right: float, f: Callable[[float], float]) -> float:
        """Return a root of f by bisection. f is above 0 at `left` and below 0 at `right`."""
        for _ in range(200):
            middle = (left + right) / 2
            left, right = (middle, right) if f(middle) > 0 else (left, middle)
        return left

    e = root(1e-3 / ta, 1 / ta, lambda e: 1 - value(exp, -e * rest) - e * ta)
    end = value(exp, -e * rest)
    closing = -((1 - end) / e - rest * end) / (e * ta)
    s, c = value(sin, w * te), value(cos, w * te)

    def flow(a: float) -> float:
        """Return the glottal flow at the end of the period for the constant a. The a of the pulse makes this flow 0."""
        opening = -((a * s - w * c) + w * value(exp, -a * te)) / ((a * a + w * w) * s)
        return opening + closing

    return LfShape(te, w, root(-50.0, 400.0, flow), e, ta)


def lf_pulse(turn: Array, rd: float) -> Array:
    """Return the derivative of the glottal flow at given times in a pitch period, [n]. Its minimum in a period is -1.

    turn: [n], the times in periods, from 0 to below 1; rd: the shape parameter Rd of `GlottalPulse`.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, sin

    te, w, a, e, ta = lf_shape(rd)
    opening = -exp(a * (turn - te)) * sin(w * turn) / float(sin(np.array(w * te)))
    end = float(exp(np.array(-e * (1 - te))))
    closing = -(exp(-e * np.maximum(turn - te, 0)) - end) / (e * ta)
    pulse: Array = np.where(turn <= te, opening, closing)
    return pulse


class GlottalPulse(Node):
    """Generate glottal pulses that follow a pitch contour: the derivative of the flow in the Liljencrants-Fant model.

        E(t) = -exp(a * (t - te)) * sin(w * t) / sin(w * te)                       0 <= t <= te
        E(t) = -(exp(-e * (t - te)) - exp(-e * (1 - te))) / (e * ta)              te < t < 1,    t in periods
        Ra = (-1 + 4.8 * Rd) / 100,    Rk = (22.4 + 11.8 * Rd) / 100
        Rg = Rk / 4 * (0.5 + 1.2 * Rk) / (0.11 * Rd - Ra * (0.5 + 1.2 * Rk))
        ta = Ra,    te = (1 + Rk) / (2 * Rg),    w = 2 * pi * Rg;    e * ta = 1 - exp(-e * (1 - te))

    The growth rate a is chosen so that the flow returns to 0 in every period. Rd is 0.3 for a pressed voice, about 1
    for a normal voice, 2.7 for a breathy voice. The phase is the sum of f0 / rate over the samples before; a pulse
    begins where it passes a whole number. Where the pitch is 0 there is silence. Sample n has the pitch of the frame in
    which the sample begins. A negative or NaN pitch counts as 0; a pitch above rate / 2 raises ValueError.

    Source: G. Fant, J. Liljencrants and Q. Lin, A four-parameter model of glottal flow, STL-QPSR 4, 1985; G. Fant, The
    LF-model revisited: transformations and frequency domain analysis, STL-QPSR 2-3, 1995 (Rd).
    """

    f0 = Input(Frames, "f0")
    y = Output(Audio)

    rate: float = Field(16000, gt=0, le=MOST_RATE, description="sampling rate of the output, Hz")
    rd: float = Field(1.0, ge=0.3, le=2.7, description="shape: 0.3 pressed, 1 normal, 2.7 breathy")
    amplitude: float = Field(1.0, ge=-1e3, le=1e3, description="magnitude of the minimum of each pulse")

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
        return np.where(pitch > 0, self.amplitude * lf_pulse(turns(phase), self.rd), 0.0)
