"""Probabilistic YIN: candidates of the pitch with their probabilities, and the best path through them, frame by frame.

Sources: M. Mauch and S. Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold distributions",
ICASSP 2014; A. de Cheveigne and H. Kawahara, "YIN, a fundamental frequency estimator for speech and music", Journal of
the Acoustical Society of America 111(4), 2002. Details that the papers do not give are taken from librosa 0.11.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import LN_2, exp, log, log_of

_BINS = 120  # bins of the pitch per octave
_THRESHOLDS = 100
_OCTAVES_PER_SECOND = 35.92  # from the fastest fall of the pitch to the fastest rise: half of this either way
_SWITCH = 0.01  # probability of a change from voiced to unvoiced, or back, from one frame to the next
_NO_TROUGH = 0.01  # share of the weight of thresholds below all troughs that the deepest trough gets
_BOLTZMANN = 0.1353352832366127  # exp(-2): a trough is this times as probable as the trough before it
_TINY = float(np.finfo(np.float64).tiny)
_LOG_TINY = -708.3964185322641


@dataclass(frozen=True)
class PitchGrid:
    """The fixed parts of a pitch search: the lags, the pitches of the bins, and the costs of moves between bins.

    rate: the sampling rate, Hz; shortest, longest: the smallest and the largest lag, samples; pitches: [bins], Hz;
    moves: the logarithms of the weights of moves by -reach .. reach bins; norms: [bins], for each bin the logarithm of
    the sum of the weights of all moves from it; weights: the prior probabilities of YIN's thresholds 0.01, 0.02 ... 1.
    """

    rate: float  # Hz
    shortest: int  # lag, samples
    longest: int
    pitches: Array  # [bins] Hz, rising
    moves: Array  # log weights of the moves by -reach .. reach bins
    norms: Array  # [bins]: log of the sum of the weights of all moves from a bin
    weights: Array  # prior of the thresholds 0.01, 0.02 ... 1


@lru_cache(maxsize=8)
def pitch_grid(rate: float, hop: int, low: float, high: float) -> PitchGrid:
    """Return the fixed parts of a pitch search.

    rate: the sampling rate, Hz; hop: samples from one frame to the next; low, high: the lowest and the highest pitch,
    Hz.
    """
    count = math.floor(_BINS * math.log2(high / low)) + 1
    half = max(1, round(_OCTAVES_PER_SECOND * 12 * hop / rate)) * _BINS // 24  # a triangle of at least one semitone
    reach = min(half, count - 1)
    triangle = half + 1 - np.abs(np.arange(-reach, reach + 1.0))
    sums = np.convolve(np.ones(count), triangle)[reach : reach + count]
    edges = np.arange(_THRESHOLDS + 1) / _THRESHOLDS
    cumulative = 1 - np.multiply.reduce([1 - edges] * 18) * (1 + 18 * edges)  # of the beta distribution (2, 18)
    return PitchGrid(
        rate=rate,
        shortest=math.floor(rate / high),
        longest=math.ceil(rate / low),
        pitches=low * exp(np.arange(count) * (LN_2 / _BINS)),
        moves=log(triangle),
        norms=log(sums),
        weights=np.diff(cumulative),
    )


@dataclass
class PitchPath:
    """The best paths to all states after the frames so far.

    State b is bin b, voiced; state bins + b is bin b, unvoiced. score: [2 * bins], the scores of the paths. origin:
    [wait + 1, 2 * bins], the state before each state. found: [wait + 1, bins], the exact pitches. Frame t is in row t %
    (wait + 1). seen: how many frames were added. given: the pitches of how many frames were returned.
    """

    score: Array  # [2 * bins]: the score of the best path to each state, minus the best score
    origin: Array  # [wait + 1, 2 * bins]: the state before, on the best path
    found: Array  # [wait + 1, bins] Hz: the exact pitch of the candidate in a bin, or the pitch of the bin
    seen: int = 0  # number of frames so far
    given: int = 0  # number of frames whose pitch was returned


def start_path(grid: PitchGrid, wait: int) -> PitchPath:
    """Return the paths before the first frame.

    grid: the fixed parts of the search; wait: how many later frames decide about the pitch of a frame.
    """
    bins = len(grid.pitches)
    return PitchPath(np.zeros(2 * bins), np.zeros((wait + 1, 2 * bins), np.int32), np.zeros((wait + 1, bins)))


def extend_path(grid: PitchGrid, path: PitchPath, frames: Array) -> Array:
    """Add frames to the paths; return the pitch of the frames that now have `wait` later frames, see `start_path`.

    Each frame is returned once. The pitch is in Hz, and 0 where unvoiced.

    grid: the fixed parts of the search; path: updated in place; frames: [n, length], longer than the longest lag.
    """
    f0 = np.empty(max(0, path.seen + len(frames) + 1 - len(path.origin) - path.given))
    _extend(
        np.ascontiguousarray(frames, np.float64), grid.shortest, grid.longest, grid.rate, grid.pitches, grid.moves,
        grid.norms, grid.weights, path.score, path.origin, path.found, path.seen, f0,
    )  # fmt: skip
    path.seen += len(frames)
    path.given += len(f0)
    return f0


def end_path(path: PitchPath) -> Array:
    """Return the pitch, in Hz, of the frames that are left at the end of a signal; 0 where unvoiced.

    path: updated in place.
    """
    f0 = np.empty(path.seen - path.given)
    if len(f0):
        _trace(path.score, path.origin, path.found, path.given, path.seen, f0)
    path.given = path.seen
    return f0


def candidates(grid: PitchGrid, frame: Array) -> tuple[Array, Array]:
    """Return (probability, pitch) of every bin for one frame, [bins] each: of the candidate in the bin, or 0 and 0.

    The pitch is the exact pitch of the candidate, Hz. grid: the fixed parts of the search; frame: [length], longer than
    the longest lag.
    """
    d, x = np.zeros(grid.longest + 1), np.concatenate((frame, np.zeros(grid.longest + 1)))
    probability, pitch = np.zeros((2, len(grid.pitches)))
    _difference(x, len(frame), d)
    _candidates(d, grid.shortest, grid.rate, grid.pitches, grid.weights, probability, pitch)
    return probability, pitch


@kernel
def _difference(x: Array, length: int, d: Array) -> None:
    """Write the normalised difference function d' of a frame to d, with d[0] = 0 (YIN, equations 6 and 8).

    d(lag) = sum over j of (x[j] - x[j + lag])**2,    d'(lag) = lag * d(lag) / (sum over k <= lag of d(k))

    x: the frame, `length` samples, followed by at least as many zeros as d has elements.
    """
    for i in range(len(d)):
        d[i] = 0.0
    for n in range(0, length, 4):  # four products at a time: d is read and written a quarter as often
        count = min(len(d), length - n)
        a, b, c, e = x[n], x[n + 1], x[n + 2], x[n + 3]
        p, q, r, s = x[n : n + count], x[n + 1 : n + 1 + count], x[n + 2 : n + 2 + count], x[n + 3 : n + 3 + count]
        for i in range(count):
            d[i] = d[i] + a * p[i] + b * q[i] + c * r[i] + e * s[i]
    both, total = 2.0 * d[0], 0.0
    d[0] = 0.0
    for i in range(1, len(d)):
        both -= x[i - 1] * x[i - 1]
        raw = both - 2.0 * d[i]
        total += raw
        d[i] = raw / (total / i + _TINY)


@kernel
def _candidates(
    d: Array, shortest: int, rate: float, pitches: Array, weights: Array, probability: Array, pitch: Array
) -> None:
    """Write the probability and the exact pitch, in Hz, of every bin that has a candidate; other bins stay as they are.

    d: normalised differences for the lags from 0 on; shortest, rate, pitches, weights: as in `PitchGrid`. A candidate
    is a local minimum of d at a lag of at least `shortest`. For each threshold, the minima below it share its weight:
    each is exp(-2) times as probable as the minimum before it. If no minimum lies below a threshold, the lowest minimum
    gets 1 % of its weight. A candidate below the lowest bin goes to that bin, one above the highest is dropped; of two
    in a bin, the one with the longer lag is kept.
    """
    last, count, deepest = len(d) - 1, 0, 0
    lags, heights, shares = np.empty(len(d), np.int64), np.empty(len(d)), np.zeros(len(d))
    for k in range(shortest, last + 1):
        falls = k == shortest or d[k] < d[k - 1]
        rises = k == last or d[k] < d[k + 1] or (d[k] == d[k + 1] and k > shortest)
        if falls and rises:
            lags[count], heights[count] = k, d[k]
            if heights[count] < heights[deepest]:
                deepest = count
            count += 1
    for t in range(len(weights) if count else 0):
        threshold, below, part = (t + 1) / len(weights), 0, 1.0
        if not heights[deepest] < threshold:
            shares[deepest] += _NO_TROUGH * weights[t]
            continue
        for i in range(count):
            below += heights[i] < threshold
        part = weights[t] * (1.0 - _BOLTZMANN) / (1.0 - _BOLTZMANN**below)
        for i in range(count):
            if heights[i] < threshold:
                shares[i] += part
                part *= _BOLTZMANN
    for i in range(count):
        k, shift = lags[i], 0.0
        if shortest < k < last:  # the lowest point of a parabola through three differences
            curve, slope = d[k + 1] + d[k - 1] - 2.0 * d[k], (d[k + 1] - d[k - 1]) / 2.0
            shift = -slope / curve if abs(slope) < abs(curve) else 0.0
        hertz = rate / (k + shift)
        at = max(0, round(_BINS / LN_2 * log_of(hertz / pitches[0])))
        if shares[i] > 0.0 and at < len(pitches):
            probability[at], pitch[at] = shares[i], hertz


@kernel
def _move(score: Array, norms: Array, moves: Array, first: int, padded: Array, best: Array, came: Array) -> None:
    """Write the best score of a path that moves to bin b to best[b], and the state from which it comes to came[b].

    score: [bins], the scores of the paths to all voiced, or to all unvoiced, states so far; first: the number of the
    first of these states; norms, moves: see `PitchGrid`; padded: working memory, [bins + len(moves) - 1].
    """
    bins, half = len(score), len(moves) // 2
    for i in range(len(padded)):
        padded[i] = -np.inf
    for i in range(bins):
        padded[half + i] = score[i] - norms[i]
        best[i], came[i] = -np.inf, 0
    for k in range(len(moves)):
        cost, moved, base = moves[k], padded[k : k + bins], first + k - half
        for i in range(bins):
            value = moved[i] + cost
            better = value > best[i]
            best[i] = value if better else best[i]
            came[i] = base + i if better else came[i]


@kernel
def _best_state(score: Array) -> int:
    top = 0
    for i in range(1, len(score)):
        if score[i] > score[top]:
            top = i
    return top


@kernel
def _extend(
    frames: Array, shortest: int, longest: int, rate: float, pitches: Array, moves: Array, norms: Array, weights: Array,
    score: Array, origin: Array, found: Array, seen: int, f0: Array,
) -> None:  # fmt: skip
    """Add frames to the paths; write to f0 the pitch of the frames for which enough later frames have come.

    frames: [n, length] float64. The arrays from `score` to `found` are the state (see `PitchPath`), updated in place.
    seen: the number of frames before these. f0: [m], one number for each new frame that is number `wait` or later. The
    other arguments are those of `PitchGrid`.
    """
    length, bins, rows, given = frames.shape[1], len(pitches), len(origin), 0
    x, d, padded = np.zeros(length + longest + 5), np.empty(longest + 1), np.empty(bins + len(moves) - 1)
    best, came, probability = np.empty((2, bins)), np.empty((2, bins), np.int32), np.empty(bins)
    stay, switch = log_of(1.0 - _SWITCH), log_of(_SWITCH)
    for f in range(len(frames)):
        row, frame = (seen + f) % rows, frames[f]
        for i in range(length):
            x[i] = frame[i]
        for i in range(bins):
            probability[i], found[row, i] = 0.0, pitches[i]
        _difference(x, length, d)
        _candidates(d, shortest, rate, pitches, weights, probability, found[row])
        voiced = 0.0
        for i in range(bins):
            voiced += probability[i]
            probability[i] = log_of(probability[i]) if probability[i] > _TINY else _LOG_TINY
        unvoiced = log_of((1.0 - min(voiced, 1.0)) / bins + _TINY)
        top = _best_state(score)
        for v in range(2):
            _move(score[v * bins : (v + 1) * bins], norms, moves, v * bins, padded, best[v], came[v])
        for v in range(2):
            own, other, came_own, came_other, shift = best[v], best[1 - v], came[v], came[1 - v], v * bins
            for i in range(bins):
                value, at = own[i] + stay, came_own[i]
                if other[i] + switch > value:
                    value, at = other[i] + switch, came_other[i]
                if value < _LOG_TINY:  # a leap beyond all moves, from the best state, whose score is 0
                    value, at = _LOG_TINY, top
                score[shift + i], origin[row, shift + i] = value + (unvoiced if v else probability[i]), at
        highest = score[_best_state(score)]
        for i in range(2 * bins):
            score[i] -= highest
        if seen + f + 1 >= rows:
            _trace(score, origin, found, seen + f + 1 - rows, seen + f + 1, f0[given : given + 1])
            given += 1


@kernel
def _trace(score: Array, origin: Array, found: Array, first: int, end: int, f0: Array) -> None:
    """Follow the best path backwards from frame `end` - 1; write to f0 the pitch of the frames from `first` on.

    The frames from `first` to `end` - 1 must be among the last len(origin) frames. f0: [m], for the frames `first` to
    `first` + m - 1; score, origin, found: as in `PitchPath`.
    """
    bins, state = found.shape[1], _best_state(score)
    for t in range(end - 1, first - 1, -1):
        row = t % len(origin)
        if t - first < len(f0):
            f0[t - first] = found[row, state] if state < bins else 0.0
        state = origin[row, state]
