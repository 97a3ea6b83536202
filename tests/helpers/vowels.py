"""Synthetic vowels whose pitch is known."""

import numpy as np
from scipy.signal import lfilter

from dspgraph import Array

FORMANTS = {
    "a": ((700.0, 90.0), (1200.0, 110.0), (2600.0, 160.0)),
    "i": ((280.0, 60.0), (2250.0, 100.0), (2900.0, 150.0)),
    "u": ((320.0, 70.0), (800.0, 90.0), (2300.0, 140.0)),
}
"""Name of a vowel -> the frequencies and bandwidths of its three resonators, Hz."""

SEMITONES = [45 * 2 ** (k / 12) for k in range(51)]
"""The pitches from 45 to 808 Hz, a semitone apart."""


Formants = tuple[tuple[float, float], ...]


def vowel(f0: float, formants: str | Formants = "a", rate: int = 16000, seconds: float = 1.0) -> Array:
    """Return a vowel [rate * seconds]: `f0` pulses a second, filtered by a low-pass and by resonators.

    Pulse k, from 1 on, lies at the first sample at or after the time k / f0. The peak is 0.3; then white noise of RMS
    0.001 is added, always the same. f0: Hz, at least one pulse in `seconds`; formants: a name in FORMANTS, or pairs
    (frequency, bandwidth) in Hz; rate: Hz.
    """
    counts = np.floor(np.arange(round(seconds * rate)) * f0 / rate)
    x = lfilter([1], [1, -0.95], np.diff(counts, prepend=0.0))
    for hertz, width in FORMANTS[formants] if isinstance(formants, str) else formants:
        radius = np.exp(-np.pi * width / rate)
        x = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / rate), radius**2], x)
    y: Array = 0.3 * x / np.abs(x).max() + 1e-3 * np.random.default_rng(0).standard_normal(len(x))
    return y
