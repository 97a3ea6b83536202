"""Pitch shifting: the pitch and the level of tones, and the times at which sounds begin."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.effects.pitch_shift import PitchShift, shift_ratio
from helpers.speech import speech

X = speech()[9000:13001]
STREAM = Audio(16000)
EXAMPLES = [
    Example(PitchShift(semitones=3, length=256, hop=64), x=(STREAM, X)),
    Example(PitchShift(semitones=-4.3, length=200, hop=50), x=(STREAM, X)),
    Example(PitchShift(semitones=12, method="wsola", length=240, hop=100, reach=30), x=(STREAM, X)),
    Example(PitchShift(semitones=0), x=(STREAM, X)),
    Example(PitchShift(semitones=3, length=256, hop=64), x=(Audio(16000, 2), np.stack((X, X[::-1]), axis=1))),
]
METHODS: list[dict[str, Any]] = [{}, {"method": "wsola", "hop": 256, "length": 512, "reach": 150}]


def shifted(x: Array, semitones: float, **settings: Any) -> Array:
    found: Array = Example(PitchShift(semitones=semitones, **settings), x=(STREAM, x)).render()["y"]
    return found


def frequency(x: Array) -> float:
    """Return the frequency, Hz, of the strongest tone in x at 16 kHz, from the phases of two windows.

    The windows have 4096 samples and begin at samples 4000 and 5000; x: [n], at least 9096 samples.
    """
    w = np.hanning(4096)
    first, second = (np.fft.rfft(x[at : at + 4096] * w) for at in (4000, 5000))
    peak = int(np.abs(first).argmax())
    turns = peak / 4096 * 1000
    advance = np.angle(second[peak] / first[peak]) / (2 * np.pi)
    return float((turns + (advance - turns + 0.5) % 1 - 0.5) * 16)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("semitones", [-7.5, 3.0, 12.0])
@pytest.mark.parametrize("hertz", [220.0, 1000.3])
def test_a_tone_moves_by_the_interval_and_keeps_its_level(
    method: dict[str, Any], semitones: float, hertz: float
) -> None:
    x = 0.5 * np.sin(2 * np.pi * hertz / 16000 * np.arange(16000))
    y = shifted(x, semitones, **method)
    assert len(y) == 16000
    assert abs(1200 * np.log2(frequency(y) / hertz) - 100 * semitones) < 3  # cents
    assert_allclose(np.sqrt(np.mean(y[3000:-3000] ** 2)), 0.5 / np.sqrt(2), rtol=0.05)


def test_what_happens_when_does_not_change() -> None:
    x = np.concatenate([np.sin(2 * np.pi * f / 16000 * np.arange(4000)) for f in (300, 900, 2000)])
    y = shifted(x, 7)
    for k, f in enumerate((300, 900, 2000)):
        part = np.abs(np.fft.rfft(y[4000 * k + 800 : 4000 * k + 3200] * np.hanning(2400)))
        assert_allclose(part.argmax() * 16000 / 2400, f * 2 ** (7 / 12), atol=16000 / 2400)


def test_no_interval_changes_nothing() -> None:
    assert_array_equal(shifted(X, 0), X)


def test_the_ratio_is_as_near_as_can_be_heard() -> None:
    for semitones in np.linspace(-24, 24, 481):
        assert shift_ratio(semitones).denominator < 5000
        assert abs(1200 * np.log2(float(shift_ratio(semitones))) - 100 * semitones) < 0.052


def test_settings_that_do_not_work_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"pitch_shift\.hop is 600; .*: take 512 or less"):
        PitchShift(semitones=1, hop=600).streams(STREAM)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("gain", [0.25, -1.0])
def test_a_sound_stays_where_it_is_panned(method: dict[str, Any], gain: float) -> None:
    both = Example(PitchShift(semitones=5, **method), x=(Audio(16000, 2), np.stack((X, gain * X), axis=1))).render()[
        "y"
    ]
    assert_allclose(both[:, 0], shifted(X, 5, **method), rtol=0, atol=1e-12)
    assert_allclose(both[:, 1], gain * both[:, 0], rtol=0, atol=1e-12)
