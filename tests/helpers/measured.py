"""Signals for the tests of metrics, and a function that computes a metric."""

import math

import numpy as np

from dspgraph import Array
from dspgraph.evaluation.metrics import measure
from helpers.speech import speech

RATE = 16000
"""The sampling rate of most signals here, Hz."""


def value(name: str, x: Array, y: Array, rate: float = RATE) -> float:
    """Return the value of the metric `name` for a reference x [n] and a degraded signal y [n]. rate: Hz.

    Raises AssertionError if there is no value. If the lengths differ, the longer signal is cut.
    """
    found = measure(x, y, rate, [name])[name]
    assert found is not None
    return found


def noise(n: int, key: int = 3) -> Array:
    """Return n samples of Gaussian white noise with the standard deviation 1. key: the seed."""
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(n)


def noisy(snr: float) -> Array:
    """Return the test recording [64000] plus white noise, the same up to its level. snr: signal-to-noise ratio, dB."""
    x, other = speech(), noise(64000)
    return x + other * math.sqrt((x**2).sum() / (other**2).sum()) * 10 ** (-snr / 20)


def tone(hertz: float, seconds: float, rate: float, level: float = 0.0) -> Array:
    """Return a sine of `hertz` Hz whose peak is `level` dB relative to full scale: [seconds * rate]. rate: Hz."""
    x: Array = 10 ** (level / 20) * np.sin(2 * np.pi * hertz / rate * np.arange(round(seconds * rate)))
    return x
