from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import firwin

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.fir_design import FirDesign, fir_design
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(FirDesign(kind="lowpass", cutoffs=(3000,), taps=63), x=(Audio(16000), speech(2000))),
    Example(FirDesign(kind="bandpass", cutoffs=(300, 3000), taps=33), x=(Audio(44100, channels=2), STEREO)),
]
CASES: list[tuple[Any, tuple[float, ...]]] = [
    ("lowpass", (3000.0,)),
    ("highpass", (3000.0,)),
    ("bandpass", (500.0, 3000.0)),
    ("bandstop", (500.0, 3000.0)),
]


@pytest.mark.parametrize(("kind", "cutoffs"), CASES)
@pytest.mark.parametrize("taps", [3, 63, 255])
@pytest.mark.parametrize("window", ["boxcar", "hann", "hamming", "blackman"])
def test_it_is_scipys_design(kind: Any, cutoffs: tuple[float, ...], taps: int, window: Any) -> None:
    expected = firwin(taps, cutoffs, pass_zero=kind, window=window, fs=16000)
    found = fir_design(taps, kind, tuple(f / 16000 for f in cutoffs), window)
    assert_allclose(found, expected, rtol=0, atol=1e-13 * max(1, abs(expected).max()))


@pytest.mark.parametrize(("kind", "cutoffs"), CASES)
def test_nothing_is_delayed(kind: Any, cutoffs: tuple[float, ...]) -> None:
    taps = firwin(63, cutoffs, pass_zero=kind, window="hamming", fs=16000)
    node = FirDesign(kind=kind, cutoffs=cutoffs, taps=63)
    found = Example(node, x=(Audio(16000, channels=2), STEREO)).render()["y"]
    expected = [np.convolve(channel, taps)[31:-31] for channel in STEREO.T]
    assert_allclose(found, np.transpose(expected), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (FirDesign(kind="lowpass", cutoffs=(100,), taps=64), r"fir_design\.taps is 64; it must be odd: take 65"),
        (FirDesign(kind="lowpass", cutoffs=(100, 200)), "a lowpass of .* has 1, ascending, between 0 and 8000 Hz"),
        (FirDesign(kind="bandpass", cutoffs=(200, 100)), "a bandpass of .* has 2, ascending"),
    ],
)
def test_designs_that_are_impossible_are_refused(node: FirDesign, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(Audio(16000))
