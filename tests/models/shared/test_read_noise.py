"""Noise in the samples that a network reads in training."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph_nodes._kernels.signal.mulaw import even_levels
from dspgraph_nodes.models.shared.data import TrainingRecording
from dspgraph_nodes.models.shared.mel import Edges, MelChunks
from dspgraph_nodes.models.shared.read_noise import ReadNoise


def random(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


@pytest.mark.parametrize("level", [0.5, 0.01])
def test_the_noise_follows_the_level_of_the_signal(level: float) -> None:
    """For samples of the magnitude x, the standard deviation is steps * 2 / 255 * ln(256) * (1 / 255 + x).

    ln(256) * (1 / 255 + x) is the inverse slope of the companding by mu-law. steps, the standard deviation in steps of
    8-bit mu-law, is drawn from 0 to 3.
    """
    noise, x = ReadNoise(3.0), np.full(40000, level, np.float32)
    found = noise.added(x, random())
    steps = 3.0 * random().random()
    assert found.dtype == np.float32
    assert np.std(found - level) == pytest.approx(steps * 2 / 255 * np.log(256) * (1 / 255 + level), rel=0.03)


@pytest.mark.parametrize("levels", [1024, 65536])
def test_linear_levels_have_the_noise_of_the_samples_that_they_stand_for(levels: int) -> None:
    x = 0.3 * np.sin(np.arange(20000) / 9)
    codes = even_levels(x, levels, False)
    found = ReadNoise(8.0, levels).added(codes, random())
    assert found.dtype == codes.dtype
    expected = even_levels(ReadNoise(8.0).added(x, random()), levels, False)
    assert np.abs(found - expected).max() <= 1 < np.abs(found - codes).max()
    assert_array_equal(ReadNoise(1e-9, levels).added(codes, random()), codes)


@pytest.mark.parametrize("levels", [256, 512])
def test_companded_levels_have_the_same_noise_whatever_they_are(levels: int) -> None:
    codes = np.full(40000, levels // 3)
    found = ReadNoise(8.0, levels, companded=True).added(codes, random())
    steps = 8.0 * random().random()
    assert np.std(found - codes) == pytest.approx(steps * (levels - 1) / 255, rel=0.03)
    assert_array_equal(ReadNoise(1e-9, levels, True).added(np.arange(levels), random()), np.arange(levels))


def test_the_bounds_of_levels_and_samples_hold() -> None:
    for levels, ends in ((256, [0, 255]), (0, [-1.0, 1.0])):
        signal = np.tile(ends, 5000)
        found = ReadNoise(64.0, levels, levels > 0).added(signal, random())
        assert_allclose([found.min(), found.max()], ends, rtol=0, atol=1e-12)
        assert np.abs(found).max() <= max(ends)
    assert_allclose(ReadNoise().added(signal, random()), signal)


def test_chunks_have_it_in_training_and_not_in_validation() -> None:
    """The noise of a chunk is the same each time it is read, and differs between epochs and between chunks.

    The samples that the network must predict have no noise; those that it reads have noise, except in validation (epoch
    -1) and with `ReadNoise()`.
    """
    one = TrainingRecording(random().random(4000).astype(np.float32) - 0.5, {"mel": np.zeros((10, 2), np.float32)}, 400)
    chunks, plain = (MelChunks([one], 2, Edges(0, repeat=True), 0, 7, noise) for noise in (ReadNoise(4.0), ReadNoise()))
    for index in ((0, 0), (0, 1), (1, 0)):
        _, samples, read = chunks[index]
        assert samples.shape == read.shape
        assert_array_equal(samples, plain[index][1])
        assert_array_equal(read, chunks[index][2])
        assert 0.001 < float((samples - read).std()) < 0.2
    apart = [float((chunks[index][1] - chunks[index][2]).std()) for index in ((0, 0), (0, 1), (1, 0))]
    assert len(set(apart)) == 3
    for _, samples, read in (chunks[-1, 0], plain[3, 1]):
        assert_array_equal(samples, read)
