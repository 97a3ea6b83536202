"""Levels of harmonics, compared with sums of cosines whose levels are known."""

import numpy as np
import pytest

from dspgraph import Array
from dspgraph_nodes._kernels.signal.harmonic_levels import relative_level


def cosines(f: float, m: int, level: float) -> Array:
    """Return the sum of the harmonics of f (Hz) up to about 3 kHz: [16000], at 16 kHz.

    Every m-th harmonic has the amplitude 1, all others the amplitude `level`.
    """
    t = np.arange(16000) / 16000
    lines = [(1.0 if k % m == 0 else level) * np.cos(2 * np.pi * k * f * t + k) for k in range(1, int(3000 / f))]
    total: Array = sum(lines, np.zeros(len(t)))
    return total


@pytest.mark.parametrize("m", [2, 3, 5, 12])
@pytest.mark.parametrize("level", [0.05, 0.3, 1.0])
def test_the_relative_level_is_that_of_the_other_harmonics(m: int, level: float) -> None:
    # A Hann window of eight periods has zeros at the neighbouring harmonics; its length is a whole number: within 1 %.
    assert relative_level(cosines(100, m, level), 16000.0, 8000.0, 100.0, m) == pytest.approx(level, rel=0.01)


def test_no_harmonics_above_half_the_rate_are_compared() -> None:
    """The level is right to 10 % if the rate is 2 kHz and harmonic k of 2000 / 15 Hz, from 8 on, has the alias 15 - k.

    If these were compared too, odd harmonics, which are weak, would be as loud as even ones.
    """
    f, t = 2000 / 15, np.arange(2000) / 2000
    lines = [(1.0 if k % 2 == 0 else 0.05) * np.cos(2 * np.pi * k * f * t + k) for k in range(1, 8)]
    assert relative_level(sum(lines, np.zeros(2000)), 2000.0, 1000.0, f, 2) == pytest.approx(0.05, rel=0.1)


def test_beyond_half_the_rate_every_pitch_is_a_pitch() -> None:
    assert relative_level(cosines(300, 2, 0.0), 2000.0, 8000.0, 300.0, 2) == 1
