"""Expansion of A-law codes, compared with libsndfile's."""

import io

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import ParameterError, Symbols
from dspgraph.testing import Example
from dspgraph_nodes.codes.alaw_decode import AlawDecode, alaw_decode

STREAM = Symbols(8000, "alaw", 256)
CODES = np.random.default_rng(82).integers(0, 256, 999)
EXAMPLES = [Example(AlawDecode(), codes=(STREAM, CODES))]


def test_every_code_is_expanded_as_in_g711() -> None:
    file = io.BytesIO(bytes(range(256)))
    expected, _ = soundfile.read(file, dtype="int16", samplerate=8000, channels=1, subtype="ALAW", format="RAW")
    assert_array_equal(alaw_decode(np.arange(256)) * 32768, expected)


def test_other_symbols_are_refused() -> None:
    with pytest.raises(ParameterError, match="alaw_decode takes 256 codes; found"):
        AlawDecode().streams(Symbols(8000, "alaw", 128))
    with pytest.raises(ValueError, match="A-law codes are integers from 0 to 255; item 1 is 256"):
        alaw_decode(np.array([0, 256]))
