"""The pipeline `mlpg_mcep`, which turns states into a trajectory of mel-cepstra: its results, as numbers."""

import numpy as np
import pytest

from dspgraph import Array, load
from dspgraph.pipeline.pipeline import variants
from helpers.speech import speech

pytestmark = pytest.mark.thorough

DECIBELS = 10 / np.log(10) * np.sqrt(2)  # of a difference of mel-cepstra, gain apart


def tapped(swap: dict[str, str]) -> dict[str, Array]:
    return load("mlpg_mcep", (), swap).expose_all()(speech=speech())


def distortion(found: Array, mcep: Array) -> float:
    return float(DECIBELS * np.sqrt(((found - mcep)[:, 1:] ** 2).sum(axis=1)).mean())


def test_the_features_of_every_frame_give_the_mel_cepstrum_back() -> None:
    found = tapped({"states": "every_frame"})
    np.testing.assert_allclose(found["trajectory.frames"], found["mcep.mcep"], rtol=0, atol=1e-13)  # measured 9e-15


def test_a_trajectory_is_nearer_to_the_speech_than_the_steps_it_is_made_of_and_smoother() -> None:
    found = tapped({})
    mcep, smooth = found["mcep.mcep"], found["trajectory.frames"]
    steps = tapped({"trajectory": "steps"})["trajectory.selected"]
    assert len(np.unique(steps, axis=0)) <= len(steps) // 5
    assert distortion(smooth, mcep) < 0.8 * distortion(steps, mcep)  # measured 1.53 and 2.11 dB
    bends = [np.abs(np.diff(rows, 2, axis=0)).mean() for rows in (smooth, steps)]
    assert bends[0] < 0.4 * bends[1]  # measured 0.016 and 0.048


@pytest.mark.parametrize("swap", variants("mlpg_mcep"), ids=str)
def test_it_is_as_loud_as_the_speech_and_stable(swap: dict[str, str]) -> None:
    x = speech()
    y = load("mlpg_mcep", (), swap)(speech=x)["speech"]
    assert len(y) == len(x)
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 1.5  # unit power in; measured up to 0.7 dB
    assert np.abs(y).max() < 2 * np.abs(x).max()


@pytest.mark.parametrize("swap", variants("mlpg_mcep"), ids=str)
def test_a_constant_beside_the_speech_is_not_heard(swap: dict[str, str]) -> None:
    # Without the highpass it is a peak so narrow that it rings: a constant of 1 comes to 6e4.
    x, graph = speech(), load("mlpg_mcep", (), swap)
    alone, beside = graph(speech=x)["speech"], graph(speech=x + 0.3)["speech"]
    assert abs(10 * np.log10((beside**2).mean() / (alone**2).mean())) < 0.3  # measured up to 0.1 dB
    y = graph(speech=np.ones(8000))["speech"]
    assert np.abs(y).max() < 400  # the step at its start is one; measured 1.3 to 160
