"""Time stretching: duration, pitch, channels, and the identity for the factor 1, with both methods."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.stretching import Stretching, stretch_flush, stretch_start, stretch_step
from dspgraph_nodes.effects.time_stretch import TimeStretch, time_stretch
from helpers.integers import check_integers, integers
from helpers.speech import speech

X = speech()[9000:14001]
BOTH = np.stack((X, np.roll(X, 7) - 0.3 * X[::-1]), axis=1)
STREAM, STEREO = Audio(16000), Audio(16000, 2)
EXAMPLES = [
    Example(TimeStretch(factor=1.25, length=256, hop=64), x=(STREAM, X)),
    Example(TimeStretch(factor=0.7, length=200, hop=50), x=(STREAM, X)),
    Example(TimeStretch(factor=1.5, method="wsola", length=240, hop=120, reach=40), x=(STREAM, X)),
    Example(TimeStretch(factor=0.8, method="wsola", length=240, hop=100, reach=30), x=(STREAM, X)),
    Example(TimeStretch(factor=1), x=(STREAM, X)),
    Example(TimeStretch(factor=1.25, length=256, hop=64), x=(STEREO, BOTH)),
    Example(TimeStretch(factor=0.8, method="wsola", length=240, hop=100, reach=30), x=(STEREO, BOTH)),
]
METHODS: list[dict[str, Any]] = [
    {"method": "phase_vocoder"},
    {"method": "wsola", "hop": 256, "length": 512, "reach": 150},
]


def frequency(x: Array, rate: float) -> float:
    """Return the frequency, Hz, of the strongest tone in x, from the phases of two long windows 1000 samples apart.

    x: 8096 samples or more; rate: Hz.
    """
    w = np.hanning(4096)
    first, second = (np.fft.rfft(x[at : at + 4096] * w) for at in (3000, 4000))
    peak = int(np.abs(first).argmax())
    turns = peak / 4096 * 1000
    advance = np.angle(second[peak] / first[peak]) / (2 * np.pi)
    return float((turns + (advance - turns + 0.5) % 1 - 0.5) / 1000 * rate)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("factor", [0.8, 1.25])
@pytest.mark.parametrize("hertz", [110.0, 1000.3, 3210.0])
def test_a_tone_keeps_its_pitch_and_its_level(method: dict[str, Any], factor: float, hertz: float) -> None:
    x = 0.5 * np.sin(2 * np.pi * hertz / 16000 * np.arange(16000))
    y = time_stretch(x, factor, **method)
    assert len(y) == np.ceil(16000 * factor)
    assert abs(1200 * np.log2(frequency(y, 16000) / hertz)) < 3  # cents
    inner = y[3000:-3000]
    assert_allclose(np.sqrt(np.mean(inner**2)), 0.5 / np.sqrt(2), rtol=0.05)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_factor_of_1_changes_nothing(method: dict[str, Any]) -> None:
    assert_array_equal(time_stretch(X, 1, **method), X)
    assert_array_equal(Example(TimeStretch(factor=1, **method), x=(STREAM, X)).render()["y"], X)


@pytest.mark.parametrize("reach", [0, 40])
@pytest.mark.parametrize("silence", [0, 2000])
def test_both_methods_give_the_signal_back_at_its_own_duration(reach: int, silence: int) -> None:
    """With the factor 1, the output equals the input, also after silence.

    In silence, WSOLA finds all shifts equally good, and a phase vocoder all phases. reach: that of WSOLA, or 0 for the
    phase vocoder; silence: samples of silence before the sound.
    """
    x = np.pad(BOTH.T, ((0, 0), (silence, 0)))
    how = Stretching(1, 1, 512, 128, reach)
    held = stretch_start(how, 2, x.dtype)
    y = np.concatenate((stretch_step(how, held, x), stretch_flush(how, held)), axis=1)
    assert_allclose(y, x, rtol=0, atol=1e-13)


# ---- several channels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_equal_channels_give_what_one_channel_gives(method: dict[str, Any]) -> None:
    y = time_stretch(np.stack((X, X), axis=1), 1.3, **method)
    assert_array_equal(y[:, 0], y[:, 1])
    assert_allclose(y[:, 0], time_stretch(X, 1.3, **method), rtol=0, atol=1e-12)  # sums of two equal numbers


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("gain", [0.25, -1.0, 0.0])
def test_a_sound_stays_where_it_is_panned(method: dict[str, Any], gain: float) -> None:
    """The right channel is `gain` times the left one, also after stretching, and the left one stays loud.

    With gain -1 the sum of both is silent.
    """
    y = time_stretch(np.stack((X, gain * X), axis=1), 0.8, **method)
    assert np.abs(y[:, 0]).max() > 0.5 * np.abs(X).max()
    assert_allclose(y[:, 1], gain * y[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_channels_can_be_exchanged(method: dict[str, Any]) -> None:
    assert_array_equal(time_stretch(BOTH[:, ::-1], 1.3, **method), time_stretch(BOTH, 1.3, **method)[:, ::-1])


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_tones_keep_their_differences_of_level_and_phase(method: dict[str, Any]) -> None:
    """Two tones differ in level and phase between the channels, and keep these differences.

    If each channel were stretched alone, the phases of the channels would drift apart.
    """
    n = np.arange(16000)
    tones = {300.0: (0.4, 0.1, 0.7), 2100.0: (0.1, 0.3, -1.9)}  # Hz -> level left, level right, phase right - left
    left = sum(a * np.cos(2 * np.pi * f / 16000 * n) for f, (a, _, _) in tones.items())
    right = sum(b * np.cos(2 * np.pi * f / 16000 * n + phase) for f, (_, b, phase) in tones.items())
    y = time_stretch(np.stack((left, right), axis=1), 1.25, **method)[4000:12000]
    w = np.hanning(8000)[:, None]
    for f, (a, b, phase) in tones.items():
        one, other = (y * w * np.exp(-2j * np.pi * f / 16000 * np.arange(8000))[:, None]).sum(axis=0)
        assert abs(20 * np.log10(abs(other / one) / (b / a))) < 0.5  # dB
        assert abs(np.angle(other / one * np.exp(-1j * phase))) < 0.05  # radians


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_what_happens_when_is_stretched(method: dict[str, Any], factor: float) -> None:
    """Tones that follow each other are heard at `factor` times their original times, with their frequencies."""
    x = np.concatenate([np.sin(2 * np.pi * f / 16000 * np.arange(4000)) for f in (300, 900, 2000)])
    y = time_stretch(x, factor, **method)
    for k, f in enumerate((300, 900, 2000)):
        begin, end = int((4000 * k + 800) * factor), int((4000 * k + 3200) * factor)
        part = np.abs(np.fft.rfft(y[begin:end] * np.hanning(end - begin)))
        assert_allclose(part.argmax() * 16000 / (end - begin), f, atol=16000 / (end - begin))


def test_the_node_is_the_function_and_silence_stays_silent() -> None:
    assert_array_equal(EXAMPLES[0].render()["y"], time_stretch(X, 1.25, 256, 64))
    assert_array_equal(EXAMPLES[2].render()["y"], time_stretch(X, 1.5, 240, 120, "wsola", 40))
    for method in METHODS:
        assert_array_equal(time_stretch(np.zeros(3000), 1.3, **method), np.zeros(3900))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (TimeStretch(factor=1.23456789012), "this ratio has too many digits; take 1.235"),
        (TimeStretch(factor=2, hop=600), r"time_stretch\.hop is 600; .*: take 512 or less"),
    ],
)
def test_settings_that_do_not_work_are_refused(node: TimeStretch, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(STREAM)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: time_stretch(x, 1.5, 64, 16), dtype, floats, (300,))
