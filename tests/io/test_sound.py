"""A player for notebooks: the samples that it plays."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from dspgraph import Array, SignalError, Sound


@pytest.mark.parametrize("shape", [(800,), (800, 2)])
def test_the_element_has_the_samples(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).uniform(-0.9, 0.9, shape)
    x[5] = 1.5  # is clipped
    player = Sound(x, 8000)
    found = re.fullmatch(r'<audio controls src="data:audio/wav;base64,(.*)"></audio>', player._repr_html_())
    assert found
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(found[1])))
    assert rate == 8000 and repr(player) == "<Sound: 0.10 s at 8000 Hz>"
    np.testing.assert_allclose(samples, np.clip(x, -1, 1), atol=2**-15)  # 16 bits


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(3, int), 8000, "floats"),
        (np.zeros((1, 2, 3)), 8000, "floats"),
        (np.array([0, np.nan]), 8000, "finite samples; found one that is not, at 1"),
        (np.zeros(3), 0.5, "a whole number of samples per second; found 0.5: resample first"),
        (np.zeros(3), 0, "a whole number of samples per second; found 0"),
    ],
)
def test_other_samples_are_refused(samples: Array, rate: float, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        Sound(samples, rate)
