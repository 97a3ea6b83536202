import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import butter, sosfilt

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.biquad import design
from dspgraph_nodes.filter.equaliser import Equaliser, equaliser_sections
from helpers.speech import speech

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
BANDS = (("highpass", 80.0, 0.7071067811865476, 0.0), ("peaking", 1000.0, 2.0, 6.0), ("high_shelf", 5000.0, 0.7, -9.0))
EXAMPLES = [
    Example(Equaliser(bands=BANDS), x=(Audio(16000), speech(2000))),
    Example(Equaliser(bands=BANDS[1:]), x=(Audio(44100, channels=2), STEREO)),
]


def test_the_bands_are_filters_of_scipys_one_after_the_other() -> None:
    sections = np.insert(np.array([design(k, 2 * np.pi * f / 16000, q, g) for k, f, q, g in BANDS]), 3, 1.0, axis=1)  # type: ignore[arg-type]
    expected = sosfilt(sections, STEREO, axis=0)
    found = Example(Equaliser(bands=BANDS), x=(Audio(16000, channels=2), STEREO)).render()["y"]
    assert_allclose(found, expected, rtol=0, atol=1e-13)
    highpass = butter(2, 80, "highpass", fs=16000, output="sos")
    assert_allclose(np.insert(equaliser_sections(BANDS[:1], 16000), 3, 1.0, axis=1), highpass, rtol=0, atol=1e-14)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("band", "message"),
    [
        (("peaking", 8000.0, 1.0, 0.0), "band 1 is peaking, 8000 Hz, .* between 0 and 8000 Hz"),
        (("peaking", 100.0, 0.0, 0.0), "q between 0.01 and 1000"),
        (("lowpass", 100.0, 1.0, 3.0), "band 1 has the gain 3 dB, but a lowpass has none; .*: write 0"),
    ],
)
def test_bands_that_are_impossible_are_refused(band: tuple[str, float, float, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Equaliser(bands=(band,)).streams(Audio(16000))
