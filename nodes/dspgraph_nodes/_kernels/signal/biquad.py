"""Second-order sections of the audio equaliser cookbook, alone and one after another."""

from typing import Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

BiquadKind = Literal["lowpass", "highpass", "bandpass", "notch", "allpass", "peaking", "low_shelf", "high_shelf"]

WITH_GAIN: tuple[BiquadKind, ...] = ("peaking", "low_shelf", "high_shelf")
"""The kinds of filter whose gain can be chosen."""


def design(kind: BiquadKind, w: float, q: float, gain_db: float) -> Array:
    """Return the coefficients [b0, b1, b2, a1, a2], scaled so that a0 = 1, by the equations of the cookbook.

    w: the frequency in radians per sample, 0 < w < pi; kind, q, gain_db: type, quality factor and gain in dB of the
    filter; only the kinds in `WITH_GAIN` have a gain; for the others it is ignored. Shelves take q, not a slope.

    Source: R. Bristow-Johnson, Cookbook formulae for audio equalizer biquad filter coefficients (W3C Note: Audio EQ
    Cookbook).
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


def cascade(x: Array, sections: Array, states: Array) -> Array:
    """Return x filtered by second-order sections, one after another, in the shape and dtype of x.

    x: [n] or [n, channels]; float32 is returned for int16. sections: the rows (b0, b1, b2, a1, a2) of the sections;
    states: [sections, 2, channels] float64, zeros before the first sample, updated in place.
    """
    from dspgraph_nodes._kernels.signal.filters import second_order_section

    y = x.reshape(len(x), -1).astype(np.float64)
    for coefs, state in zip(sections, states, strict=True):
        out = np.empty_like(y)
        second_order_section(y, coefs, state, out)
        y = out
    done: Array = y.reshape(x.shape).astype(np.result_type(x, np.float32))
    return done
