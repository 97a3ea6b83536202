"""LPCNet's features, computed in plain numpy: a reference for the tests of the nodes that compute them.

Signals have the full scale +-1 and 16 kHz.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct, idct
from scipy.linalg import toeplitz

from dspgraph import Array
from helpers.speech import speech

# Peaks of the triangular bands, in bins of 50 Hz.
EDGES = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40]) * 4
COMPENSATION = [0.8, *[1.0] * 7, 2 / 3, *[0.5] * 3, 1 / 3, 0.25, 0.25, 0.2, 1 / 6, 4 / 23]
SCALE = 32768.0


def emphasised(x: Array) -> Array:
    """Return a signal x [n] with pre-emphasis: y[n] = x[n] - 0.85 * x[n-1]."""
    y: Array = x - 0.85 * np.r_[0.0, x[:-1]]
    return y


def windowed(x: Array) -> Array:
    """Return the frames [ceil(n / 160), 320] of a signal x [n], multiplied by Vorbis's window.

    Frame k holds the samples 160 * k - 160 .. 160 * k + 159.
    """
    window = np.sin(np.pi / 2 * np.sin(np.pi * (np.arange(320) + 0.5) / 320) ** 2)
    count = -(-len(x) // 160)
    padded = np.pad(x, (160, count * 160 - len(x)))
    frames: Array = sliding_window_view(padded, 320)[::160] * window
    return frames


def cepstra(frames: Array) -> Array:
    """Return the Bark cepstra [n, 18] of windowed frames [n, 320]."""
    power = np.abs(np.fft.fft(SCALE * frames, axis=1) / 320) ** 2
    rows = []
    for p in power:
        energy = np.zeros(18)
        for i in range(17):
            n = EDGES[i + 1] - EDGES[i]
            for j in range(n):
                energy[i] += (1 - j / n) * p[EDGES[i] + j]
                energy[i + 1] += j / n * p[EDGES[i] + j]
        energy[[0, 17]] *= 2
        levels, strongest, follow = [], -2.0, -2.0
        for value in energy:
            level = max(np.log10(1e-2 + value), follow - 2.5, strongest - 8)
            strongest, follow = max(strongest, level), max(follow - 2.5, level)
            levels.append(level)
        rows.append(dct(levels, norm="ortho") - 4 * np.eye(1, 18)[0])
    return np.array(rows)


def autocorrelation(c: Array) -> Array:
    """Return the autocorrelation r[0..16] of a Bark cepstrum c [18].

    A noise floor is added to r[0], and r is multiplied by a lag window.
    """
    level = 10 ** idct(c + 4 * np.eye(1, 18)[0], norm="ortho") * COMPENSATION
    power = np.r_[np.interp(np.arange(160), EDGES, level), 0.0]
    r: Array = np.fft.irfft(power)[:17] * 320
    r[0] += r[0] * 1e-4 + 26 / 38
    r *= 1 - 6e-5 * np.arange(17) ** 2
    return r


def predictors(rows: Array) -> Array:
    """Return the predictor of each Bark cepstrum: rows (gain, a[1..16]), [n, 17]. rows: the cepstra [n, 18].

    The gain is for signals of full scale +-1. Before it is computed, the power of a silent frame is subtracted. Once
    the error is below 0.001 * r[0], the order is not raised further: the other coefficients are 0.
    """
    silent = autocorrelation((-2 * np.sqrt(18) - 4) * np.eye(1, 18)[0])
    found = []
    for c in rows:
        r = autocorrelation(c)
        a, error = np.eye(1, 17)[0], r[0]
        for i in range(1, 17):
            k = -(a[:i] @ r[i:0:-1]) / error
            a[: i + 1] += k * a[i::-1]
            error *= 1 - k * k
            if error < 1e-3 * r[0]:
                break
        error = a @ toeplitz(r - silent) @ a
        found.append([np.sqrt(max(error, 0) / 2) / SCALE, *a[1:]])
    return np.array(found)


def pitches(x: Array, rows: Array, ahead: int = 0) -> tuple[Array, Array]:
    """Return the pitch [n] and the correlation [n] of n frames; the pitch p means a period of 50 * p + 100 samples.

    The correlation is reduced by 1 / 2. x: the pre-emphasised signal, 160 samples for each frame; rows: the predictors
    of the frames, [n, 17]; ahead: the result for a frame is taken from the best path up to the frame that is this
    number of frames later, or up to the last frame.
    """
    taps = np.array([0.026184, -0.098339, 0.369938, 0.837891, -0.184969, 0.070242, -0.020947])
    signal = np.pad(SCALE * x, (96, 320))
    residual, last = np.zeros(416), 0.0
    path, best, where = np.zeros(224), 0.0, 0
    gained, origins, ends = [], [], []
    for f, row in enumerate(rows):
        s = signal[160 * f : 160 * f + 176]
        r = np.convolve(s, np.r_[1.0, row[1:]], "valid")
        residual = np.r_[residual[160:], r + 0.7 * np.r_[last, r[:-1]]]
        last = r[-1]
        found, energies = [], []
        for off in (0, 80):
            now = residual[256 + off : 336 + off]
            lagged = sliding_window_view(residual, 80)[off : off + 256]
            xc = 2 * (lagged * now).sum(axis=1) / (1 + (now**2).sum() + (lagged**2).sum(axis=1))
            fine = xc.copy()
            for i in range(4, 252):
                fine[i] = max(xc[i], taps @ xc[i - 3 : i + 4], taps[::-1] @ xc[i - 3 : i + 4])
            for i in range(192):
                if fine[i] < 1.1 * max(fine[(256 + i) // 2], fine[(258 + i) // 2], fine[(255 + i) // 2]):
                    fine[i] *= 0.8
            found.append(fine)
            energies.append((now**2).sum())
        weights = 2 * np.array(energies) / max(sum(energies), 1e-300)
        for weight, fine in zip(weights, found, strict=True):
            origin, total = np.full(224, where), np.full(224, best - 6)
            for i in range(224):
                for j in range(max(0, i - 4), min(224, i + 5)):
                    if path[j] - 0.02 * (i - j) ** 2 > total[i]:
                        total[i], origin[i] = path[j] - 0.02 * (i - j) ** 2, j
            total += weight * fine[:224]
            best, where = total.max(), int(total.argmax())
            path = total - best
            origins.append(origin)
            gained.append(weight * fine[:224])
        ends.append(where)
    pitch, correlation = [], []
    for f in range(len(rows)):
        last_frame = min(f + ahead, len(rows) - 1)
        half, at, chosen = 2 * last_frame + 1, ends[last_frame], []
        while half >= 2 * f:
            chosen.append((half, at))
            at, half = int(origins[half][at]), half - 1
        pitch.append((min(512 - sum(i for _, i in chosen[-2:]), 510) - 200) / 100)
        correlation.append(sum(gained[k][i] for k, i in chosen[-2:]) / 2 - 0.5)
    return np.array(pitch), np.array(correlation)


@lru_cache(maxsize=1)
def features() -> tuple[Array, Array, Array]:
    """Return the test recording after pre-emphasis [n], its Bark cepstra [frames, 18], its predictors [frames, 17].

    All callers get the same arrays: copy them before you change them.
    """
    x = emphasised(speech())
    c = cepstra(windowed(x))
    return x, c, predictors(c)
