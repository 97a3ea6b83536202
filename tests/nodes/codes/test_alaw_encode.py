"""A-law codes, compared with those that libsndfile writes."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.codes.alaw_encode import AlawEncode, alaw_encode
from helpers.speech import speech

EXAMPLES = [Example(AlawEncode(), x=(Audio(8000), speech(3000)))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_sample_of_16_bits_has_the_code_of_libsndfile_or_one_that_is_as_near(dtype: Any) -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, "ALAW", format="RAW")
    expected = np.frombuffer(file.getvalue(), np.uint8)
    found = alaw_encode((samples / 32768).astype(dtype))
    # Where they differ the sample lies on the border of two codes, mostly midway between what they stand for.
    different = found != expected
    ours, theirs = (expanded(codes[different]) for codes in (found, expected))
    assert (np.abs(ours - samples[different]) <= np.abs(theirs - samples[different])).all()
    assert different.sum() == 127  # half of the 255 borders between codes: the negative ones, measured


def expanded(codes: Array) -> Array:
    """Return the 16-bit samples, int64, to which libsndfile expands A-law codes. codes: [n], whole numbers 0 .. 255."""
    file = io.BytesIO(codes.astype(np.uint8).tobytes())
    samples, _ = soundfile.read(file, dtype="int16", samplerate=8000, channels=1, subtype="ALAW", format="RAW")
    return np.asarray(samples, np.int64)


def test_samples_beyond_full_scale_are_clipped_and_nan_is_refused() -> None:
    assert_array_equal(alaw_encode(np.array([-5.0, -1.0, 5.0, 1.0])), [0x2A, 0x2A, 0xAA, 0xAA])
    with pytest.raises(ValueError, match="NaN has no A-law code; item 1 is NaN"):
        alaw_encode(np.array([0, np.nan]))
    with pytest.raises(ParameterError, match="alaw_encode takes one channel"):
        AlawEncode().streams(Audio(8000, channels=2))
