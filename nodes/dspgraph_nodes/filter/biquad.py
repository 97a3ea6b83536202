"""Second-order sections."""

from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State

BiquadKind = Literal["lowpass", "highpass", "bandpass", "notch", "allpass", "peaking", "low_shelf", "high_shelf"]

_WITH_GAIN: tuple[BiquadKind, ...] = ("peaking", "low_shelf", "high_shelf")


def design(kind: BiquadKind, w: float, q: float, gain_db: float) -> Array:
    """Return (b0, b1, b2, a1, a2) [5] with a0 = 1, at w radians per sample, 0 < w < pi, by the cookbook's equations."""
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
    """Filter x, [n] or [n, channels], with the section (b0, b1, b2, a1, a2); state [2, channels] float64, updated.

    Transposed direct form II, computed in float64. Returns the shape and dtype of x (float32 of int16).
    """
    from dspgraph_nodes._kernels.signal.filters import second_order_section

    y = np.empty(x.shape, np.result_type(x, np.float32))
    second_order_section(x.reshape(len(x), -1), coefs, state, y.reshape(len(y), -1))
    return y


class Biquad(Node):
    """Filter audio with a second-order section of the audio equaliser cookbook, all channels alike.

        y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]

    `frequency` is the corner of lowpass and highpass (the gain there is q), the centre of bandpass (gain 1), notch,
    allpass (phase pi) and peaking (gain gain_db), and the midpoint of the shelves (half of gain_db).

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
