import numpy as np
import pytest

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.excitation.white_noise import WhiteNoise, white_noise
from helpers.speech import speech

EXAMPLES = [
    Example(WhiteNoise(), like=(Audio(16000), speech(5003))),
    Example(WhiteNoise(gain=0.1, seed=3), like=(Audio(22050, channels=2), speech(6002).reshape(-1, 2))),
]


def noise(n: int, gain: float = 1.0, seed: int = 0) -> np.ndarray:
    example = Example(WhiteNoise(gain=gain, seed=seed), like=(Audio(16000), np.zeros(n)))
    return example.render()["y"]


def test_mean_and_variance_are_those_of_the_gain() -> None:
    # Of n = 200000 independent samples the mean has deviation gain / sqrt(n), the mean square gain**2 sqrt(2 / n), and
    # the correlation of neighbours 1 / sqrt(n): five of them, so one wrong alarm in 10**6 seeds; this seed is fixed.
    n, gain = 200_000, 0.25
    e = noise(n, gain) / gain
    assert abs(e.mean()) < 5 / np.sqrt(n)
    assert abs(np.mean(e**2) - 1) < 5 * np.sqrt(2 / n)
    assert abs(np.mean(e[1:] * e[:-1])) < 5 / np.sqrt(n)


def test_it_is_gaussian() -> None:
    # Kolmogorov-Smirnov against the normal distribution: sqrt(n) D > 1.95 has probability 1e-3; the seed is fixed.
    from scipy.stats import kstest

    e = noise(50_000)
    assert kstest(e, "norm").statistic * np.sqrt(len(e)) < 1.95


def test_both_precisions_hear_the_same_noise() -> None:
    for example in EXAMPLES:
        double, single = (example.render(precision)["y"] for precision in (np.float64, np.float32))
        assert np.array_equal(double.astype(np.float32), single)


def test_seeds_and_channels_are_independent() -> None:
    # The correlation of n independent pairs has deviation 1 / sqrt(n).
    n = 100_000
    stereo = white_noise(np.random.default_rng(0), (n, 2), 1.0)
    for a, b in ((noise(n), noise(n, seed=1)), (stereo[:, 0], stereo[:, 1])):
        assert abs(np.mean(a * b)) < 5 / np.sqrt(n)


def test_a_negative_gain_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least 0"):
        WhiteNoise(gain=-1.0)
