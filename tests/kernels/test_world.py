"""The WORLD pipeline: the level and the spectral envelope of speech come back, and silence stays silence."""

from fractions import Fraction

import numpy as np
import pytest

from dspgraph import load
from dspgraph.pipeline.pipeline import variants
from dspgraph_nodes._kernels.foreign.world import cheaptrick
from helpers.speech import speech


@pytest.mark.parametrize("swap", variants("world"), ids=str)
def test_the_envelope_and_the_level_of_the_speech_come_back(swap: dict[str, str]) -> None:
    x = speech()
    graph = load("world", (), swap)
    found = graph.expose_all()(speech=x)
    y, f0, power = found["synth.y"], found["pitch.f0"][:, 0], found["power.power"]
    assert len(y) == len(x)
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 1  # measured 0.6 dB
    centre = 0.0075 if swap.get("pitch") == "rapt" else 0.0
    again = cheaptrick(y, Fraction(16000), f0, np.arange(len(f0)) * 0.005 + centre, 1024, -0.15)
    voiced = (power.sum(axis=1) > 1e-2 * power.sum(axis=1).max()) & (f0 > 0)
    distance = 10 * np.log10(again[voiced, :256] / power[voiced, :256])  # up to 4 kHz
    assert np.sqrt((distance**2).mean()) < 3.5  # dB; measured 2.7 to 3.1: above 3 kHz much of it is noise, drawn anew
    assert np.median(np.abs(distance)) < 1.5  # measured 1.0 to 1.2


def test_silence_stays_silence() -> None:
    for swap in variants("world"):
        assert not load("world", (), swap)(speech=np.zeros(5000))["speech"].any()
