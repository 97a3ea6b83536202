"""Fixtures: audio files that the tests in several modules render."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.renderings import MARK
from helpers.speech import speech


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Write half a second of speech at 16 kHz to `in/good.wav`, and return its path."""
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "good.wav", speech()[8000:16000], 16000)
    return tmp_path / "in" / "good.wav"


@pytest.fixture
def marked(tmp_path: Path, good: Path) -> Path:
    """Write `bad.wav`, three samples of which the first is `MARK`, beside `good`, and return its path."""
    soundfile.write(good.with_name("bad.wav"), np.array([MARK, 0.5, -MARK]), 16000)
    return good.with_name("bad.wav")
