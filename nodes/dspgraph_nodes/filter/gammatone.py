"""Gammatone filter bank."""

from typing import Any

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, require_mono


def erb_frequencies(bands: int, low: float, high: float) -> Array:
    """Return centre frequencies in Hz, [bands], equally spaced on the scale of equivalent rectangular bandwidths.

    The scale is E(f) = 21.4 * log10(1 + 0.00437 * f); low, high: the first and the last frequency, Hz;
    a single band has the frequency low.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log

    ends = log(1 + 0.00437 * np.array([low, high]))
    share = np.arange(bands) / max(1, bands - 1)
    return (exp(ends[0] + (ends[1] - ends[0]) * share) - 1) / 0.00437


def gammatone_sections(frequency: float, rate: float) -> Array:
    """Return four second-order sections (b0, b1, b2, a1, a2) of a gammatone filter of fourth order, [4, 5].

    frequency: the centre, Hz, where the gain is 1; rate: sampling rate, Hz. The bandwidth is 1.019 * ERB(frequency),
    with ERB(f) = 24.7 * (4.37 * f / 1000 + 1) Hz.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, phasor

    width = 2 * np.pi * 1.019 * 24.7 * (4.37 * frequency / 1000 + 1) / rate
    turn = complex(phasor(np.array(2 * np.pi * frequency / rate)))
    c, s, radius = turn.real, turn.imag, float(exp(np.array(-width)))
    roots = [sign * np.sqrt(3 + other * np.sqrt(8.0)) for other in (1, -1) for sign in (1, -1)]
    rows, gain = [], 1.0
    for root in roots:
        b1, a1, a2 = -radius * (c + root * s), -2 * radius * c, radius * radius
        here = (1 + b1 / turn) / (1 + a1 / turn + a2 / (turn * turn))
        rows.append([1.0, b1, 0.0, a1, a2])
        gain /= abs(here)
    sections: Array = np.array(rows)
    sections[:, :3] *= np.sqrt(np.sqrt(gain))
    return sections


class Gammatone(Node):
    """Filter audio with a bank of gammatone filters of fourth order: the channels of the output are the bands.

        g_k(t) = t**3 * e**(-2 * pi * b_k * t) * cos(2 * pi * f_k * t),    b_k = 1.019 * 24.7 * (4.37 * f_k / 1000 + 1)

    The frequencies f_k are equally spaced on the ERB scale from f_min to f_max; each filter has the gain 1 at its f_k.
    The filters are causal, and delay low bands more than high bands.

    Source: M. Slaney, An Efficient Implementation of the Patterson-Holdsworth Auditory Filter Bank, Apple Technical
    Report 35, 1993; SciPy reference, `scipy.signal.gammatone` (ftype="iir").
    """

    x = Input(Audio)
    y = Output(Audio)

    bands: int = Field(32, ge=2, le=1024, description="number of bands, the channels of the output")
    f_min: float = Field(80.0, gt=0, description="centre of the first band, Hz")
    f_max: float = Field(7000.0, gt=0, description="centre of the last band, Hz")

    def streams(self, x: Audio) -> tuple[Audio]:
        require_mono(x, self)
        if not self.f_min < self.f_max < x.rate / 2:
            raise ParameterError(
                f"gammatone.f_min is {self.f_min:g} and f_max {self.f_max:g} Hz; with {x} they must rise, and stay "
                f"below {float(x.rate / 2):g} Hz: change them"
            )
        return (x.like(channels=self.bands),)

    def frequencies(self, x: Audio) -> Array:
        return erb_frequencies(self.bands, self.f_min, self.f_max)

    def start(self, x: Audio) -> State:
        bank = [gammatone_sections(f, float(x.rate)) for f in erb_frequencies(self.bands, self.f_min, self.f_max)]
        return np.array(bank), np.zeros((self.bands, 4, 2, 1))

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, filter_bank(x, *state)


def filter_bank(x: Array, bank: Array, states: Any) -> Array:
    """Return x [n] filtered by every filter of a bank, [n, bands], in the dtype of x.

    x: floats, n >= 1; bank: [bands, sections, 5]; states: [bands, sections, 2, 1], float64, updated in place.
    """
    from dspgraph_nodes._kernels.signal.biquad import cascade

    y = np.empty((len(x), len(bank)), x.dtype)
    for k, sections in enumerate(bank):
        y[:, k] = cascade(x, sections, states[k])
    return y
