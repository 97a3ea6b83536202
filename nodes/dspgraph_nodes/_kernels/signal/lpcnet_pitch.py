"""LPCNet's pitch search: normalised correlations of the LPC residual, and the best path through them.

The innermost loops run over lags or samples, each with its own sum in a fixed order, so that the compiler can use
vectors.
"""

from dataclasses import dataclass, field

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE

LPCNET_HOP = 160  # samples from one frame to the next
_HALF = 80  # samples of half a frame, which has one lag; a frame begins half a hop before its span
_LONGEST = 256  # longest lag, in samples, and number of lags; correlation i is that of the lag _LONGEST - i
_CANDIDATES = 224  # correlations that a pitch can have: lags from 256 down to 33 samples
_LARGEST_SUM = 510  # limit of the sum of a frame's two lags; the smallest sum is 66, twice the shortest lag
_GUARDED = 192  # number of correlations of lags above 64 samples: half of such a lag is a possible lag too

_ZERO = 0.7  # the residual is filtered by 1 + 0.7 / z
_REACH = 4  # the largest change of the lag from one half frame to the next, in samples, at the price below
_SLOPE = 0.02  # price of a change by d samples: _SLOPE * d**2
# Price of any larger change, except that the rise of the best score in the last half frame is taken off the price. This
# is so in the published program: it subtracts the best score from the scores of all paths, but not from the score with
# which a larger change begins.
_JUMP = 6.0
# Taps that interpolate a third of a sample to one side; in reverse order, to the other side.
_THIRD = np.array([0.026184, -0.098339, 0.369938, 0.837891, -0.184969, 0.070242, -0.020947])
_TINY = float(np.finfo(np.float64).tiny)


@dataclass
class PitchSearch:
    """The state of a pitch search between two calls: past samples and residuals, and the best paths over the lags."""

    samples: Array  # [_HALF + order]: the past samples that the next frame needs, in 16-bit scale
    residual: Array  # [_LONGEST]: the past of the filtered residual that the longest lag needs
    last: Array  # [1]: the last value of the residual, not filtered
    path: Array = field(
        default_factory=lambda: np.zeros(_CANDIDATES)
    )  # [_CANDIDATES]: score of the best path to each lag, minus the best score
    best: Array = field(default_factory=lambda: np.zeros(1))  # [1]: the best score, before the subtraction
    where: Array = field(default_factory=lambda: np.zeros(1, np.int64))  # [1]: the candidate with the best score
    origin: Array = field(
        default_factory=lambda: np.zeros((0, 2, _CANDIDATES), np.int64)
    )  # [waiting, 2, _CANDIDATES]: where the best path to each candidate comes from, in the frames without a pitch yet
    gained: Array = field(default_factory=lambda: np.zeros((0, 2, _CANDIDATES)))  # added to the score of each path


def start_search(order: int) -> PitchSearch:
    """Return the state of a search before the first sample. order: the order of the predictors."""
    return PitchSearch(np.zeros(_HALF + order), np.zeros(_LONGEST), np.zeros(1))


def search_pitch(state: PitchSearch, x: Array, lpc: Array, lookahead: int) -> tuple[Array, Array]:
    """Return the pitch and the correlation of the frames that are now determined, [m, 1] each, as LPCNet's features.

    pitch: (min(T1 + T2, 510) - 200) / 100 with the lags T1 and T2 of the two halves of a frame, in samples.
    correlation: c - 0.5, where c is the mean of the normalised correlations of the two halves, changed by `_refine` and
    weighted by the energies of the halves. Both are those of the best path up to the end of the frame that is
    `lookahead` frames later; so the last `lookahead` frames wait for more frames, or for `last_pitches`. lookahead: the
    same in every call.

    x: the next n * 160 samples after pre-emphasis, full scale +-1; at the end of the signal some of the last 160 may be
    missing, and count as 0. Frame k covers the samples from 160 * k - 80 up to 160 * k + 80; those before x are in the
    state. lpc: [n, order + 1], rows (gain, a[1..order]). state: updated in place.
    """
    count, past, waiting = len(lpc), len(state.samples), len(state.origin)
    samples = np.zeros(past + count * LPCNET_HOP)
    samples[:past] = state.samples
    samples[past : past + len(x)] = x
    samples[past : past + len(x)] *= INT16_FULL_SCALE
    origin = np.empty((waiting + count, 2, _CANDIDATES), np.int64)
    gained = np.empty(origin.shape)
    origin[:waiting], gained[:waiting] = state.origin, state.gained
    known = max(0, waiting + count - lookahead)
    pitch, correlation = np.empty((known, 1)), np.empty((known, 1))
    _search(
        samples, lpc.astype(np.float64), state.residual, state.last, state.path, state.best, state.where,
        origin, gained, waiting, pitch, correlation,
    )  # fmt: skip
    state.samples = samples[count * LPCNET_HOP :].copy()
    state.origin, state.gained = origin[known:].copy(), gained[known:].copy()
    return pitch, correlation


def last_pitches(state: PitchSearch) -> tuple[Array, Array]:
    """Return the pitch and the correlation of the frames that wait, [m, 1] each: those of the best path to the end."""
    pitch, correlation = np.empty((len(state.origin), 1)), np.empty((len(state.origin), 1))
    at = state.where[0]
    for row in range(len(pitch) - 1, -1, -1):
        at = _read_path(state.origin[row], state.gained[row], at, pitch[row], correlation[row])
    return pitch, correlation


@kernel
def _search(
    samples: Array, lpc: Array, residual: Array, last: Array, path: Array, best: Array, where: Array,
    origin: Array, gained: Array, waiting: int, pitch: Array, correlation: Array,
) -> None:  # fmt: skip
    """Extend the best paths over the lags by the next frames, and write pitch and correlation of the frames now known.

    samples: [80 + order + 160 * n] float64, the past samples of the state and the samples of n frames, in 16-bit scale.
    lpc: as in `search_pitch`, float64. residual, last, path, best, where: the fields of `PitchSearch`, updated in
    place. origin, gained: those fields, with a row for each new frame after the first `waiting` rows; the new rows are
    written. pitch, correlation: [known, 1], written; the last len(origin) - known frames wait for later frames.
    """
    order = lpc.shape[1] - 1
    e = np.empty(_LONGEST + LPCNET_HOP)  # the filtered residual: its past, then the frame
    r = np.empty(1 + LPCNET_HOP)
    xc, xc_fine = np.empty((2, _LONGEST)), np.empty(_LONGEST)
    energy = np.empty(2)
    squares = np.empty(_LONGEST + LPCNET_HOP + 1)
    score, total = np.empty(_CANDIDATES + 2 * _REACH), np.empty(_CANDIDATES)
    lookahead = len(origin) - len(pitch)
    for n in range(_LONGEST):
        e[n] = residual[n]
    for f in range(len(lpc)):
        begin = f * LPCNET_HOP  # here lie `order` earlier samples, then the frame, which begins at f * hop - _HALF
        _filter_residual(samples[begin : begin + order + LPCNET_HOP], lpc[f], last, r, e[_LONGEST:])
        squares[0] = 0.0
        for n in range(_LONGEST + LPCNET_HOP):
            squares[n + 1] = squares[n] + e[n] * e[n]
        for half in range(2):
            energy[half] = _correlate(e[half * _HALF :], squares[half * _HALF :], xc[half])
        scale = 2.0 / (energy[0] + energy[1] + _TINY)
        row = waiting + f
        for half in range(2):
            _refine(xc[half], xc_fine)
            gains = gained[row, half]
            for i in range(_CANDIDATES):
                gains[i] = energy[half] * scale * xc_fine[i]
            _extend_path(gains, path, best, where, score, total, origin[row, half])
        known = row - lookahead
        if known >= 0:
            at = where[0]
            for k in range(row, known, -1):
                at = origin[k, 0, origin[k, 1, at]]
            _read_path(origin[known], gained[known], at, pitch[known], correlation[known])
        for n in range(_LONGEST):
            e[n] = e[n + LPCNET_HOP]
    for n in range(_LONGEST):
        residual[n] = e[n]


@kernel
def _read_path(origin: Array, gained: Array, at: int, pitch: Array, correlation: Array) -> int:
    """Write the pitch and the correlation of a frame whose path ends at candidate `at`.

    Returns the candidate at which the path of the frame before ends. origin, gained: [2, _CANDIDATES], of the frame.
    """
    before: int = origin[1, at]
    pitch[0] = (min(2 * _LONGEST - before - at, _LARGEST_SUM) - 200) / 100
    correlation[0] = 0.5 * (gained[0, before] + gained[1, at]) - 0.5
    end: int = origin[0, before]
    return end


@kernel
def _filter_residual(block: Array, predictor: Array, last: Array, r: Array, e: Array) -> None:
    """Compute the residual r of one frame and the filtered residual e[n] = r[n] + 0.7 * r[n - 1]; write both.

    block: [order + LPCNET_HOP], the samples of the frame, preceded by `order` earlier samples; predictor: (gain,
    a[1..order]); last: [1], the residual of the sample before the frame, updated in place; r: [1 + LPCNET_HOP], written
    with the residual of the sample before the frame, then the residual of the frame; e: [LPCNET_HOP], written.
    """
    order = len(predictor) - 1
    r[0] = last[0]
    out, now = r[1:], block[order:]
    for n in range(LPCNET_HOP):
        out[n] = now[n]
    for k in range(1, order + 1):
        a, before = predictor[k], block[order - k : order - k + LPCNET_HOP]
        for n in range(LPCNET_HOP):
            out[n] += a * before[n]
    previous = r[:LPCNET_HOP]
    for n in range(LPCNET_HOP):
        e[n] = out[n] + _ZERO * previous[n]
    last[0] = r[LPCNET_HOP]


@kernel
def _correlate(e: Array, squares: Array, c: Array) -> float:
    """Write the normalised correlations of half a frame with its past to c; return the energy of the half frame.

    The half frame is h = e[_LONGEST : _LONGEST + _HALF]. c[i] = 2 * <h, p> / (1 + |h|**2 + |p|**2), where p = e[i : i +
    _HALF] lies _LONGEST - i samples before h. squares[n]: the sum of the squares before e[n], plus any constant.
    """
    current = e[_LONGEST : _LONGEST + _HALF]
    for i in range(_LONGEST):
        c[i] = 0.0
    for n in range(0, _HALF, 4):  # four products at a time: c is read and written a quarter as often
        c0, c1, c2, c3 = current[n], current[n + 1], current[n + 2], current[n + 3]
        l0, l1, l2, l3 = e[n:], e[n + 1 :], e[n + 2 :], e[n + 3 :]
        for i in range(_LONGEST):
            c[i] = c[i] + c0 * l0[i] + c1 * l1[i] + c2 * l2[i] + c3 * l3[i]
    begin, end = squares, squares[_HALF:]
    own: float = squares[_LONGEST + _HALF] - squares[_LONGEST]
    for i in range(_LONGEST):
        c[i] = 2.0 * c[i] / (1.0 + own + (end[i] - begin[i]))
    return own


@kernel
def _refine(c: Array, fine: Array) -> None:
    """Write to `fine` the largest of each correlation and its two interpolations, a third of a sample to either side.

    The first and the last four correlations are not interpolated. Then, against octave errors, each correlation of a
    lag above 64 samples is compared with the largest correlation at or next to half its lag: if it is less than 1.1
    times as large, it is multiplied by 0.8.
    """
    for i in range(_LONGEST):
        fine[i] = c[i]
    for i in range(4, _LONGEST - 4):
        up, down = 0.0, 0.0
        for j in range(7):
            up += c[i - 3 + j] * _THIRD[j]
            down += c[i - 3 + j] * _THIRD[6 - j]
        fine[i] = max(c[i], max(up, down))
    for i in range(_GUARDED):
        at = _LONGEST + i
        octave = max(fine[at // 2], max(fine[(at + 2) // 2], fine[(at - 1) // 2]))
        if fine[i] < 1.1 * octave:
            fine[i] *= 0.8


@kernel
def _extend_path(
    gains: Array, path: Array, best: Array, where: Array, score: Array, total: Array, origin: Array
) -> None:
    """Extend the best paths by half a frame, so that one path ends at every candidate lag.

    gains: the number that the half frame adds to the score of each candidate. path, best, where: the state, updated in
    place; the score of `best` is that before the best score was subtracted from all scores in `path`, see `_JUMP`.
    origin: overwritten with the candidate from which the path to each candidate comes. score, total: working memory.
    """
    jump, came = best[0] - _JUMP, where[0]
    for i in range(_CANDIDATES):
        total[i], origin[i] = jump, came
    score[:_REACH] = -np.inf
    score[_REACH + _CANDIDATES :] = -np.inf
    for i in range(_CANDIDATES):
        score[_REACH + i] = path[i]
    for j in range(2 * _REACH + 1):
        cost = _SLOPE * ((j - _REACH) * (j - _REACH))
        moved = score[j : j + _CANDIDATES]
        for i in range(_CANDIDATES):
            value = moved[i] - cost
            better = value > total[i]
            total[i] = value if better else total[i]
            origin[i] = i + j - _REACH if better else origin[i]
    for i in range(_CANDIDATES):
        total[i] += gains[i]
    top, at = total[0], 0
    for i in range(1, _CANDIDATES):
        if total[i] > top:
            top, at = total[i], i
    for i in range(_CANDIDATES):
        path[i] = total[i] - top
    best[0], where[0] = top, at
