"""Time stretching."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, to_fraction
from dspgraph_nodes._kernels.arrays import by_channel, by_time, floating
from dspgraph_nodes._kernels.signal.stretching import Stretching, StretchMethod

_LARGEST_TERM = 1 << 20  # limit of both terms of the factor, so that positions are whole numbers of 64 bits


def time_stretch(
    x: Array,
    factor: float,
    length: int = 1024,
    hop: int = 256,
    method: StretchMethod = "phase_vocoder",
    reach: int = 160,
) -> Array:
    """Return x with its duration multiplied by `factor` and its pitch kept: [m] or [m, channels], m = ceil(n * factor).

    x: [n], or [n, channels] with 2 channels or more; the other arguments are the parameters of `TimeStretch`, with an
    even `length` and a `hop` of at most length / 2. The result has the dtype of x (float32 for int16).
    """
    from dspgraph_nodes._kernels.signal.stretching import stretch_flush, stretch_start, stretch_step

    x = floating(x)
    if factor == 1:
        return x.copy()
    up, down = to_fraction(factor).as_integer_ratio()
    how = Stretching(up, down, length, hop, reach if method == "wsola" else 0)
    rows = by_channel(x)
    held = stretch_start(how, len(rows), x.dtype)
    return by_time(np.concatenate((stretch_step(how, held, rows), stretch_flush(how, held)), axis=1))


class TimeStretch(Node):
    """Change the duration of audio and keep its pitch. A factor of 1.25 slows speech to 80 % of its speed.

    phase_vocoder: frame j, centred at sample j * hop of the output, is the spectrum of the input around sample
    floor(j * hop / factor). The phase of each of its peaks advances from the frame before as much as it does in the
    input over `hop` samples; the bins around a peak keep their phases relative to it (identity phase locking). This is
    for music and speech; the strokes of drums become less sharp.

    wsola: frame j is the piece of the input around sample floor(j * hop / factor), shifted by at most `reach` samples
    so that it best continues the frame before. This is for speech of one voice, which stays sharp.

    All channels get the same changes of phase, or the same shifts: their differences of level and phase stay. `hop` is
    at most length / 2. With a factor of 1 the samples are unchanged.

    Source: J. Laroche and M. Dolson, Improved phase vocoder time-scale modification of audio, IEEE Transactions on
    Speech and Audio Processing 7(3), 1999; W. Verhelst and M. Roelands, An overlap-add technique based on waveform
    similarity (WSOLA) for high quality time-scale modification of speech, ICASSP 1993.
    """

    x = Input(Audio)
    y = Output(Audio)

    factor: float = Field(ge=0.1, le=10, description="duration of the output, divided by that of the input")
    method: StretchMethod = Field("phase_vocoder", description="phase_vocoder: any sound; wsola: speech")
    length: int = Field(1024, ge=16, le=1 << 15, multiple_of=2, description="length of a frame, samples")
    hop: int = Field(256, ge=1, le=1 << 14, description="samples from frame to frame in the output")
    reach: int = Field(160, ge=1, le=4096, description="largest shift of a frame by wsola, samples")

    def streams(self, x: Audio) -> tuple[Audio]:
        up, down = to_fraction(self.factor).as_integer_ratio()
        if max(up, down) > _LARGEST_TERM:
            raise ParameterError(
                f"time_stretch.factor is {self.factor!r}, {up} / {down}: this ratio has too many digits; take "
                f"{self.factor:.4g}"
            )
        if 2 * self.hop > self.length:
            raise ParameterError(
                f"time_stretch.hop is {self.hop}; frames of {self.length} samples must overlap by half at least: take "
                f"{self.length // 2} or less"
            )
        return (x,)

    def stretch(self, x: Audio) -> Fraction:
        return to_fraction(self.factor)

    def lookahead(self, x: Audio) -> Fraction:
        return Fraction(0) if self.factor == 1 else self._how().lookahead() / x.rate

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.stretching import stretch_start

        return stretch_start(self._how(), x.channels, x.dtype)

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.stretching import stretch_step

        if self.factor == 1:
            return held, x.copy()
        return held, by_time(stretch_step(self._how(), held, by_channel(x)))

    def flush(self, held: State) -> tuple[Array, ...]:
        from dspgraph_nodes._kernels.signal.stretching import stretch_flush

        return () if self.factor == 1 else (by_time(stretch_flush(self._how(), held)),)

    def _how(self) -> Stretching:
        up, down = to_fraction(self.factor).as_integer_ratio()
        return Stretching(up, down, self.length, self.hop, self.reach if self.method == "wsola" else 0)
