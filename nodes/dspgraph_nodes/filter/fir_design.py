"""Linear-phase filters by the window method."""

from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.windows import Window, window_values

FirKind = Literal["lowpass", "highpass", "bandpass", "bandstop"]
_PASSED: dict[FirKind, tuple[int, ...]] = {"lowpass": (0,), "highpass": (1,), "bandpass": (1,), "bandstop": (0, 2)}
"""Kind of a filter -> the numbers of the bands that pass. The bands lie between the cutoffs and count from 0 Hz."""


def fir_design(taps: int, kind: FirKind, cutoffs: tuple[float, ...], window: Window = "hamming") -> Array:
    """Return the impulse response of a linear-phase filter, [taps], symmetric.

    taps: an odd number; kind, window: as in `FirDesign`; cutoffs: in cycles per sample, ascending, between 0 and 1/2:
    one cutoff for a lowpass or highpass, two for the other kinds. The gain is about 1/2 at a cutoff. It is exactly 1 at
    one frequency of the first passband: at 0 Hz if the band begins there, at half the rate if the band ends there, else
    in the middle of the band.
    """
    from dspgraph_nodes._kernels.maths.elementary import cos, sin

    half = taps // 2
    m = np.arange(-half, half + 1)
    edges = (0.0, *cutoffs, 0.5)

    def ideal(cycles: float) -> Array:
        """Return the impulse response of an ideal lowpass at every m: sin(2 * pi * cycles * m) / (pi * m).

        cycles: the cutoff, in cycles per sample.
        """
        h = sin(2 * np.pi * (cycles * m)) / (np.pi * np.where(m == 0, 1, m))
        h[half] = 2 * cycles
        return h

    bands = [(edges[k], edges[k + 1]) for k in _PASSED[kind]]
    h = np.zeros(taps)
    for low, high in bands:
        h += ideal(high) - ideal(low)
    periodic = window_values(window, "none", taps - 1, np.dtype(np.float64))
    h *= np.append(periodic, periodic[0])
    low, high = bands[0]
    centre = 0.0 if low == 0 else 0.5 if high == 0.5 else (low + high) / 2
    gain: Array = h / np.add.accumulate(h * cos(2 * np.pi * (centre * m)))[-1]
    return gain


class FirDesign(Node):
    """Filter every channel, without delay, with a linear-phase filter that is designed by the window method.

        y[n] = sum_m h[m] * x[n - m],    h[m] = w[m] * (ideal impulse response),    |m| <= (taps - 1) / 2

    The impulse response is centred on 0, so that y is not delayed against x, and the node has a lookahead of (taps - 1)
    / 2 samples. The gain is about 1/2 at each cutoff, and about 1 in the passband. For an impulse response of your own
    there is the node `fir`.

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, Prentice Hall, 2010
    (chapter 7, design by windowing); SciPy reference, `scipy.signal.firwin`.
    """

    x = Input(Audio)
    y = Output(Audio)

    kind: FirKind = Field(description="type of the filter")
    cutoffs: tuple[float, ...] = Field(min_length=1, max_length=2, description="edges of the passband, Hz, ascending")
    taps: int = Field(255, ge=3, le=65535, description="length of the impulse response, an odd number")
    window: Window = Field("hamming", description="window of the impulse response")

    def streams(self, x: Audio) -> tuple[Audio]:
        if not self.taps % 2:
            raise ParameterError(f"fir_design.taps is {self.taps}; it must be odd: take {self.taps + 1}")
        needed = 1 if self.kind in ("lowpass", "highpass") else 2
        ascending = (0.0, *self.cutoffs, float(x.rate) / 2)
        if len(self.cutoffs) != needed or any(a >= b for a, b in pairwise(ascending)):
            raise ParameterError(
                f"fir_design.cutoffs is {list(self.cutoffs)} Hz; a {self.kind} of {x} has {needed}, ascending, between "
                f"0 and {float(x.rate / 2):g} Hz"
            )
        return (x,)

    def lookahead(self, x: Audio) -> Fraction:
        return (self.taps // 2) / x.rate

    def start(self, x: Audio) -> State:
        cycles = tuple(cutoff / float(x.rate) for cutoff in self.cutoffs)
        return fir_design(self.taps, self.kind, cycles, self.window), np.zeros((self.taps // 2, *x.item_shape), x.dtype)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        taps, held = state
        samples = np.concatenate((held, x))
        kept = samples[max(0, len(samples) - len(taps) + 1) :].copy()
        return (taps, kept), filtered(samples, taps)

    def flush(self, state: State) -> tuple[Array]:
        taps, held = state
        return (filtered(np.concatenate((held, np.zeros((len(taps) // 2, *held.shape[1:]), held.dtype))), taps),)


def filtered(samples: Array, taps: Array) -> Array:
    """Return the part of the filtered signal that depends on no input sample outside `samples`: [m] or [m, channels].

    samples: [n] or [n, channels], floats; taps: the impulse response, [count]; m = max(0, n - count + 1). The result
    has the dtype of the samples.
    """
    from dspgraph_nodes._kernels.signal.filters import convolve

    y = np.empty((max(0, len(samples) - len(taps) + 1), *samples.shape[1:]), samples.dtype)
    if len(y):
        channels = y.size // len(y)
        convolve(np.ascontiguousarray(samples).reshape(-1), taps.astype(y.dtype), channels, y.reshape(-1))
    return y
