"""Instantaneous frequency."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State, to_fraction
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.maths.hop import hop_of
from dspgraph_nodes._kernels.signal.phase import FrequencyUnit, bin_advances, wrap_phase


def instantaneous_frequency(phase: Array, before: Array | None = None) -> Array:
    """Return the change of the phase from row to row, divided by pi and wrapped to -1 .. 1 as in `numpy.unwrap`.

        d = p[k] - p[k - 1],    IF[k] = (mod(d + pi, 2 * pi) - pi) / pi,    but 1 instead of -1 where d > 0

    phase: p, [n, bins], radians; before: [bins], the row before the first; 0 by default, so that row 0 of the result is
    the phase itself over pi. For float32 phases pi is rounded to float32, so that a change by np.float32(np.pi) gives
    exactly 1. Returns [n, bins] in the dtype of the phase.
    """
    phase = floating(phase)
    halves: Array = 2 * wrap_phase(_turned(phase, before))
    return halves.astype(phase.dtype, copy=False)


def frequency_in_hertz(phase: Array, rate: Fraction, hop: Fraction, before: Array | None = None) -> Array:
    """Return the frequency in each bin, Hz, [n, bins]: the centre of the bin, plus the deviation that the phases show.

        f[k, b] = b * rate / n_fft + rate / (2 * pi * hop) * wrap(d - 2 * pi * b * hop / n_fft)
        d = p[k, b] - p[k - 1, b],    n_fft = 2 * (bins - 1),    wrap: to -pi .. pi

    phase: p, [n, bins], radians; before: [bins], the row before the first, 0 by default; rate: the sampling rate, Hz;
    hop: samples from row to row. The result has the dtype of the phase.
    """
    phase = floating(phase)
    width = phase.shape[1]
    centre = np.arange(width) * (float(rate) / max(1, 2 * (width - 1)))
    deviation = wrap_phase(_turned(phase, before) - bin_advances(width, hop))
    frequency: Array = centre + float(rate / hop) * deviation
    return frequency.astype(phase.dtype, copy=False)


def _turned(phase: Array, before: Array | None) -> Array:
    """Return the change of the phase since the previous row, in units of 2 * pi, not wrapped: [n, bins] float64.

    phase: [n, bins], radians; before: [bins], the row before the first one; None for 0. pi is rounded to the dtype of
    the phase.
    """
    rows = np.zeros((len(phase) + 1, phase.shape[1]))
    rows[1:] = phase
    if before is not None:
        rows[0] = before
    turns: Array = (rows[1:] - rows[:-1]) / (2 * float(phase.dtype.type(math.pi)))
    return turns


@dataclass
class PhaseState:
    """The state of the node: the last row of phases, [bins] float64, 0 before the first row; and the hop in samples."""

    before: Array
    hop: Fraction  # samples from row to row


class InstantaneousFrequency(Node):
    """Compute the instantaneous frequency: the advance of each bin's phase from one frame to the next.

        unit pi:     IF = wrap(p[k] - p[k - 1]) / pi, from -1 to 1
        unit hertz:  f = b * rate / n_fft + rate / (2 * pi * hop) * wrap(p[k] - p[k - 1] - 2 * pi * b * hop / n_fft)

    In hertz, f is the centre of bin b plus the deviation from it. In units of pi, a tone of f Hz has IF = wrap(2 * pi *
    f * hop / rate) / pi. The phase before the first frame counts as 0, so that row 0 is computed from the phase itself.
    Values in hertz are right where a tone is within rate / (2 * hop) of the centre of the bin. With hop <= n_fft / 4
    this holds in all bins that the main lobe of a Hann window of n_fft samples reaches.

    Source: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019 (pi); J. L. Flanagan, R. M. Golden,
    Phase Vocoder, Bell System Technical Journal 45(9), 1966 (hertz); NumPy reference, `numpy.unwrap`.
    """

    phase = Input(Frames, "phase", "constant_q_phase")
    frequency = Output(Frames, "if", "constant_q_if")

    unit: FrequencyUnit = Field(
        "pi", description="pi: phase advance per hop over pi; hertz: bin centre and deviation from it"
    )
    rate: float = Field(
        16000, gt=0, le=1e6, description="sampling rate of the audio the frames were cut from, Hz; needed for hertz"
    )

    def streams(self, phase: Frames) -> tuple[Frames]:
        if self.unit == "hertz":
            if phase.kind == "constant_q_phase":
                raise ParameterError(
                    "instantaneous_frequency.unit is 'hertz'; the bins of a constant-Q transform have other "
                    "frequencies than the bins of a Fourier transform: take the unit 'pi', or an 'stft'"
                )
            try:
                hop_of(self.rate, phase.rate)
            except ValueError as error:
                raise ParameterError(f"instantaneous_frequency.{error}") from None
        return (phase.like(kind=phase.kind.replace("phase", "if")),)

    def start(self, phase: Frames) -> State:
        return PhaseState(np.zeros(phase.width), to_fraction(self.rate) / phase.rate)

    def step(self, seen: PhaseState, phase: Array) -> tuple[State, Array]:
        if self.unit == "pi":
            frequency = instantaneous_frequency(phase, seen.before)
        else:
            frequency = frequency_in_hertz(phase, to_fraction(self.rate), seen.hop, seen.before)
        return PhaseState(phase[-1].astype(np.float64), seen.hop), frequency
