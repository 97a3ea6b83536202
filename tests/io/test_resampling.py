"""Resampling of files and of whole signals: the same filter, with two ways to end a signal."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array
from dspgraph.io.resampling import resample_blocks, resample_signal

RNG = np.random.default_rng(41)
RATE, TO = Fraction(16000), Fraction(44100)


def resampled(x: Array, cut: int, tail: int = 500) -> Array:
    blocks = (x[at : at + cut] for at in range(0, len(x), cut))
    due = -(-len(x) * 441 // 160)
    return np.concatenate(list(resample_blocks(blocks, RATE, TO, x.shape[1], due, tail)))


@pytest.mark.parametrize("cut", [1, 37, 1600])
def test_the_cut_changes_nothing(cut: int) -> None:
    x = RNG.standard_normal((1601, 2))
    whole = resampled(x, len(x), tail=7)
    assert whole.shape == (4413, 2)  # ceil(1601 * 441 / 160)
    assert_array_equal(resampled(x, cut), whole)


def test_a_sine_keeps_its_frequency_and_phase() -> None:
    """A tone of 1 kHz, far inside the pass band, equals the exact sine to 3e-6, except near the ends of the signal."""
    x = np.sin(2 * np.pi * 1000 * np.arange(4000) / 16000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(11025) / 44100)
    middle = slice(1000, -1000)  # the ends differ: the signal begins and ends there
    assert_allclose(resampled(x[:, None], 4000)[middle, 0], expected[middle], atol=3e-6)
    assert_allclose(resample_signal(x, RATE, TO)[middle], expected[middle], atol=3e-6)


def test_a_whole_signal_has_its_seconds_in_samples() -> None:
    for n in (0, 1, 159, 160, 161):
        assert len(resample_signal(np.ones(n), RATE, TO)) == -(-n * 441 // 160)
    x = RNG.standard_normal(100)
    assert resample_signal(x, RATE, RATE) is x
