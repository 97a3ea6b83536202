"""Pitch shifting."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import by_channel, by_time
from dspgraph_nodes._kernels.signal.stretching import Stretching, StretchMethod, StretchState

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.signal.polyphase import ResampleState

_NEAR = 3e-5  # relative: 0.05 cents


@lru_cache(maxsize=64)
def shift_ratio(semitones: float) -> Fraction:
    """Return a simple fraction that differs from 2**(semitones / 12) by at most 0.052 cents, a factor of 1 + 3e-5."""
    from dspgraph_nodes._kernels.maths.elementary import LN_2, exp

    if semitones < 0:
        return 1 / shift_ratio(-semitones)
    exact = float(exp(np.array(LN_2 * semitones / 12)))
    limits = (1 << k for k in range(6, 40))
    found = (Fraction(exact).limit_denominator(limit) for limit in limits)
    return next(ratio for ratio in found if abs(float(ratio) / exact - 1) <= _NEAR)


@dataclass
class ShiftState:
    """The state of pitch shifting: the states of the stretching and of the resampling that follows.

    received, given: the numbers of samples received and returned so far.
    """

    stretched: StretchState
    resampled: "ResampleState"
    received: int = 0
    given: int = 0


class PitchShift(Node):
    """Raise or lower the pitch of audio and keep its duration.

    The signal is stretched by r = 2**(semitones / 12) as in `time_stretch`, and resampled to 1 / r of its length as in
    `resample`. r is rounded to a simple fraction, with an error of at most 0.052 cents. The formants move with the
    pitch. To keep the formants of speech, use `psola`, or use a vocoder and scale its pitch with `f0_scale`.

    Source: J. Laroche and M. Dolson, Improved phase vocoder time-scale modification of audio, IEEE Transactions on
    Speech and Audio Processing 7(3), 1999; librosa 0.11 reference, `librosa.effects.pitch_shift` (stretching, then
    resampling).
    """

    x = Input(Audio)
    y = Output(Audio)

    semitones: float = Field(ge=-24, le=24, description="interval, semitones")
    method: StretchMethod = Field("phase_vocoder", description="phase_vocoder: any sound; wsola: speech")
    length: int = Field(1024, ge=16, le=1 << 15, multiple_of=2, description="length of a frame, samples")
    hop: int = Field(256, ge=1, le=1 << 14, description="samples from frame to frame of the stretched signal")
    reach: int = Field(160, ge=1, le=4096, description="largest shift of a frame by wsola, samples")

    def streams(self, x: Audio) -> tuple[Audio]:
        if 2 * self.hop > self.length:
            raise ParameterError(
                f"pitch_shift.hop is {self.hop}; frames of {self.length} samples must overlap by half at least: take "
                f"{self.length // 2} or less"
            )
        return (x,)

    def lookahead(self, x: Audio) -> Fraction:
        # Output sample k needs the stretched samples up to floor(k * ratio) + half_width. The first of them that needs
        # frame j is j * hop - length / 2. After ratio.numerator frames, all this repeats.
        from dspgraph_nodes._kernels.signal.polyphase import half_width

        how, ratio = self._how(), shift_ratio(self.semitones)
        if ratio == 1:
            return Fraction(0)
        around = half_width(ratio.denominator, ratio.numerator)
        first = -(-(how.length // 2 + around) // how.hop)  # from this frame on, no position lies before the signal
        worst = 0
        for j in range(first, first + ratio.numerator):
            sample = -(-(j * how.hop - how.length // 2 - around) * ratio.denominator // ratio.numerator)
            worst = max(worst, how.needed(j) - sample - 1)
        return worst / x.rate

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.polyphase import resample_start
        from dspgraph_nodes._kernels.signal.stretching import stretch_start

        ratio = shift_ratio(self.semitones)
        resampled = resample_start(ratio.denominator, ratio.numerator, x.channels, x.dtype)
        return ShiftState(stretch_start(self._how(), x.channels, x.dtype), resampled)

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.polyphase import resample_step
        from dspgraph_nodes._kernels.signal.stretching import stretch_step

        if shift_ratio(self.semitones) == 1:
            return held, x.copy()
        held.received += len(x)
        y = by_time(resample_step(held.resampled, stretch_step(self._how(), held.stretched, by_channel(x))))
        held.given += len(y)
        return held, y

    def flush(self, held: State) -> tuple[Array, ...]:
        from dspgraph_nodes._kernels.signal.polyphase import resample_step
        from dspgraph_nodes._kernels.signal.stretching import stretch_flush

        if shift_ratio(self.semitones) == 1:
            return ()
        rest = stretch_flush(self._how(), held.stretched)
        y = resample_step(held.resampled, np.pad(rest, ((0, 0), (0, held.resampled.after + 1))))
        return (by_time(y)[: held.received - held.given],)

    def _how(self) -> Stretching:
        ratio = shift_ratio(self.semitones)
        reach = self.reach if self.method == "wsola" else 0
        return Stretching(ratio.numerator, ratio.denominator, self.length, self.hop, reach)
