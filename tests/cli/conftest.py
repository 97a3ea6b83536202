"""Inputs that the tests of several commands share."""

from pathlib import Path

import pytest
import soundfile

from helpers.speech import speech


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Return the path of in/voice.wav in the folder of the test: half a second of real speech, 16 kHz, 16 bits."""
    path = tmp_path / "in" / "voice.wav"
    path.parent.mkdir()
    soundfile.write(path, speech()[8000:16000], 16000)
    return path


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    path = tmp_path / "scale.yaml"
    path.write_text("inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x, factor: 0.5}}\noutputs: {y: end}\n"
                    "variants: {end: {late: {node: toy_late, x: x}}}\n")  # fmt: skip
    return path
