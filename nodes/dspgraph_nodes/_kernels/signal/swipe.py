"""SWIPE', a pitch tracker: the strength of a pitch is the similarity of the spectrum to that of a sawtooth wave.

    L_w(t, f) = sqrt(|X_w(t, f)|), X_w: the short-time spectrum with a Hann window of w samples; L_w(t) has norm 1
    K_c(f) = sqrt(1 / f) * cos(2 * pi * f / c) * a(f / c), scaled so that its positive part has norm 1
    S(t, c) = sum over w of mu_w(c) * sum over f of K_c(f) * L_w(t, f)

f runs over a grid that is equally spaced in ERB. Only the harmonics 1, 2, 3, 5, 7, 11 ... (1 and the primes) count. The
weight a(q) is 1 within 1/4 of a harmonic that counts and 0 within 1/4 of any other whole number; elsewhere it is 0, 1/2
or 1 if none, one or both of the whole numbers beside q count. The windows w are powers of two; for the pitch whose
period is w / 8 only the window w counts, and between two such pitches mu_w(c) rises and falls linearly in log2(c).

Source: A. Camacho and J. G. Harris, "A sawtooth waveform inspired pitch estimator for speech and music", Journal of the
Acoustical Society of America 124(3), 2008; the steps of the grids are those of SPTK's program.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.signal.harmonic_levels import relative_level

PER_OCTAVE = 96  # candidates in an octave
NEAR = 4  # candidates that count as near
SEMITONE = PER_OCTAVE // 12  # candidates
FINE = 8  # steps of the last search between two candidates
ERB_STEP = 0.1
PERIODS = 8  # periods of a pitch in its best window
SMOOTHING = 0.05
"""Seconds over which strengths are averaged before the best candidate is chosen.

The span is centred on the frame; near an end of the signal it lies at this end. Between the pulses of a low voice, a
formant alone looks like a high pitch.
"""
FORMANT_RATIO = 0.3
"""The strongest candidate may be a formant if a lower candidate has at least this times its strength.

The lower candidate is the strongest one more than LEAST_FALL octaves below. Measured: if the strongest candidate is a
true pitch, the ratio is at most 0.28 in speech, except in 1 frame of 323; if it is a formant in speech of 300 to 3400
Hz, the band of a telephone, the ratio is at least 0.38 in 9 frames of 10.
"""
LEAST_FALL = 0.7
LEAST_RELATIVE_LEVEL = 0.4
"""The least `relative_level` of a lower voice: the geometric mean of two levels.

One is taken at the lower candidate, the other at the nearest fraction of the strongest candidate. Measured: at least
0.41 for voices in the band of a telephone, and at most 0.33 for subharmonics of unequal pulses.
"""
MOST_MULTIPLE = 12
"""The strongest candidate may be the pitch divided by a whole number up to this one."""
LEAST_STRENGTH = 0.15
"""A frame whose greatest strength is below this keeps its pitch: with the usual thresholds it is unvoiced."""
LEAST_RATIO = -0.1
"""A multiple of the best candidate may be the pitch if it has at least this times the strength of that candidate.

The limit only saves time. Measured: few multiples in speech reach it; all true pitches of vowels up to 860 Hz do.
"""
MOST_RELATIVE_LEVEL = 0.15
"""The largest `relative_level` of a subharmonic.

Measured on vowels of 45 to 809 Hz: at most 0.12, or -18 dB, for a subharmonic; at least 0.2 for a true pitch, and 0.17
if all formants are multiples of twice the pitch. In speech it is at least 0.34 for a true pitch.
"""
BESIDE = 0.02  # octaves: a candidate that is nearer to a multiple of a pitch is that multiple
BESIDE_RATIO = 0.3
"""A candidate beside a multiple of the best candidate may be the pitch if it has at least this times the strength of
the best candidate.
"""
BLOCK_FRAMES = 1024
"""Number of frames that are computed together: the memory for their strengths does not grow with the signal."""


class WindowTables(NamedTuple):
    """The tables for windows of one length.

    hann: the window. first, weights: the interpolation from bins to the points of the frequency grid. begin, kernels:
    column c of `kernels` belongs to the pitch candidate begin + c.
    """

    hann: Array
    first: Array
    """[points], integers: the first of the four bins between which a point of the frequency grid is interpolated."""
    weights: Array
    """[4, points]: the weights of these bins."""
    begin: int
    kernels: Array
    """[points, count]: K_c times mu_w(c), for `count` candidates from number `begin` on."""


class Tables(NamedTuple):
    """The tables of a pitch search: candidate pitches in Hz, and tables for each window.

    They depend on the sampling rate and the range of pitches, not on the signal.
    """

    candidates: Array
    """The pitches whose strength is computed, Hz."""
    windows: tuple[WindowTables, ...]


def swipe(x: Array, rate: float, hop: int, low: float, high: float) -> tuple[Array, Array]:
    """Return the pitch, Hz, and the strength of the strongest candidate, every `hop` samples: [ceil(n / hop)] each.

    The pitch is that of the candidate that is strongest on average over SMOOTHING seconds. A subharmonic is then
    replaced by its multiple (see `_multiples`), and a formant by the pitch of its voice (see `_lower_voices`); the
    strength is still that of the strongest candidate, not averaged. The pitch is 0 in silence, and where the chosen
    candidate is at an end of the range.

    x: [n]; its level does not matter. rate: the sampling rate, Hz. low, high: the ends of the range that is searched,
    Hz. Value k belongs to the sample k * hop.
    """
    tables = _tables(rate, low, high)
    peak = np.abs(x).max(initial=0.0)
    x = (x / peak if peak > 0 else x).astype(np.float32)
    count = -(-len(x) // hop)
    f0, strength = np.empty(count), np.empty(count)
    reach = round(SMOOTHING / 2 * rate / hop)
    for begin in range(0, count, BLOCK_FRAMES):
        end = min(begin + BLOCK_FRAMES, count)
        at = np.arange(begin - reach, end + reach) * hop
        strengths = _strengths(x, at, tables)
        strengths[(at < 0) | (at >= len(x))] = 0
        centre = np.clip(np.arange(begin, end), min(reach, count - 1), max(count - 1 - reach, 0)) - begin + reach
        first, last = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, len(at))
        summed = _means(strengths, first, last)
        here, own = np.arange(begin, end) * hop, strengths[reach : reach + end - begin]
        strongest = summed.argmax(axis=1)
        _, strength[begin:end] = _peaks(own, strongest, tables)
        steady, _ = _peaks(summed, strongest, tables)
        multiples = _multiples(x, rate, here, reach, summed, strongest, steady, tables.candidates)
        best = _lower_voices(x, rate, here, summed, strongest, multiples, tables.candidates)
        pitch, _ = _peaks(own, best, tables)
        f0[begin:end] = np.where(best == strongest, multiples * pitch, pitch)
    return f0, strength


@lru_cache(maxsize=8)
def _tables(rate: float, low: float, high: float) -> Tables:
    longest = 1 << math.ceil(math.log2(PERIODS * rate / low))
    lowest = PERIODS * rate / longest  # the pitch of the longest window
    octaves = math.ceil(math.log2(high / lowest))
    first, last = (PER_OCTAVE * math.log2(end / lowest) for end in (low, high))
    number = np.arange(math.floor(first), math.ceil(last) + 1)
    candidates = lowest * 2 ** (number / PER_OCTAVE)
    points = _from_erb(np.arange(_to_erb(lowest / 4), _to_erb(rate / 2), ERB_STEP))
    kernels = _kernels(points, candidates)
    windows = []
    for k in range(octaves + 1):
        share = 1 - np.abs(number / PER_OCTAVE - k)
        (used,) = np.nonzero(share > 0)
        if not len(used):
            continue
        length = longest >> k
        hann = 0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))
        bins, weights = _interpolation(points * length / rate, length // 2 + 1)
        table = np.ascontiguousarray((share[used, None] * kernels[used]).T, np.float32)
        windows.append(WindowTables(hann.astype(np.float32), bins, weights.astype(np.float32), int(used[0]), table))
    return Tables(candidates, tuple(windows))


def _kernels(points: Array, candidates: Array) -> Array:
    """Return K_c at the points of the frequency grid, [candidates, points]."""
    q = points / candidates[:, None]
    counts = _is_one_or_prime(int(q.max()) + 2)
    below = np.floor(q).astype(int)
    off = q - below
    half = (counts[below] + counts[below + 1]) / 2
    share = np.where(off < 0.25, counts[below], np.where(off > 0.75, counts[below + 1], half))
    kernels = share * np.cos(2 * np.pi * q) / np.sqrt(points)
    norms = np.sqrt((np.maximum(kernels, 0) ** 2).sum(axis=1, keepdims=True))
    scaled: Array = np.divide(kernels, norms, out=np.zeros_like(kernels), where=norms > 0)
    return scaled


def _is_one_or_prime(most: int) -> Array:
    """Return 1.0 for each number from 0 to `most` that is 1 or a prime, else 0.0."""
    found = np.ones(most + 1)
    found[0] = 0
    for number in range(2, math.isqrt(most) + 1):
        if found[number]:
            found[number * number :: number] = 0
    return found


def _interpolation(at: Array, bins: int) -> tuple[Array, Array]:
    """Return the first of the four bins used for each position, [n], and the weights [4, n] of a cubic interpolation.

    at: [n], positions in units of bins; bins: the number of bins. The cubic passes through the values of the four bins.
    """
    first = np.clip(np.floor(at).astype(int) - 1, 0, max(0, bins - 4))
    u = at - first
    nodes = range(4)
    weights = [np.prod([(u - other) / (node - other) for other in nodes if other != node], axis=0) for node in nodes]
    return first, np.array(weights)


def _strengths(x: Array, at: Array, tables: Tables) -> Array:
    """Return the strengths [frames, candidates] of all candidate pitches at the samples `at`, equally spaced.

    Strengths of long windows are computed every half window and interpolated; those of short windows at every frame.
    """
    total = np.zeros((len(at), len(tables.candidates)), np.float32)
    step = int(at[1] - at[0]) if len(at) > 1 else 1
    for window in tables.windows:
        half = len(window.hann) // 2
        if half <= step:
            columns = total[:, window.begin : window.begin + window.kernels.shape[1]]
            columns += matmul(_loudness(x, int(at[0]), step, len(at), window), window.kernels)
            continue
        first = int(at[0]) // half
        count = int(at[-1]) // half + 2 - first
        strengths = matmul(_loudness(x, first * half, half, count, window), window.kernels)
        place = at / half - first
        k = place.astype(int)
        _add_between(strengths, k, (place - k).astype(np.float32), window.begin, total)
    return total


def _loudness(x: Array, begin: int, step: int, count: int, window: WindowTables) -> Array:
    """Return L_w (see the module) of `count` windows, [count, points], centred at the samples begin, begin + step ...

    x: [n] float32, the signal, taken as 0 outside; window: the tables for windows of this length.
    """
    from scipy.fft import rfft

    length = len(window.hann)
    start, stop = begin - length // 2, begin - length // 2 + (count - 1) * step + length
    part = np.zeros(stop - start, np.float32)
    inside = x[max(start, 0) : max(stop, 0)]
    part[max(-start, 0) : max(-start, 0) + len(inside)] = inside
    frames = np.lib.stride_tricks.sliding_window_view(part, length)[::step]
    spectra = rfft(frames * window.hann, axis=1)
    loudness = np.empty((count, len(window.first)), np.float32)
    _normalised(spectra.view(np.float32), window.first, window.weights, loudness)
    return loudness


@kernel
def _normalised(spectra: Array, first: Array, weights: Array, loudness: Array) -> None:
    """Compute L_w (see module), write it to `loudness` [frames, points].

    spectra: [frames, 2 * bins], pairs (real, imaginary), changed in place; first, weights: as in `WindowTables`. The
    transform of a constant signal, w / 2 in bin 0 and -w / 4 in bin 1, is removed first.
    """
    bins, points = spectra.shape[1] // 2, len(first)
    magnitudes = np.zeros(bins, np.float32)
    for t in range(len(spectra)):
        row, values = spectra[t], loudness[t]
        row[2] += row[0] / np.float32(2)
        row[3] += row[1] / np.float32(2)
        for k in range(1, bins):
            magnitudes[k] = math.sqrt(row[2 * k] * row[2 * k] + row[2 * k + 1] * row[2 * k + 1])
        total = np.float32(0)
        for i in range(points):
            k = first[i]
            value = magnitudes[k] * weights[0, i] + magnitudes[k + 1] * weights[1, i]
            value = value + magnitudes[k + 2] * weights[2, i] + magnitudes[k + 3] * weights[3, i]
            values[i] = max(value, np.float32(0))
            total += values[i]
        scale = np.float32(1) / math.sqrt(total) if total > 0 else np.float32(0)
        for i in range(points):
            values[i] = math.sqrt(values[i]) * scale


@kernel
def _add_between(rows: Array, k: Array, share: Array, begin: int, total: Array) -> None:
    """Add to row t of `total` the row that lies between rows[k[t]] and rows[k[t] + 1], at share[t] of the way.

    begin: the column of `total` to which the first column of `rows` is added.
    """
    for t in range(len(k)):
        below, above, out, b = rows[k[t]], rows[k[t] + 1], total[t, begin:], share[t]
        a = np.float32(1) - b
        for c in range(rows.shape[1]):
            out[c] += below[c] * a + above[c] * b


@kernel
def _means(rows: Array, first: Array, last: Array) -> Array:
    """Return for each t the mean of the rows first[t] .. last[t] - 1: [frames, columns]. rows: [n, columns]."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]), np.float32)
    for t in range(len(rows)):
        for c in range(rows.shape[1]):
            sums[t + 1, c] = sums[t, c] + rows[t, c]
    means = np.empty((len(first), rows.shape[1]), np.float32)
    for t in range(len(first)):
        upper, lower, count = sums[last[t]], sums[first[t]], np.float32(last[t] - first[t])
        for c in range(rows.shape[1]):
            means[t, c] = (upper[c] - lower[c]) / count
    return means


@kernel
def _multiples(
    x: Array, rate: float, at: Array, reach: int, strengths: Array, best: Array, f0: Array, candidates: Array
) -> Array:
    """Return the factor by which each pitch must be multiplied, [frames]: 1, or about 2, 3 and so on for a subharmonic.

    x: [n]; at: [frames], samples; strengths: [frames, candidates]; best: [frames], the chosen candidates; f0: [frames],
    their exact pitches, Hz, 0 for none; candidates: the pitches of all candidates, Hz. Multiples up to MOST_MULTIPLE
    are tried. The strength of a multiple is the greatest of three frames, `reach` frames apart, because a pitch is weak
    where the voice begins. The subharmonic of unequal pulses may lie up to a semitone beside the exact fraction of
    their pitch; so if f0 is not a subharmonic of m * f0, the strongest candidate near m * f0 is tried too.
    """
    found = np.ones(len(f0))
    for i in range(len(f0)):
        least = LEAST_RATIO * strengths[i, best[i]]
        if strengths[i, best[i]] < LEAST_STRENGTH:
            continue
        for m in range(2, MOST_MULTIPLE + 1):
            place = best[i] + round(PER_OCTAVE * math.log2(m))
            if f0[i] == 0 or place >= strengths.shape[1]:
                break
            near, pitch = -math.inf, m * f0[i]
            for k in (max(0, i - reach), i, min(i + reach, len(f0) - 1)):
                some = strengths[k, place - SEMITONE : place + SEMITONE + 1]
                if some.max() > near:
                    near, pitch = some.max(), candidates[place - SEMITONE + some.argmax()]
            if near < least:
                continue
            if relative_level(x, rate, at[i], f0[i], m) < MOST_RELATIVE_LEVEL:
                found[i] = m
                break
            off = abs(math.log2(pitch / (m * f0[i])))
            clear = near >= BESIDE_RATIO * strengths[i, best[i]]
            if clear and off > BESIDE and relative_level(x, rate, at[i], pitch / m, m) < MOST_RELATIVE_LEVEL:
                found[i] = pitch / f0[i]
                break
    return found


@kernel
def _lower_voices(
    x: Array, rate: float, at: Array, strengths: Array, strongest: Array, multiples: Array, candidates: Array
) -> Array:
    """Return the index of the best candidate of each frame, [frames].

    The best candidate is the strongest one, unless this is only a formant of a lower voice; then it is the pitch of
    this voice. at: [frames], samples; strengths: [frames, candidates]; strongest: [frames], the index of the strongest
    candidate; multiples: [frames], 1 where the strongest candidate is no subharmonic; other frames are not changed;
    candidates: the pitches of all candidates, Hz.
    """
    best = strongest.copy()
    fall = round(PER_OCTAVE * LEAST_FALL)
    for i in range(len(best)):
        top = strongest[i]
        if top <= fall or strengths[i, top] < LEAST_STRENGTH or multiples[i] != 1:
            continue
        low = strengths[i, : top - fall].argmax()
        if strengths[i, low] < FORMANT_RATIO * strengths[i, top]:
            continue
        m = round(candidates[top] / candidates[low])
        # The subharmonic of unequal pulses lies up to a semitone beside the fraction of their pitch: look at both.
        level = relative_level(x, rate, at[i], candidates[low], m)
        level *= relative_level(x, rate, at[i], candidates[top] / m, m)
        if level >= LEAST_RELATIVE_LEVEL**2:
            best[i] = low
    return best


def _peaks(strengths: Array, chosen: Array, tables: Tables) -> tuple[Array, Array]:
    """Return pitch in Hz and strength of the strongest candidate near the chosen one: [frames] each.

    strengths: [frames, candidates]; chosen: [frames], indices of candidates. The pitch is where a parabola, fitted to
    the strengths of the candidate and its two neighbours as a function of the period, has its maximum. The maximum is
    searched on a grid of FINE steps from one candidate to the next. The pitch is 0 if the candidate is the first or the
    last one, or if its strength is not above 0.
    """
    rows = np.arange(len(strengths))[:, None]
    near = np.clip(chosen[:, None] + np.arange(-NEAR, NEAR + 1), 0, strengths.shape[1] - 1)
    best = near[rows[:, 0], strengths[rows, near].argmax(axis=1)]
    frames = np.arange(len(strengths))
    strength = strengths[frames, best].astype(np.float64)
    inner = (best > 0) & (best < len(tables.candidates) - 1) & (strength > 0)
    centre = np.clip(best, 1, len(tables.candidates) - 2)
    y = np.stack([strengths[frames, centre + k] for k in (-1, 0, 1)]).astype(np.float64)
    steps = np.arange(-FINE, FINE + 1) / (FINE * PER_OCTAVE)  # octaves
    nodes = 2.0 ** (np.array([1.0, 0.0, -1.0]) / PER_OCTAVE) - 1  # periods, relative to that of the candidate
    curve = np.linalg.inv(np.vander(nodes, 3)) @ y
    values = np.vander(2.0**-steps - 1, 3) @ curve
    fine = steps[values.argmax(axis=0)]
    return np.where(inner, tables.candidates[centre] * 2**fine, 0.0), strength


def _to_erb(hertz: float) -> float:
    return 21.4 * math.log10(1 + hertz / 229)


def _from_erb(erb: Array) -> Array:
    return (10 ** (erb / 21.4) - 1) * 229
