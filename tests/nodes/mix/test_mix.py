import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.mix import Mix, mix, mono
from helpers.speech import speech

AUDIO = Audio(16000)
PARTS = [speech(k * 3333)[-3333:] for k in (1, 2, 3)]
CHANNELS = np.stack(PARTS, axis=1)

EXAMPLES = [
    Example(Mix(), x=[(AUDIO, part) for part in PARTS]),
    Example(Mix(), x=[(AUDIO, PARTS[0])]),
    Example(Mix(channels="mono"), x=[(AUDIO.like(channels=3), CHANNELS), (AUDIO.like(channels=3), -0.5 * CHANNELS)]),
    Example(Mix(channels="mono"), x=[(AUDIO, part) for part in PARTS]),  # mono already
]


def test_it_is_the_sum() -> None:
    expected = [math.fsum(samples) for samples in zip(*PARTS, strict=True)]  # correctly rounded
    assert_allclose(mix(PARTS), expected, rtol=0, atol=1e-15)  # two roundings of at most 2.2e-16


def test_wires_are_added_left_to_right() -> None:
    big, small = np.array([1e16]), np.array([1.0])
    assert mix([big, small, -big]).item() == 0.0  # 1e16 + 1 rounds to 1e16
    assert mix([big, -big, small]).item() == 1.0


def test_mono_is_the_mean_of_the_channels() -> None:
    assert_allclose(mono(CHANNELS), CHANNELS.mean(axis=1), rtol=0, atol=1e-15)
    assert_array_equal(mono(PARTS[0]), PARTS[0])


def test_the_inputs_are_left_alone() -> None:
    x = PARTS[0].copy()
    mix([x])[:] = 0
    assert_array_equal(x, PARTS[0])


@pytest.mark.parametrize("other", [Audio(8000), Audio(16000, channels=2), Audio(16000, dtype=np.float32)], ids=str)
def test_unequal_signals_are_refused(other: Audio) -> None:
    with pytest.raises(ParameterError, match=r"wire 1 is .* wire 3 is .*: convert one of them"):
        Mix().streams((AUDIO, AUDIO, other))


def test_mono_has_one_channel() -> None:
    assert Mix(channels="mono").streams((AUDIO.like(channels=3),)) == (AUDIO,)
