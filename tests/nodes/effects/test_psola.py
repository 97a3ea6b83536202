"""PSOLA on vowels whose pitch and formants are known."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from dspgraph import Array, Audio, Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.effects.psola import Psola
from helpers.speech import speech

AUDIO, ROWS = Audio(16000), Frames(200, "f0", 1)
PITCH = np.where((np.arange(51) > 9) & (np.arange(51) < 40), 110.0 + np.arange(51), 0.0)[:, None]
BOTH = np.stack((speech()[9000:13000], speech()[13000:9000:-1]), axis=1)
EXAMPLES = [
    Example(Psola(semitones=4), x=(AUDIO, speech()[9000:13000]), f0=(ROWS, PITCH[:50])),
    Example(Psola(semitones=-3), x=(Audio(16000, 2), BOTH), f0=(ROWS, PITCH[:50])),
]

FORMANTS = ((700, 80), (1200, 90), (2600, 150))


def vowel(f0: float, count: int = 16000) -> Array:
    """Return a vowel [count] at 16 kHz: pulses of the pitch f0, filtered by three resonances."""
    x = np.zeros(count)
    x[np.round(np.arange(0, count, 16000 / f0)).astype(int)[:-1]] = 1
    for frequency, width in FORMANTS:
        radius, angle = np.exp(-np.pi * width / 16000), 2 * np.pi * frequency / 16000
        x = lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], x)
    return np.asarray(x / np.abs(x).max())


def shifted(x: Array, f0: float, semitones: float) -> Array:
    rows = np.full((-(-len(x) // 80), 1), float(f0))
    y: Array = Example(Psola(semitones=semitones), x=(AUDIO, x), f0=(ROWS, rows)).render()["y"]
    return y


def frequency(y: Array, near: float) -> float:
    """Return the pitch near `near`, Hz, whose harmonics have the most power in a long window."""
    spectrum = np.abs(np.fft.rfft(y[2000:14000] * np.hanning(12000), 1 << 18)) ** 2
    candidates = near * 2 ** (np.linspace(-100, 100, 2001) / 1200)
    power = [spectrum[np.round(np.arange(1, 12) * f / 16000 * (1 << 18)).astype(int)].sum() for f in candidates]
    return float(candidates[int(np.argmax(power))])


def formants(y: Array) -> Array:
    """Return the frequencies of the poles of linear prediction that lie near the unit circle."""
    part = y[4000:12000] * np.hanning(8000)
    r = np.correlate(part, part, "full")[7999 : 7999 + 11]
    roots = np.roots(np.append(1, -solve_toeplitz(r[:-1], r[1:])))
    found = roots[(roots.imag > 0) & (np.abs(roots) > 0.93)]
    return np.asarray(np.sort(np.angle(found)) * 16000 / (2 * np.pi))


@pytest.mark.parametrize("semitones", [-4, 3, 7])
def test_the_pitch_moves_and_the_formants_and_the_power_stay(semitones: float) -> None:
    x = vowel(120)
    y = shifted(x, 120, semitones)
    wanted = 120 * 2 ** (semitones / 12)
    assert abs(1200 * np.log2(frequency(y, wanted) / wanted)) < 3
    for expected, _ in FORMANTS[:2]:
        assert np.abs(formants(y) / expected - 1).min() < 0.04  # measured 0.03; harmonics lie beside the formants
    assert abs(10 * np.log10(np.mean(y[2000:14000] ** 2) / np.mean(x[2000:14000] ** 2))) < 1  # measured 0.6 dB


def test_no_interval_gives_the_signal_back_nearly() -> None:
    x = vowel(120)
    y = shifted(x, 120, 0)
    inner = slice(1000, 15000)
    assert np.sum((y - x)[inner] ** 2) < 1e-4 * np.sum(x[inner] ** 2)  # measured 1e-5


@pytest.mark.parametrize("gain", [0.5, -1.0])
def test_a_voice_stays_where_it_is_panned(gain: float) -> None:
    x = vowel(120, 4000)
    rows = np.full((50, 1), 120.0)
    both = Example(Psola(semitones=4), x=(Audio(16000, 2), np.stack((gain * x, x), axis=1)), f0=(ROWS, rows))
    y = both.render()["y"]
    assert_array_equal(y[:, 1], shifted(x, 120, 4))
    np.testing.assert_allclose(y[:, 0], gain * y[:, 1], rtol=0, atol=1e-15)


def test_what_is_unvoiced_stays() -> None:
    x = np.random.default_rng(1).standard_normal(8000)
    y = Example(Psola(semitones=5), x=(AUDIO, x), f0=(ROWS, np.zeros((100, 1)))).render()["y"]
    assert np.abs(y - x)[100:-100].max() < 1e-12
    assert_array_equal(shifted(np.zeros(1000), 100, 5), np.zeros(1000))


def test_a_pitch_that_is_too_high_is_refused() -> None:
    with pytest.raises(NodeError, match="the pitch must be at most 4000 Hz; found 5000 Hz"):
        shifted(vowel(120, 1000), 5000, 1)
    with pytest.raises(ParameterError, match="psola takes one pitch per frame"):
        Psola(semitones=1).streams(AUDIO, ROWS.like(width=2))
