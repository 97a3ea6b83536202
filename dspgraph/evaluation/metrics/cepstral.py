"""Mel-cepstral distortion, frame against frame and along a warped path."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from dspgraph.evaluation.metrics.definition import metric
from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.evaluation.metrics.short_time import DECIBELS, power_of_two, power_spectra, samples
from dspgraph.evaluation.metrics.warping import mean_warped_distance
from dspgraph.streams import Array

MCD_ORDER = 24
MCD_LENGTH, MCD_HOP = 0.025, 0.005  # seconds
MCD_FLOOR = -100.0  # dB
MCD_SILENCE = -60.0  # dB
MCD_SCALE = math.sqrt(2) * DECIBELS
ALPHA = {8000: 0.31, 16000: 0.42, 22050: 0.455, 44100: 0.53, 48000: 0.55}
DTW_REACH = 1.0  # seconds
DTW_LONGEST = 3600.0  # seconds

_MCD = {
    "order": MCD_ORDER,
    "length_s": MCD_LENGTH,
    "hop_s": MCD_HOP,
    "window": "hann",
    "fft": "least 2**k of the length",
    "floor_db": MCD_FLOOR,
    "silence_db": MCD_SILENCE,
    "alpha": {str(rate): alpha for rate, alpha in ALPHA.items()} | {"other rates": "fitted"},
}


@metric("dB", "lower", _MCD)
def mcd(pair: Pair) -> float | None:
    """Mel-cepstral distortion, frame against frame.

        10 * sqrt(2) / ln(10) * mean over t of sqrt(sum over m = 1..24 of (c_m(t) - c'_m(t))**2)

    c is the mel-cepstrum of ln|X|, warped by an all-pass filter whose constant is `mel_alpha(rate)`. Frames of 25 ms
    every 5 ms, Hann windows. Values of |X| that are more than 100 dB below the largest bin of the frame are raised to
    this limit. c_0, the level, is left out, so a gain changes nothing. The mean is over the frames in which the energy
    of the reference is at most 60 dB below the energy of its loudest frame. None if the reference is silent.

    Source: R. F. Kubichek, Mel-cepstral distance measure for objective speech quality assessment, IEEE Pacific Rim
    Conference, 1993; J. Kominek, T. Schultz and A. W. Black, Synthesizer voice quality of new languages calibrated
    with mean mel cepstral distortion, SLTU 2008, equation 1.
    """
    x, y, audible = pair.shared(cepstra)
    if not audible.any():
        return None
    return MCD_SCALE * float(np.sqrt(((x[audible] - y[audible]) ** 2).sum(axis=1)).mean())


@metric("dB", "lower", {**_MCD, "steps": "(1, 1), (1, 0), (0, 1), each of weight 1", "reach_s": DTW_REACH,
                        "longest_s": DTW_LONGEST, "normalised": "by the pairs on the path whose frame of the "
                        "reference is heard"})  # fmt: skip
def mcd_dtw(pair: Pair) -> float | None:
    """Mel-cepstral distortion along the path of dynamic time warping with the least total distance.

    As `mcd`, but with the distance between frame t of the reference and frame t' of the degraded signal, for the pairs
    (t, t') on the path. The path leads from the first frames to the last frames by steps (1, 1), (1, 0), (0, 1) of
    equal weight. It has the least total distance of all paths on which t and t' are at most 1 s apart. The mean is over
    the pairs whose frame t counts for `mcd`. None if the reference is silent, and for signals longer than an hour: the
    path would need 300 MB of memory.

    Source: H. Sakoe and S. Chiba, Dynamic programming algorithm optimization for spoken word recognition, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 26(1), 1978.
    """
    if len(pair.reference) > DTW_LONGEST * pair.rate:
        return None
    x, y, audible = pair.shared(cepstra)
    if not audible.any():
        return None
    reach = min(round(DTW_REACH / MCD_HOP), len(x) - 1)
    return MCD_SCALE * mean_warped_distance(x, y, reach, audible)


def cepstra(pair: Pair) -> tuple[Array, Array, Array]:
    """Return the mel-cepstra of the reference and of the degraded signal, and which frames are audible.

    Mel-cepstra: [t, MCD_ORDER], from c_1 on. Audible: booleans [t], true for frames in which the energy of the
    reference is at most 60 dB below the energy of its loudest frame, and not 0.
    """
    (x, energies), (y, _) = (_cepstra(one, pair.rate) for one in (pair.reference, pair.degraded))
    return x, y, (energies > 0) & (energies >= energies.max(initial=0) * 10 ** (MCD_SILENCE / 10))


def _cepstra(x: Array, rate: Fraction) -> tuple[Array, Array]:
    """Return the mel-cepstra [t, MCD_ORDER] of x [n], from c_1 on, and the energy of every frame [t]. rate: Hz."""
    length, hop = samples(MCD_LENGTH, rate), samples(MCD_HOP, rate)
    n_fft = power_of_two(length)
    matrix = _to_cepstra(n_fft, mel_alpha(rate))
    rows, energies = [], []
    for powers in power_spectra(x, length, hop, n_fft):
        floor = powers.max(axis=1, keepdims=True) * 10 ** (MCD_FLOOR / 10)
        logs = np.log(np.maximum(powers, np.maximum(floor, np.finfo(np.float64).tiny)))
        rows.append(np.einsum("tk,mk->tm", logs, matrix))  # not @, because starting its threads takes longer
        energies.append(powers.sum(axis=1))
    return np.concatenate(rows), np.concatenate(energies)


@lru_cache(maxsize=8)
def _to_cepstra(n_fft: int, alpha: float) -> Array:
    """Return the matrix [MCD_ORDER, n_fft // 2 + 1] that maps ln(|X|**2) to the mel-cepstrum of ln|X|, from c_1 on.

    n_fft: the size of the FFT, even. alpha: the constant of the all-pass filter. The matrix is kept for later calls,
    and must not be changed. It is the product of an inverse DFT, which gives the cepstrum c_j, and the warping of the
    frequency axis. Row j of the warping has the coefficients of ((w + alpha) / (1 + alpha * w))**j as a power series in
    w.

    Source: A. V. Oppenheim and D. H. Johnson, Discrete representation of signals, Proceedings of the IEEE 60(6), 1972.
    """
    from scipy import fft, signal

    bins = n_fft // 2 + 1
    warping = np.zeros((bins, MCD_ORDER + 1))
    warping[0, 0] = 1
    for j in range(1, bins):
        warping[j] = signal.lfilter([alpha, 1], [1, alpha], warping[j - 1])
    weights = np.full((bins, 1), 2 / n_fft)  # 2 for the halves of the spectrum, 2 for c_j and c_-j, 1/2 for |X|**2
    weights[[0, -1]] /= 2
    return np.ascontiguousarray((weights * fft.rfft(warping, n_fft, axis=0).real)[:, 1:].T)


@lru_cache(maxsize=32)
def mel_alpha(rate: Fraction) -> float:
    """Return the constant alpha of the all-pass filter whose phase approximates the mel scale. rate: Hz.

    For the rates in ALPHA, alpha is taken from there. For any other rate it is the multiple of 0.001 that minimises the
    sum of squared differences between the scale ln(1 + f / 1000) and the warped angle, both scaled to run from 0 at
    0 Hz to 1 at half the rate.

    Source: SPTK's reference manual, mcep, for 8 and 16 kHz (the other values of ALPHA are those in common use);
    pysptk's `mcepalpha` for the fit and its scale.
    """
    if rate in ALPHA:
        return ALPHA[int(rate)]
    angle = np.pi * np.arange(1, 1001) / 1000
    scale = np.log1p(angle / np.pi * float(rate) / 2000)
    alphas = np.arange(1000)[:, None] / 1000
    warped = angle + 2 * np.arctan(alphas * np.sin(angle) / (1 - alphas * np.cos(angle)))
    return float(alphas[np.argmin(((warped / np.pi - scale / scale[-1]) ** 2).sum(axis=1)), 0])
