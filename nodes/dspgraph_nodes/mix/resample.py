"""Sample rate conversion."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, to_fraction
from dspgraph_nodes._kernels.arrays import by_channel, by_time
from dspgraph_nodes._kernels.limits import MOST_RATE

_MOST_TAPS = 1 << 21  # limit of the taps in a filter bank: 16 MiB in float64


class Resample(Node):
    """Convert audio to another sampling rate: y[k] is the value of the band-limited input at the time k / rate.

        y[k] = sum_n x[n] * h(k * M / L - n),    L / M = rate / x.rate in lowest terms

    h is a sinc with a Kaiser window, centred on 0, so that y is not delayed against x. Let f be half the lower of the
    two rates. Up to 0.913 * f the gain is within 5e-6 dB of 0 dB; images and aliases are attenuated by 126 dB, as in
    the SoX resampler's HQ mode. The signal is taken as 0 before its start and after its end. If the rates are equal,
    the samples are unchanged. A pair of rates that needs more than 2**21 taps, such as 44100 and 16001 Hz, raises
    ParameterError.

    Source: J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", IEEE ISCAS, 1974;
    length and beta by the formulas in A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing.
    """

    x = Input(Audio)
    y = Output(Audio)

    rate: float = Field(gt=0, le=MOST_RATE, description="sampling rate of the output, Hz")

    def streams(self, x: Audio) -> tuple[Audio]:
        if not self._fits(x.rate, self._rate()):
            up, down = (self._rate() / x.rate).as_integer_ratio()
            raise ParameterError(
                f"resample.rate is {self.rate:.10g}, {up} / {down} of {x}: more phases than a bank of "
                f"{_MOST_TAPS} taps holds; take {self._simpler(x.rate)}"
            )
        return (x.like(rate=self._rate()),)

    def lookahead(self, x: Audio) -> Fraction:
        from dspgraph_nodes._kernels.signal.polyphase import half_width

        up, down = (self._rate() / x.rate).as_integer_ratio()
        return (half_width(up, down) + 1) / x.rate - 1 / self._rate() if up != down else Fraction(0)

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.polyphase import resample_start

        return resample_start(*(self._rate() / x.rate).as_integer_ratio(), x.channels, x.dtype)

    def step(self, held: State, x: Array) -> tuple[State, Array]:
        return held, x if held.up == held.down else self._give(held, x)

    def flush(self, held: State) -> tuple[Array, ...]:
        if held.up == held.down:
            return ()
        return (self._give(held, np.zeros((held.after, len(held.x)), held.x.dtype)),)

    def _give(self, held: State, x: Array) -> Array:
        """Add input samples x to the state; return the output samples that are now determined, [m] or [m, channels]."""
        from dspgraph_nodes._kernels.signal.polyphase import resample_step

        return by_time(resample_step(held, by_channel(x)))

    def _rate(self) -> Fraction:
        return to_fraction(self.rate)

    def _simpler(self, rate: Fraction) -> str:
        """Return, as text for a message, the nearest whole rate whose filter bank is small enough.

        If there is none within 1000 Hz, or within half the wanted rate if this is less, the text names no rate. rate:
        the rate of the input, Hz.
        """
        asked = round(self._rate())
        around = (near for k in range(min(asked // 2, 1000)) for near in (asked - k, asked + k))
        nearby = (near for near in around if self._fits(rate, near))
        return next((f"{near} Hz" for near in nearby), "a rate in a simpler ratio to it")

    @staticmethod
    def _fits(rate: Fraction, wanted: Fraction | int) -> bool:
        from dspgraph_nodes._kernels.signal.polyphase import width

        up, down = (wanted / rate).as_integer_ratio()
        return up * width(up, down) <= _MOST_TAPS
