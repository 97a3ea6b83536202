"""Fixtures: audio files that the tests in several modules render."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.renderings import MARK
from helpers.speech import speech


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return the path of a file with half a second of speech."""
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "good.wav", speech()[8000:16000], 16000)
    return tmp_path / "in" / "good.wav"


@pytest.fixture
def marked(tmp_path: Path, good: Path) -> Path:
    """Return the path of a short file whose first sample is `MARK`."""
    soundfile.write(good.with_name("bad.wav"), np.array([MARK, 0.5, -MARK]), 16000)
    return good.with_name("bad.wav")
