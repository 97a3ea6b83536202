"""Excitation by pulses and noise, controlled by the pitch."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, generator, to_fraction
from dspgraph_nodes._kernels.limits import MOST_RATE

_WIDTHS = {"f0": 1, "pulses": 2}

_SECTIONS = 3  # second-order sections of the all-pass; each section is two equal first-order all-passes

_LARGEST_TERM = 1 << 31  # limit of both terms of the fraction f0.rate / rate; the kernel's products then fit in 64 bits


@dataclass
class PulseNoiseState:
    """The state of the excitation: the generator of noise, the phase, and the frames that later samples need.

    ratio: a number of frames and the number of samples that last as long. f0: the received rows (f0) or (f0, gain),
    from the frame in which the next sample begins. passed: the states of the all-pass filters. phase: the sum of f0
    over the samples since the last pulse, plus the amount by which it was above `rate` at that pulse; from `rate` on, a
    pulse is due, as at the start and after an unvoiced sample. frames, samples: the numbers of frames received and of
    samples returned so far.
    """

    draw: np.random.Generator
    rate: float
    ratio: tuple[int, int]  # whole numbers of frames and of samples that last equally long, in lowest terms
    f0: Array  # received rows (f0) or (f0, gain), from the frame in which the next sample begins
    passed: Array  # [_SECTIONS, 2, 1], float64: states of the sections of the all-pass
    phase: float  # sum of f0 since the last pulse, plus its excess over `rate` there; from `rate` on a pulse is due
    frames: int = 0  # frames received so far
    samples: int = 0  # samples returned so far


class PulseNoise(Node):
    """Generate an excitation of unit power: one pulse per period where voiced, Gaussian noise where unvoiced.

        f0 > 0:  y[n] = gain * sqrt(rate / f0) where the phase, the sum of f0 / rate, reaches the next whole number,
                 else 0
        f0 = 0:  y[n] = e[n], independent, of mean 0 and variance 1

    The gain is 1 for an input of the kind "f0". Rows (f0, gain) of the kind "pulses", the output of `pulse_gain`,
    contain the gain.

    With a `dispersion` d above 0 s, y passes six equal all-passes of first order, (z^-1 - p) / (1 - p * z^-1), with p =
    (d * rate - 6) / (d * rate + 6). They delay 0 Hz by d, and a frequency f far below rate / 2 by d / (1 + (pi * f * d
    / 6)**2). They change no magnitude: a pulse becomes a short chirp. The purpose is a lower peak: after a filter,
    pulses have higher peaks than speech. In `lpc_vocoder`, the peak of the output is 0.5 dB below the peak of the input
    with d = 0.0048 s, and 1.7 dB above it without dispersion. If the input is speech that was clipped 30 dB below its
    peak, `limit_peak` lowers the level by 0.4 dB with d = 0.0048 s, and by 2.2 dB without dispersion. The dispersion
    raises PESQ by 0.08 and does not change STOI (all measured on four seconds of speech).

    Sample n has the pitch of the frame in which it begins, frame floor(n * f0.rate / rate), at f0.rate frames per
    second. The phase continues from frame to frame, and the first sample of a voiced segment is a pulse. A negative or
    NaN pitch counts as 0. A pitch above rate / 2, the highest frequency in audio at this rate, raises ValueError. The
    noise of every sample is drawn even where it is not used, so that a change of voicing changes no noise elsewhere.

    Source: SPTK reference manual, `excite` (pulses of amplitude sqrt(period), Gaussian noise); pysptk 1.0.1, `excite`.
    Pulses with the phase of an all-pass: the decoder of LPC-10 (T. E. Tremain, The Government Standard Linear
    Predictive Coding Algorithm: LPC-10, Speech Technology, 1982), whose voiced excitation has 25 samples per pulse;
    cascades of all-passes as chirps: V. Valimaki, J. S. Abel and J. O. Smith, Spectral Delay Filters, Journal of the
    Audio Engineering Society 57(7/8), 2009.
    """

    f0 = Input(Frames, "f0", "pulses")
    y = Output(Audio)

    rate: float = Field(16000, gt=0, le=MOST_RATE, description="sampling rate of the excitation, Hz")
    dispersion: float = Field(0.0, ge=0.0, le=0.1, description="delay of the lowest frequencies, s; 0: no all-pass")
    seed: int = Field(0, ge=0, description="seed of the noise")

    def streams(self, f0: Frames) -> tuple[Audio]:
        if f0.width != _WIDTHS[f0.kind]:
            raise ParameterError(
                f"pulse_noise takes one pitch per frame, or rows (f0, gain) of the kind 'pulses'; found {f0}"
            )
        if max((f0.rate / self._rate()).as_integer_ratio()) > _LARGEST_TERM:
            raise ParameterError(
                f"pulse_noise.rate is {self.rate!r}, {self._rate() / f0.rate} samples for every frame of {f0}: this "
                f"ratio has too many digits; take {round(self.rate)}"
            )
        if 0 < self.dispersion * self.rate < 2 * _SECTIONS:
            raise ParameterError(
                f"pulse_noise.dispersion is {self.dispersion!r} s; at {self.rate:g} Hz it must be 0, or at least "
                f"{2 * _SECTIONS} samples: {2 * _SECTIONS / self.rate:.3g} s"
            )
        return (Audio(rate=self._rate(), dtype=f0.dtype),)

    def start(self, f0: Frames) -> State:
        draw = generator(self.seed)
        rate = float(self._rate())
        ratio = (f0.rate / self._rate()).as_integer_ratio()
        passed = np.zeros((_SECTIONS, 2, 1))
        return PulseNoiseState(draw, rate, ratio, np.empty((0, f0.width), f0.dtype), passed, phase=rate)

    def step(self, held: PulseNoiseState, f0: Array) -> tuple[State, Array]:
        high = f0[:, 0] > held.rate / 2
        if high.any():
            at = int(high.argmax())
            raise ValueError(
                f"a pitch at {self.rate:.10g} samples per second is at most {held.rate / 2:g} Hz; "
                f"frame {held.frames + at} has {float(f0[at, 0]):g} Hz"
            )
        held.f0 = np.concatenate((held.f0, f0))
        held.frames += len(f0)
        frames, samples = held.ratio
        return held, self._give(held, held.frames * samples // frames)

    def flush(self, held: PulseNoiseState) -> tuple[Array]:
        frames, samples = held.ratio
        return (self._give(held, -(-held.frames * samples // frames)),)

    def _give(self, held: PulseNoiseState, until: int) -> Array:
        """Return the samples from the first one not returned yet up to, not including, sample number `until`.

        held: the state, updated in place; it has all frames in which these samples begin.
        """
        from dspgraph_nodes._kernels.signal.pulses import pulse_train

        y = held.draw.standard_normal(until - held.samples)
        frames, samples = held.ratio
        contour = held.f0[:, 0].astype(np.float64)
        gains = held.f0[:, 1].astype(np.float64) if held.f0.shape[1] == 2 else np.ones(len(contour))
        begun = held.samples * frames % samples  # in Python's integers: for a long signal the product overflows 64 bits
        held.phase = pulse_train(contour, gains, frames, samples, begun, held.rate, held.phase, y)
        held.f0 = held.f0[until * frames // samples - held.samples * frames // samples :]
        held.samples = until
        if self.dispersion:
            y = self._dispersed(y, held.passed)
        return y.astype(held.f0.dtype, copy=False)

    def _dispersed(self, y: Array, passed: Array) -> Array:
        """Return y [n], filtered by the six all-passes. passed: their states, updated in place."""
        from dspgraph_nodes._kernels.signal.filters import second_order_section

        delay = self.dispersion * self.rate / (2 * _SECTIONS)  # samples, of each first-order all-pass at 0 Hz
        p = (delay - 1) / (delay + 1)
        coefs = np.array([p * p, -2 * p, 1.0, -2 * p, p * p])
        x = y.reshape(-1, 1)
        for state in passed:
            z = np.empty_like(x)
            second_order_section(x, coefs, state, z)
            x = z
        return x[:, 0]

    def _rate(self) -> Fraction:
        return to_fraction(self.rate)
