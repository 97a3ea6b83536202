"""The recording of speech that tests use. It is a file in the package pysptk."""

from functools import lru_cache

import numpy as np
import soundfile

from dspgraph import Array
from dspgraph.io.audio import example_speech


@lru_cache(maxsize=1)
def _clip() -> Array:
    samples, rate = soundfile.read(example_speech())
    assert rate == 16000
    return np.asarray(samples, np.float64)


def speech(n: int | None = None) -> Array:
    """Return a copy of the first n samples of the recording, by default all 64000: [n], 16 kHz, full scale +-1."""
    return _clip()[:n].copy()
