"""Synthetic notes for the tests of GANSynth's spectrograms, Griffin-Lim and the rainbowgram."""

import numpy as np

from dspgraph import Array

RATE = 16000
TOP = 7900  # highest frequency of a harmonic, Hz


def pitch(midi: int) -> float:
    """Return the frequency of a MIDI pitch, Hz."""
    return float(440 * 2 ** ((midi - 69) / 12))


def note(midi: int) -> Array:
    """Return 4 s of a note [64000], with the peak 0.5.

    Harmonic k has the amplitude 1 / k and a random phase. The attack takes 10 ms; the note decays by a factor of e per
    second, and from 3 s on by a further factor of e per 100 ms. Harmonics end at 7900 Hz, because the spectrograms
    of the paper have no bin at 8000 Hz.
    """
    draw = np.random.default_rng(midi)
    time = np.arange(64000) / RATE
    x = np.zeros(64000)
    for k in range(1, int(TOP / pitch(midi)) + 1):
        x += np.cos(2 * np.pi * (k * pitch(midi) * time + draw.uniform())) / k
    x *= np.minimum(time / 0.01, 1) * np.exp(-time - 10 * np.maximum(time - 3, 0))
    peak: float = np.abs(x).max()
    return 0.5 / peak * x
