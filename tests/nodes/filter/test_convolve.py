"""Convolution, compared with scipy's fftconvolve, with responses of one channel and of several."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose
from scipy.signal import fftconvolve

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.filter.convolve import Convolve, convolve
from helpers.integers import check_integers, integers
from helpers.speech import speech
from helpers.weight_files import shared_file

RNG = np.random.default_rng(71)
STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
DECAY = np.exp(-np.arange(1000) / 200)[:, None] * RNG.standard_normal((1000, 2))


def wave_file(samples: Array, rate: int) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, "DOUBLE", format="WAV")
    return shared_file(buffer.getvalue())


MONO, BOTH = wave_file(DECAY[:, 0], 16000), wave_file(DECAY, 44100)
EXAMPLES = [
    Example(Convolve(response=MONO, block=256), x=(Audio(16000), speech(3000))),
    Example(Convolve(response=BOTH, block=100, gain=-0.1), x=(Audio(44100, channels=2), STEREO)),
    Example(Convolve(response=BOTH, block=70, tail=True), x=(Audio(44100, channels=2), STEREO)),
]


@pytest.mark.parametrize("block", [16, 100, 1000, 4096])
@pytest.mark.parametrize("count", [1, 99, 3001])
def test_it_is_scipys_convolution(block: int, count: int) -> None:
    x = STEREO[:count]
    expected = np.stack([fftconvolve(x[:, c], DECAY[:, c])[:count] for c in (0, 1)], axis=1)
    assert_allclose(convolve(x, DECAY, block), expected, rtol=0, atol=1e-12)
    assert_allclose(convolve(x[:, 0], DECAY[:, 0], block), expected[:, 0], rtol=0, atol=1e-12)
    node = Convolve(response=BOTH, block=block)
    assert_allclose(Example(node, x=(Audio(44100, channels=2), x)).render()["y"], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("block", [16, 100, 3001, 4096])
@pytest.mark.parametrize("count", [1, 99, 3001])
def test_with_its_tail_it_is_scipys_whole_convolution(block: int, count: int) -> None:
    node = Convolve(response=BOTH, block=block, tail=True)
    found = Example(node, x=(Audio(44100, channels=2), STEREO[:count])).render()["y"]
    assert_allclose(found, fftconvolve(STEREO[:count], DECAY, axes=0), rtol=0, atol=1e-12)


def test_a_response_of_one_channel_serves_all() -> None:
    found = Example(Convolve(response=MONO), x=(Audio(16000, channels=2), STEREO)).render()["y"]
    expected = fftconvolve(STEREO, DECAY[:, :1], axes=0)[: len(STEREO)]
    assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"convolve\.response has 16000 samples per second, and x is Audio\(44100"):
        Convolve(response=MONO).streams(Audio(44100))
    with pytest.raises(ParameterError, match=r"has 2 channels, and x is .*: take a file with 1 or 3"):
        Convolve(response=BOTH).streams(Audio(44100, channels=3))
    for name in ("none.wav", "text.wav"):
        (tmp_path / "text.wav").write_text("no sound")
        with pytest.raises(ParameterError, match=rf"convolve\.response: .*{name} cannot be read as audio"):
            Convolve(response=str(tmp_path / name)).streams(Audio(16000))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    with pytest.raises(ParameterError, match="has 0 samples"):
        Convolve(response=str(tmp_path / "empty.wav")).streams(Audio(16000))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: convolve(x, DECAY[:, 0]), dtype, floats, (50,))
