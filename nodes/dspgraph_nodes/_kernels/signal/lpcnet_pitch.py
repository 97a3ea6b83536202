"""The pitch search of LPCNet: normalised correlations of the residual, and the best path through them.

Loops over lags are written so that each lag has a sum of its own, in one order, and several are summed side by side.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]

HOP = 160  # samples between two frames
HALF = 80  # samples that share one lag; a frame lies half a hop before its span, so it has two halves
LONGEST = 256  # samples of lag; the correlations are numbered from the longest lag down
CANDIDATES = 224  # of them, down to a lag of 33 samples
LARGEST = 510  # sum of the two lags of a frame; the smallest, 66, is that of the shortest lags themselves
GUARDED = 192  # lags above 64 samples, of which half can be checked

FULL_SCALE = 32768.0  # the 1 in the denominator is one step of 16 bits
BRIGHTER = 0.7  # the zero that follows the residual
REACH = 4  # candidates that a pitch moves in half a frame
SLOPE = 0.02  # cost of a move, times its square
JUMP = 6.0  # cost of any other
# A third of a sample to either side, with the taps from the farthest or from the nearest end.
THIRD = np.array([0.026184, -0.098339, 0.369938, 0.837891, -0.184969, 0.070242, -0.020947])
TINY = float(np.finfo(np.float64).tiny)


@dataclass
class Search:
    """Where the search stands."""

    samples: Array  # the past that the next frame needs, [HALF + order]
    residual: Array  # with its zero, the past that the longest lag needs, [LONGEST]
    last: Array  # of the residual without it, [1]
    path: Array = field(default_factory=lambda: np.zeros(CANDIDATES))  # totals, less the best
    best: Array = field(default_factory=lambda: np.zeros(1))  # the best total, from before it was taken off
    where: Array = field(default_factory=lambda: np.zeros(1, np.int64))  # its candidate


def begin(order: int) -> Search:
    """The search before the first sample."""
    return Search(np.zeros(HALF + order), np.zeros(LONGEST), np.zeros(1))


def search(state: Search, x: Array, lpc: Array) -> tuple[Array, Array]:
    """Pitch and correlation [n, 1] of n frames: x holds their samples, the last frame's perhaps in part.

    lpc: [n, order + 1], rows (gain, a[1..order]). The state is changed in place.
    """
    count, past = len(lpc), len(state.samples)
    samples = np.zeros(past + count * HOP)
    samples[:past] = state.samples
    samples[past : past + len(x)] = x
    samples[past : past + len(x)] *= FULL_SCALE
    pitch, correlation = np.empty((count, 1)), np.empty((count, 1))
    _search(
        samples, lpc.astype(np.float64), state.residual, state.last, state.path, state.best, state.where,
        pitch, correlation,
    )  # fmt: skip
    state.samples = samples[count * HOP :].copy()
    return pitch, correlation


@kernel
def _search(
    samples: Array, lpc: Array, residual: Array, last: Array, path: Array, best: Array, where: Array,
    pitch: Array, correlation: Array,
) -> None:  # fmt: skip
    order = lpc.shape[1] - 1
    e = np.empty(LONGEST + HOP)  # the residual with its zero: the past, then the frame
    r = np.empty(1 + HOP)
    xc, xc_fine = np.empty((2, LONGEST)), np.empty((2, LONGEST))
    origin = np.empty((2, CANDIDATES), np.int64)
    energy, weight, winner = np.empty(2), np.empty(2), np.empty(2, np.int64)
    squares = np.empty(LONGEST + HOP + 1)
    score, total = np.empty(CANDIDATES + 2 * REACH), np.empty(CANDIDATES)
    source = np.empty(CANDIDATES, np.int64)
    e[:LONGEST] = residual
    for f in range(len(lpc)):
        # The residual of samples [f HOP - HALF, f HOP + HALF), then e[n] = r[n] + 0.7 r[n-1].
        block = samples[f * HOP : f * HOP + order + HOP]
        r[0] = last[0]
        out = r[1:]
        now = block[order:]
        for n in range(HOP):
            out[n] = now[n]
        for k in range(1, order + 1):
            a, before = lpc[f, k], block[order - k : order - k + HOP]
            for n in range(HOP):
                out[n] += a * before[n]
        new, before = e[LONGEST:], r[:HOP]
        for n in range(HOP):
            new[n] = out[n] + BRIGHTER * before[n]
        last[0] = r[HOP]

        squares[0] = 0.0
        for n in range(LONGEST + HOP):
            squares[n + 1] = squares[n] + e[n] * e[n]
        for half in range(2):
            offset = half * HALF
            current, lagged, c = e[LONGEST + offset : LONGEST + offset + HALF], e[offset:], xc[half]
            for i in range(LONGEST):
                c[i] = 0.0
            for n in range(0, HALF, 4):  # four products at a time: a sum is loaded and stored a quarter as often
                c0, c1, c2, c3 = current[n], current[n + 1], current[n + 2], current[n + 3]
                l0, l1, l2, l3 = lagged[n:], lagged[n + 1 :], lagged[n + 2 :], lagged[n + 3 :]
                for i in range(LONGEST):
                    c[i] = c[i] + c0 * l0[i] + c1 * l1[i] + c2 * l2[i] + c3 * l3[i]
            begin, end = squares[offset:], squares[offset + HALF :]
            own = squares[LONGEST + offset + HALF] - squares[LONGEST + offset]
            energy[half] = own
            for i in range(LONGEST):
                c[i] = 2.0 * c[i] / (1.0 + own + (end[i] - begin[i]))
        scale = 2.0 / (energy[0] + energy[1] + TINY)
        weight[0], weight[1] = energy[0] * scale, energy[1] * scale

        for half in range(2):
            c, fine = xc[half], xc_fine[half]
            for i in range(LONGEST):
                fine[i] = c[i]
            for i in range(4, LONGEST - 4):
                up, down = 0.0, 0.0
                for j in range(7):
                    up += c[i - 3 + j] * THIRD[j]
                    down += c[i - 3 + j] * THIRD[6 - j]
                fine[i] = max(c[i], max(up, down))
            # A lag whose half is nearly as good is the pitch's octave.
            for i in range(GUARDED):
                at = LONGEST + i
                octave = max(fine[at // 2], max(fine[(at + 2) // 2], fine[(at - 1) // 2]))
                if fine[i] < 1.1 * octave:
                    fine[i] *= 0.8

            jump, came = best[0] - JUMP, where[0]
            for i in range(CANDIDATES):
                total[i], source[i] = jump, came
            score[:REACH] = -np.inf
            score[REACH + CANDIDATES :] = -np.inf
            score[REACH : REACH + CANDIDATES] = path
            for j in range(2 * REACH + 1):
                cost = SLOPE * ((j - REACH) * (j - REACH))
                moved = score[j : j + CANDIDATES]
                for i in range(CANDIDATES):
                    value = moved[i] - cost
                    better = value > total[i]
                    total[i] = value if better else total[i]
                    source[i] = i + j - REACH if better else source[i]
            w = weight[half]
            for i in range(CANDIDATES):
                total[i] += w * fine[i]
            top, at = total[0], 0
            for i in range(1, CANDIDATES):
                if total[i] > top:
                    top, at = total[i], i
            for i in range(CANDIDATES):
                path[i] = total[i] - top
            origin[half] = source
            best[0], where[0] = top, at

        winner[1] = where[0]
        winner[0] = origin[1, winner[1]]
        pitch[f, 0] = (min(2 * LONGEST - winner[0] - winner[1], LARGEST) - 200) / 100
        found = weight[0] * xc_fine[0, winner[0]] + weight[1] * xc_fine[1, winner[1]]
        correlation[f, 0] = 0.5 * found - 0.5
        e[:LONGEST] = e[HOP:].copy()
    residual[:] = e[:LONGEST]
