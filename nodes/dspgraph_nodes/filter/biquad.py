"""Second-order sections."""

from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State

BiquadKind = Literal["lowpass", "highpass", "bandpass", "notch", "allpass", "peaking", "low_shelf", "high_shelf"]

_WITH_GAIN: tuple[BiquadKind, ...] = ("peaking", "low_shelf", "high_shelf")


def design(kind: BiquadKind, w: float, q: float, gain_db: float) -> Array:
    """Return the coefficients [b0, b1, b2, a1, a2], scaled so that a0 = 1, by the equations in the source of `Biquad`.

    w: the frequency in radians per sample, 0 < w < pi; kind, q, gain_db: the parameters of `Biquad`.
    """
    from dspgraph_nodes._kernels.maths.elementary import LN_10, cos, exp, sin

    c, s = float(cos(np.array(w))), float(sin(np.array(w)))
    alpha = s / (2 * q)
    a = float(exp(np.array(gain_db * (LN_10 / 40))))
    root = 2 * float(np.sqrt(a)) * alpha
    numerator, denominator = {
        "lowpass": (((1 - c) / 2, 1 - c, (1 - c) / 2), (1 + alpha, -2 * c, 1 - alpha)),
        "highpass": (((1 + c) / 2, -1 - c, (1 + c) / 2), (1 + alpha, -2 * c, 1 - alpha)),
        "bandpass": ((alpha, 0.0, -alpha), (1 + alpha, -2 * c, 1 - alpha)),
        "notch": ((1.0, -2 * c, 1.0), (1 + alpha, -2 * c, 1 - alpha)),
        "allpass": ((1 - alpha, -2 * c, 1 + alpha), (1 + alpha, -2 * c, 1 - alpha)),
        "peaking": ((1 + alpha * a, -2 * c, 1 - alpha * a), (1 + alpha / a, -2 * c, 1 - alpha / a)),
        "low_shelf": (
            (a * (a + 1 - (a - 1) * c + root), 2 * a * (a - 1 - (a + 1) * c), a * (a + 1 - (a - 1) * c - root)),
            (a + 1 + (a - 1) * c + root, -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - root),
        ),
        "high_shelf": (
            (a * (a + 1 + (a - 1) * c + root), -2 * a * (a - 1 + (a + 1) * c), a * (a + 1 + (a - 1) * c - root)),
            (a + 1 - (a - 1) * c + root, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - root),
        ),
    }[kind]
    return np.array([*numerator, *denominator[1:]]) / denominator[0]


def biquad(x: Array, coefs: Array, state: Array) -> Array:
    """Return x filtered by a second-order section, in the shape and dtype of x (float32 for int16).

    x: [n] or [n, channels]; coefs: [b0, b1, b2, a1, a2]; state: [2, channels], float64, updated in place. The filter is
    in transposed direct form II, computed in float64.
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
        if self.gain_db and self.kind not in _WITH_GAIN:
            raise ParameterError(
                f"biquad.gain_db is {self.gain_db:g}, but a {self.kind} has none; {', '.join(_WITH_GAIN)} have: "
                "choose one, or put a 'gain' after it"
            )
        return (x,)

    def start(self, x: Audio) -> State:
        w = 2 * np.pi * self.frequency / float(x.rate)
        return design(self.kind, w, self.q, self.gain_db), np.zeros((2, x.channels))

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, biquad(x, *state)
