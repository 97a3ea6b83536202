"""Butterworth filters."""

from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State


def butterworth_sections(kind: Literal["lowpass", "highpass"], order: int, cycles: float) -> Array:
    """Return second-order sections (b0, b1, b2, a1, a2) of a Butterworth filter, [ceil(order / 2), 5].

    order: number of poles; cycles: the corner, where the gain is sqrt(1/2), in cycles per sample, between 0 and 1/2.
    """
    from dspgraph_nodes._kernels.maths.elementary import cos, sin
    from dspgraph_nodes._kernels.signal.biquad import design

    half = np.array(np.pi * cycles)
    rows = []
    for k in range(order // 2):
        angle = np.array(np.pi * (2 * k + 1) / (2 * order))
        rows.append(design(kind, 2 * np.pi * cycles, 1 / (2 * float(sin(angle))), 0.0))
    if order % 2:  # one real pole, by the bilinear transform with the corner warped
        warp = float(sin(half)) / float(cos(half))
        sign, top = (1, warp) if kind == "lowpass" else (-1, 1.0)
        rows.append(np.array([top, sign * top, 0.0, warp - 1, 0.0]) / np.array([warp + 1] * 4 + [1.0]))
    return np.array(rows)


class Butterworth(Node):
    """Filter every channel with a Butterworth lowpass or highpass, whose gain has no ripple.

        |H(w)|**2 = 1 / (1 + (tan(w / 2) / tan(w_c / 2))**(2 * order))    (lowpass; highpass: the quotient inverted)

    w_c is the corner, where the gain is -3 dB. Above it (below it, for a highpass) the slope is 6 dB per octave times
    the order. A highpass followed by a lowpass is a bandpass.

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, Prentice Hall, 2010
    (chapter 7, Butterworth filters by the bilinear transform); SciPy reference, `scipy.signal.butter`.
    """

    x = Input(Audio)
    y = Output(Audio)

    kind: Literal["lowpass", "highpass"] = Field(description="type of the filter")
    order: int = Field(4, ge=1, le=32, description="number of poles")
    frequency: float = Field(gt=0.0, description="corner, Hz")

    def streams(self, x: Audio) -> tuple[Audio]:
        if self.frequency >= x.rate / 2:
            raise ParameterError(
                f"butterworth.frequency is {self.frequency:.10g} Hz; {x} carries frequencies below "
                f"{float(x.rate / 2):.10g} Hz: lower it, or put a 'resample' before it"
            )
        return (x,)

    def start(self, x: Audio) -> State:
        sections = butterworth_sections(self.kind, self.order, self.frequency / float(x.rate))
        return sections, np.zeros((len(sections), 2, x.channels))

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.biquad import cascade

        return state, cascade(x, *state)
