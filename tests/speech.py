"""The one real recording every test may use: it comes with pysptk."""

from functools import lru_cache

import numpy as np
import soundfile
from dspgraph import Array


@lru_cache(maxsize=1)
def _clip() -> Array:
    import pysptk.util

    samples, rate = soundfile.read(pysptk.util.example_audio_file())
    assert rate == 16000
    return np.asarray(samples, np.float64)


def speech(n: int | None = None) -> Array:
    """The first n samples of the clip (all of it by default), 16 kHz, +-1."""
    return _clip()[:n].copy()
