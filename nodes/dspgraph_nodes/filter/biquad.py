"""Second-order sections."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.biquad import WITH_GAIN, BiquadKind


def biquad(x: Array, coefs: Array, state: Array) -> Array:
    """Return x filtered by a second-order section, in the shape and dtype of x (float32 for int16).

    x: [n] or [n, channels], n >= 1; coefs: [b0, b1, b2, a1, a2]; state: [2, channels], float64, updated in place. The
    filter is in transposed direct form II, computed in float64.
    """
    from dspgraph_nodes._kernels.signal.filters import second_order_section

    y = np.empty(x.shape, np.result_type(x, np.float32))
    second_order_section(x.reshape(len(x), -1), coefs, state, y.reshape(len(y), -1))
    return y


class Biquad(Node):
    """Filter every channel of audio with a second-order section of the audio equaliser cookbook.

        y[n] = b0 * x[n] + b1 * x[n-1] + b2 * x[n-2] - a1 * y[n-1] - a2 * y[n-2]

    `frequency` is the corner of a lowpass and a highpass, where their gain is q; the centre of a bandpass (gain 1), a
    notch (gain 0), an allpass (phase pi) and a peaking filter (gain gain_db); and the midpoint of a low_shelf and a
    high_shelf, where their gain in dB is half of gain_db.

    Source: R. Bristow-Johnson, Cookbook formulae for audio equalizer biquad filter coefficients (W3C Note: Audio EQ
    Cookbook).
    """

    x = Input(Audio)
    y = Output(Audio)

    kind: BiquadKind = Field(description="type of the filter")
    frequency: float = Field(gt=0.0, description="corner, centre or midpoint, Hz")
    q: float = Field(
        0.7071067811865476, ge=0.01, le=1000.0, description="quality factor; sqrt(1/2) gives a Butterworth filter"
    )
    gain_db: float = Field(0.0, ge=-120.0, le=120.0, description="gain of peaking and shelf filters, dB")

    def streams(self, x: Audio) -> tuple[Audio]:
        if self.frequency >= x.rate / 2:
            raise ParameterError(
                f"biquad.frequency is {self.frequency:.10g} Hz; {x} carries frequencies below {float(x.rate / 2):.10g} "
                "Hz: lower it, or put a 'resample' before it"
            )
        if self.gain_db and self.kind not in WITH_GAIN:
            raise ParameterError(
                f"biquad.gain_db is {self.gain_db:g}, but a {self.kind} has no gain; {', '.join(WITH_GAIN)} have one: "
                "choose one, or put a 'gain' after it"
            )
        return (x,)

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.biquad import design

        w = 2 * np.pi * self.frequency / float(x.rate)
        return design(self.kind, w, self.q, self.gain_db), np.zeros((2, x.channels))

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, biquad(x, *state)
