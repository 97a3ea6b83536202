"""The inverse of the constant-Q transform: how exactly a signal in the band of the bins is restored."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import butter, sosfiltfilt

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.constant_q import (
    bin_frequencies,
    constant_q_filters,
    constant_q_rows,
    half_window,
    quality_factor,
)  # fmt: skip
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes.spectrum.inverse_constant_q import InverseConstantQ
from helpers.speech import speech

RATE, HOP = 16000, 12
X = speech()[9000:13000]


def transformed(x: Array, f_min: float, bins: int, hop: int = HOP, scale: float = 1.0) -> Array:
    """Return Brown's constant-Q transform of x, [frames, bins], computed by the kernels of the node `constant_q`.

    There are 12 bins per octave from f_min (Hz) on, and a row, in the middle of its span, for every `hop` samples.
    x: [n], 16 kHz; scale: a factor for the lengths of the windows.
    """
    frequencies = bin_frequencies(f_min, bins, 12)
    lengths = scale * quality_factor(12) * RATE / frequencies
    half = half_window(lengths[0])
    frames = Framing(2 * half + 1, hop, hop // 2 - half).whole(x)
    bank = constant_q_filters(tuple((frequencies / RATE).tolist()), tuple(lengths.tolist()))
    return constant_q_rows(frames, bank)


def stream(bins: int, hop: int = HOP) -> Frames:
    return Frames(f"{RATE}/{hop}", "constant_q", bins, f"{hop // 2}/{RATE}", "complex128")


EXAMPLES = [
    Example(InverseConstantQ(hop=HOP, f_min=800), spectrum=(stream(24), transformed(X[:1500], 800, 24))),
    Example(
        InverseConstantQ(hop=7, f_min=2000, filter_scale=0.5),
        spectrum=(stream(5, 7), transformed(X[:800], 2000, 5, 7, 0.5)),
    ),
]


def error(x: Array, f_min: float, bins: int, edge: int) -> float:
    """Transform x and invert the transform; return the power of the error relative to x, in dB.

    f_min: the frequency of the lowest bin, Hz; edge: how many samples at each end are left out of the error.
    """
    found = Example(InverseConstantQ(hop=HOP, f_min=f_min), spectrum=(stream(bins), transformed(x, f_min, bins)))
    y = found.render()["y"][: len(x)]
    inner = slice(edge, len(x) - edge)
    return float(10 * np.log10(np.sum((y - x)[inner] ** 2) / np.sum(x[inner] ** 2)))


def test_speech_in_the_band_comes_back() -> None:
    """Speech from 260 to 3000 Hz comes back with an error below -50 dB. The bins go from 200 to 4000 Hz.

    The edges that are left out are a little longer than half the longest window.
    """
    band = butter(8, [260, 3000], "bandpass", fs=RATE, output="sos")
    assert error(sosfiltfilt(band, X), 200, 53, 700) < -50  # measured -57


@pytest.mark.parametrize("hertz", [450.0, 1000.3, 2500.0])
def test_a_tone_keeps_its_level_and_its_phase(hertz: float) -> None:
    assert error(np.sin(2 * np.pi * hertz / RATE * np.arange(4000)), 300, 40, 1000) < -55  # measured -65 to -73


def test_what_does_not_fit_is_refused() -> None:
    rows = stream(24)
    with pytest.raises(ParameterError, match="the last of 24 bins would be at 15102 Hz"):
        InverseConstantQ(hop=HOP, f_min=4000).streams(rows)
    with pytest.raises(ParameterError, match="the largest hop without gaps: take 23 or less"):
        InverseConstantQ(hop=24, f_min=1000).streams(stream(24, 24))
    with pytest.raises(ParameterError, match="takes complex rows"):
        InverseConstantQ(f_min=800).streams(rows.like(dtype="float64"))
    with pytest.raises(ParameterError, match="was computed with another: take that"):
        InverseConstantQ(hop=HOP, f_min=400).streams(rows.like(centre="1/100"))


def test_the_rate_follows_from_the_hop() -> None:
    (found,) = InverseConstantQ(hop=HOP, f_min=800).streams(stream(24))
    assert_allclose(float(found.rate), RATE)
