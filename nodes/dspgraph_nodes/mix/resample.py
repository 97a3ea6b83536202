"""Another sample rate."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State

_MOST_TAPS = 1 << 21  # taps in a bank: 16 MB


@dataclass
class ResampleState:
    """What is still needed of the input."""

    up: int  # the rates in lowest terms
    down: int
    before: int  # samples that an output sample needs before and after the one it stands on
    after: int
    x: Array  # [channels, n]
    at: int  # number of the sample x[:, 0]; below 0 in the zeros before the signal
    given: int = 0  # samples given out


class Resample(Node):
    """The same sound at another rate: y[k] is the band-limited signal at the time k / rate, neither early nor late.

        y[k] = sum_n x[n] h(k M / L - n),    L / M = rate / x.rate in lowest terms

    h is a sinc under a Kaiser window. Up to 0.913 of the lower Nyquist frequency the gain is 1 within 5e-6 dB, and what
    images and aliases remain is 126 dB down: the band of the SoX resampler's HQ. The signal is zero before its start
    and after its end. Equal rates pass unchanged. A ratio that needs more than 2 million taps, as 44100 to 16001 Hz, is
    refused.

    Source: J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", IEEE ISCAS, 1974;
    length and beta by the formulas in A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing.
    """

    x = Input(Audio)
    y = Output(Audio)

    rate: float = Field(gt=0, description="samples per second that come out, Hz")

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
        from dspgraph_nodes._kernels.signal.polyphase import half_width, width

        up, down = (self._rate() / x.rate).as_integer_ratio()
        after = half_width(up, down)
        before = width(up, down) - after - 1
        return ResampleState(up, down, before, after, np.zeros((x.channels, before), x.dtype), -before)

    def step(self, held: ResampleState, x: Array) -> tuple[State, Array]:
        return held, x if held.up == held.down else self._give(held, x)

    def flush(self, held: ResampleState) -> tuple[Array, ...]:
        if held.up == held.down:
            return ()
        return (self._give(held, np.zeros((held.after, len(held.x)), held.x.dtype)),)

    def _give(self, held: ResampleState, x: Array) -> Array:
        """The samples that the input makes up to its last one, forgetting what later ones do not need."""
        from dspgraph_nodes._kernels.signal.polyphase import bank, resample

        up, down = held.up, held.down
        held.x = np.concatenate((held.x, x.reshape(len(x), -1).T), axis=1)
        end = held.at + held.x.shape[1] - held.after  # the first sample that no output can stand on yet
        until = max(0, -(-end * up // down))
        y = np.empty((len(held.x), until - held.given), held.x.dtype)
        first, phase = divmod(held.given * down, up)
        resample(held.x, first - held.before - held.at, phase, up, down, bank(up, down, held.x.dtype.name), y)
        needed = until * down // up - held.before
        held.x, held.at, held.given = held.x[:, needed - held.at :].copy(), needed, until
        return y[0] if len(y) == 1 else np.ascontiguousarray(y.T)

    def _rate(self) -> Fraction:
        return Fraction(str(self.rate))  # a decimal is what was written: 22050.5 exactly

    def _simpler(self, rate: Fraction) -> str:
        """The whole rate nearest to the one asked for that a bank can reach, in words."""
        asked = round(self._rate())
        around = (near for k in range(min(asked // 2, 1000)) for near in (asked - k, asked + k))
        nearby = (near for near in around if self._fits(rate, near))
        return next((f"{near} Hz" for near in nearby), "a rate in a simpler ratio to it")

    @staticmethod
    def _fits(rate: Fraction, wanted: Fraction | int) -> bool:
        from dspgraph_nodes._kernels.signal.polyphase import width

        up, down = (wanted / rate).as_integer_ratio()
        return up * width(up, down) <= _MOST_TAPS
