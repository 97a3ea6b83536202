"""Pitch by SWIPE'."""

import math
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.limits import MOST_HOP


def track_swipe(x: Array, rate: Fraction, hop: int, low: float, high: float, threshold: float) -> Array:
    """Return the pitch by SWIPE': one value in Hz for every `hop` samples, [ceil(n / hop)]; 0 where unvoiced.

    x: [n] samples, taken as 0 outside; rate: sampling rate, Hz; low, high: the range of the pitch, Hz; threshold: the
    pitch strength above which a frame is voiced. The search is wider than the range, see `Swipe`; a pitch at or beyond
    an end of the range becomes 0.
    """
    from dspgraph_nodes._kernels.signal.f0_range import drop_outside
    from dspgraph_nodes._kernels.signal.swipe import swipe

    lowest = max(low / 2, min(low / 1.2, 25.0))
    highest = min(2.5 * high, max(1.2 * high, 1700.0), 0.45 * float(rate))
    f0, strength = swipe(x, float(rate), hop, lowest, highest)
    return drop_outside(np.where(strength > threshold, f0, 0.0), low, high)


class Swipe(Node):
    """Track the pitch with SWIPE' (spectra matched to that of a sawtooth), one row every `hop` samples; 0: unvoiced.

    The windows are eight periods of a pitch long, rounded to a power of two, and centred on the start of each frame's
    span, so the centre of the rows is 0 (measured on chirps, within 0.3 ms). `frame` with centre 0 cuts frames that are
    aligned with them. The signal is taken as 0 before its start and after its end. The node needs the whole signal.

    The search reaches from half of `f0_min`, but not below 25 Hz, to 2.5 times `f0_max`, but not above 1700 Hz or 0.45
    times the rate; in any case it reaches a factor of 1.2 beyond each end of the range. Strengths are averaged over
    50 ms before an octave is chosen. If the pulses of a high voice are not equal, a fraction of its pitch is often the
    strongest candidate. So a candidate f is replaced by m * f (m up to 12) if the harmonics of f that are not harmonics
    of m * f are 16 dB weaker than their neighbours. In a voice without its lowest harmonics, as in the band of a
    telephone, the strongest candidate can be a formant. So the strongest candidate is replaced by a much lower one that
    is at least 0.3 times as strong and has harmonics between those of the strongest. If the pitch then lies at or
    beyond an end of the range f0_min .. f0_max, the frame is unvoiced.

    Measured on vowels with pulses at whole samples, at 16 kHz: there is no octave error in three vowels at every
    semitone from 45 to 809 Hz, nor in eight vowels at every quarter tone up to 500 Hz; above 500 Hz, one vowel of 40
    has an octave error. Measured on speech through a Butterworth band-pass of 300 to 3400 Hz, against the unfiltered
    speech: no frame has an octave error with 24 dB per octave, and one frame of 16 with 36 dB per octave; up to half of
    the voiced frames become unvoiced. The result does not depend on the level of the signal. SPTK's program gives the
    same pitch within 20 cents, except where it reads invalid memory.

    Source: A. Camacho and J. G. Harris, "A sawtooth waveform inspired pitch estimator for speech and music", Journal of
    the Acoustical Society of America 124(3), 2008.
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    f0_min: float = Field(60.0, ge=20.0, description="lowest pitch, Hz")
    f0_max: float = Field(400.0, gt=20.0, description="highest pitch, Hz")
    threshold: float = Field(0.3, ge=0.0, le=1.0, description="pitch strength above which a frame is voiced")

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        if not self.f0_min < self.f0_max <= x.rate / 4:
            raise ParameterError(
                f"swipe.f0_min is {self.f0_min:g} and f0_max {self.f0_max:g}; at {x} they must rise, and be at most "
                f"{float(x.rate / 4):g} Hz: change them, or put a 'resample' to a higher rate before it"
            )
        return (Frames(rate=x.rate / self.hop, kind="f0", width=1, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf

    def start(self, x: Audio) -> State:
        return x.rate

    def step(self, rate: State, x: Array) -> tuple[State, Array]:
        f0 = track_swipe(x, rate, self.hop, self.f0_min, self.f0_max, self.threshold)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
