"""Metrics that compare short-time spectra."""

from __future__ import annotations

import math

import numpy as np

from dspgraph.evaluation.metrics.definition import metric
from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.evaluation.metrics.short_time import DECIBELS, hann, power_of_two, power_spectra, samples

LSD_LENGTH, LSD_HOP = 0.032, 0.008  # seconds
LSD_FLOOR = -100.0  # dB


@metric("dB", "lower", {"length_s": LSD_LENGTH, "hop_s": LSD_HOP, "window": "hann", "fft": "least 2**k of the length",
                         "floor_db": LSD_FLOOR, "floor_of": "the bin of a full-scale sine"})  # fmt: skip
def lsd(pair: Pair) -> float | None:
    """Log-spectral distance: RMS over the bins of each frame, mean over all frames.

        mean over t of sqrt(mean over bins of (20 * log10(|X| / |X'|))**2)

    X and X' are the short-time spectra of the reference and of the degraded signal. Frames of 32 ms every 8 ms, Hann
    windows. Magnitudes below a floor are raised to the floor, which is 100 dB below the magnitude of a full-scale sine.
    The noise of rounding to 16 bits is below the floor. The value stays the same if the signals are exchanged.

    Source: L. R. Rabiner and B.-H. Juang, Fundamentals of Speech Recognition, Prentice Hall, 1993 (log spectral
    distortion).
    """
    length, hop = samples(LSD_LENGTH, pair.rate), samples(LSD_HOP, pair.rate)
    n_fft = power_of_two(length)
    floor = (hann(length).sum() / 2) ** 2 * 10 ** (LSD_FLOOR / 10)
    spectra = (power_spectra(x, length, hop, n_fft) for x in (pair.reference, pair.degraded))
    total, count = 0.0, 0
    for x, y in zip(*spectra, strict=True):
        logs = DECIBELS * np.log(np.maximum(x, floor) / np.maximum(y, floor))
        total += float(np.sqrt((logs**2).mean(axis=1)).sum())
        count += len(x)
    return total / count


RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))
"""Size of the FFT, hop and length of the window, each in samples.

They are the same at every sample rate: publications use these numbers from 16 to 48 kHz.
"""

MRSTFT_FLOOR = 1e-7  # of |X|**2


@metric("", "lower", {"resolutions": [list(one) for one in RESOLUTIONS], "window": "hann", "floor": MRSTFT_FLOOR})
def mrstft(pair: Pair) -> float | None:
    """Multi-resolution STFT distance: spectral convergence plus L1 of log magnitudes, mean over 3 resolutions.

        || |X| - |X'| ||_F / || |X| ||_F  +  mean over t and bins of | ln|X| - ln|X'| |

    X and X' are the short-time spectra of the reference and of the degraded signal. || ||_F is the root of the sum of
    squares over t and bins. FFTs of 512, 1024, 2048 samples, hops of 50, 120, 240, Hann windows of 240, 600, 1200.
    Values of |X|**2 below 1e-7 are raised to 1e-7. Without a unit; 0 for equal signals.

    Source: R. Yamamoto, E. Song and J.-M. Kim, Parallel WaveGAN, ICASSP 2020 (arXiv:1910.11480), the auxiliary loss,
    with the sizes of its published configuration.
    """
    return float(np.mean([_resolution(pair, *one) for one in RESOLUTIONS]))


def _resolution(pair: Pair, n_fft: int, hop: int, length: int) -> float:
    spectra = (power_spectra(x, length, hop, n_fft) for x in (pair.reference, pair.degraded))
    squares = energy = logs = 0.0
    count = 0
    for powers in zip(*spectra, strict=True):
        x, y = (np.maximum(one, MRSTFT_FLOOR) for one in powers)
        squares += float(((np.sqrt(x) - np.sqrt(y)) ** 2).sum())
        energy += float(x.sum())
        logs += float(np.abs(np.log(x / y)).sum()) / 2
        count += x.size
    return math.sqrt(squares / energy) + logs / count
