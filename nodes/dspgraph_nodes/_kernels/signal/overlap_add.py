"""Overlap-add of frames that arrive in blocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

_NEGLIGIBLE = 1e-10  # relative to the window's peak: below it a sample is lost to rounding


@dataclass
class OverlapState:
    """Sums of samples that later frames still add to, [length - hop] each."""

    total: Array
    weight: Array
    early: int  # samples before the start of the signal that are still to be dropped
    ahead: int  # samples by which frames begin before their span


def start(length: int, hop: int, first: int, dtype: np.dtype[Any]) -> OverlapState:
    """Return the state before the first frame.

    Frames begin at `first` <= 0 in their span and reach to its end or beyond.
    """
    return OverlapState(np.zeros(length - hop, dtype), np.zeros(length - hop, dtype), -first, -first)


def step(tail: OverlapState, pieces: Iterable[Array], count: int, gain: Array, weight: Array, hop: int) -> Array:
    """Return the samples that no later frame reaches: y[n] = sum_k g[i] f_k[i] / sum_k w[i], i = n - k hop - first.

    pieces: the next `count` frames, as consecutive arrays [m, length]; gain, weight: [length]. The sums of a sample run
    over k ascending, however the frames are divided into pieces.
    """
    over = len(tail.total)
    done = count * hop
    total = np.zeros(done + over, tail.total.dtype)
    total[:over] = tail.total
    at = 0
    for frames in pieces:
        add_rows(frames, gain, hop, total[at * hop :])
        at += len(frames)
    # A sample that all possible frames reach has the same weight as the sample one hop before.
    some = min(count, -(-len(weight) // hop))
    weights = np.zeros(some * hop + over, total.dtype)
    weights[:over] = tail.weight
    for k in range(some):
        weights[k * hop : k * hop + len(weight)] += weight
    y, early = total[:done], min(tail.early, done)
    y[early : some * hop] /= weights[early : some * hop]  # earlier samples can have weight 0
    if count > some:
        later = y[some * hop :].reshape(-1, hop)
        later /= weights[(some - 1) * hop : some * hop]
    tail.total, tail.weight, tail.early = total[done:].copy(), weights[some * hop :], tail.early - early
    return y[early:]


def flush(tail: OverlapState) -> Array:
    """Return the samples that remain after the last frame."""
    y: Array = tail.total[tail.early : tail.ahead] / tail.weight[tail.early : tail.ahead]
    return y


def find_lost_sample(window: Array, hop: int, first: int, least: float = _NEGLIGIBLE) -> int | None:
    """Return the sample of a span to which its own frame gives the least weight, if that is below `least` of the peak.

    At the edges of a signal no other frame gives it weight. Returns None if every sample has enough.
    """
    at = np.arange(hop) - first
    length = len(window)
    carried = np.where((at >= 0) & (at < length), window[at.clip(0, length - 1)], 0)
    return int(carried.argmin()) if carried.min() <= least * window.max() else None


@kernel
def add_rows(frames: Array, gain: Array, hop: int, total: Array) -> None:
    """Add gain times row k of `frames` [n, length] to `total`, from sample k * hop on, k ascending."""
    count, length = frames.shape
    for k in range(count):
        frame, t = frames[k], total[k * hop : k * hop + length]
        for i in range(length):
            t[i] += gain[i] * frame[i]
