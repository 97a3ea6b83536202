"""Parametric equaliser."""

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.biquad import WITH_GAIN, BiquadKind

EqualiserBand = tuple[BiquadKind, float, float, float]
"""Type, frequency in Hz, quality factor and gain in dB of a filter."""


def equaliser_sections(bands: tuple[EqualiserBand, ...], rate: float) -> Array:
    """Return the coefficients (b0, b1, b2, a1, a2) of every band, [count, 5]. rate: sampling rate, Hz."""
    from dspgraph_nodes._kernels.signal.biquad import design

    rows = [design(kind, 2 * np.pi * frequency / rate, q, gain) for kind, frequency, q, gain in bands]
    return np.array(rows).reshape(-1, 5)


class Equaliser(Node):
    """Filter every channel with several second-order sections, one after another: a parametric equaliser.

    A band is a list (kind, frequency in Hz, quality factor q, gain in dB), with the kinds of the node `biquad`:
    `[[highpass, 80, 0.7071, 0], [peaking, 3000, 1, 4], [high_shelf, 8000, 0.7071, -3]]`.

    Source: R. Bristow-Johnson, Cookbook formulae for audio equalizer biquad filter coefficients (W3C Note: Audio EQ
    Cookbook).
    """

    x = Input(Audio)
    y = Output(Audio)

    bands: tuple[EqualiserBand, ...] = Field(
        min_length=1, max_length=64, description="the filters: kind, frequency (Hz), q, gain (dB) of each"
    )

    def streams(self, x: Audio) -> tuple[Audio]:
        for number, (kind, frequency, q, gain) in enumerate(self.bands, start=1):
            if not (0 < frequency < x.rate / 2 and 0.01 <= q <= 1000 and abs(gain) <= 120):
                raise ParameterError(
                    f"equaliser.bands: band {number} is {kind}, {frequency:g} Hz, q {q:g}, {gain:g} dB; with {x} the "
                    f"frequency lies between 0 and {float(x.rate / 2):g} Hz, q between 0.01 and 1000, the gain between "
                    "-120 and 120 dB: change it"
                )
            if gain and kind not in WITH_GAIN:
                raise ParameterError(
                    f"equaliser.bands: band {number} has the gain {gain:g} dB, but a {kind} has none; "
                    f"{', '.join(WITH_GAIN)} have: write 0"
                )
        return (x,)

    def start(self, x: Audio) -> State:
        sections = equaliser_sections(self.bands, float(x.rate))
        return sections, np.zeros((len(sections), 2, x.channels))

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.biquad import cascade

        return state, cascade(x, *state)
