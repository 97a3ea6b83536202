"""Overlap-add of frames that arrive in blocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel

_NEGLIGIBLE = 1e-10  # times the peak of the window: a sample with less weight is lost to rounding


@dataclass
class OverlapState:
    """The state of an overlap-add: sums over the frames so far, for samples to which later frames will still add.

    total: [length - hop], the sums of frames times gain; weight: [length - hop], the sums of the weights. early: how
    many samples before the signal are still to be dropped. ahead: how many samples before its span a frame begins.
    """

    total: Array  # the sums of the frames, times their gain
    weight: Array  # the sums of the weights
    early: int  # samples before the start of the signal that are still to be dropped
    ahead: int  # samples by which a frame begins before its span


def start(length: int, hop: int, first: int, dtype: np.dtype[Any]) -> OverlapState:
    """Return the state of an overlap-add before the first frame.

    length, hop: the length of a frame and the distance from one frame to the next, samples. A frame begins `first`
    samples after the start of its span, first <= 0, and reaches at least to the end of its span. dtype: of the samples.
    """
    return OverlapState(np.zeros(length - hop, dtype), np.zeros(length - hop, dtype), -first, -first)


def step(tail: OverlapState, pieces: Iterable[Array], count: int, gain: Array, weight: Array, hop: int) -> Array:
    """Add the next frames; return the samples that no later frame reaches, [m].

        y[n] = (sum_k gain[i] * f_k[i]) / (sum_k weight[i]),    i = n - k * hop - first

    The sums run over the frames that contain the sample, with k ascending, however they are divided into pieces.
    Samples before the signal are left out. pieces: the next `count` frames f_k, as consecutive arrays [frames, length];
    gain, weight: [length], the same in every call; hop: samples from one frame to the next; tail: the state, updated in
    place. `first` is the argument of `start`.
    """
    over = len(tail.total)
    done = count * hop
    total = np.zeros(done + over, tail.total.dtype)
    total[:over] = tail.total
    at = 0
    for frames in pieces:
        add_rows(frames, gain, hop, total[at * hop :])
        at += len(frames)
    # A sample that lies in as many frames as possible has the same sum of weights as the sample one hop before.
    some = min(count, -(-len(weight) // hop))
    weights = np.zeros(some * hop + over, total.dtype)
    weights[:over] = tail.weight
    for k in range(some):
        weights[k * hop : k * hop + len(weight)] += weight
    y, early = total[:done], min(tail.early, done)
    y[early : some * hop] /= weights[early : some * hop]  # those before `early` can have weight 0
    if count > some:
        later = y[some * hop :].reshape(-1, hop)
        later /= weights[(some - 1) * hop : some * hop]
    tail.total, tail.weight, tail.early = total[done:].copy(), weights[some * hop :], tail.early - early
    return y[early:]


def flush(tail: OverlapState) -> Array:
    """Return the samples that are left, up to the end of the last frame's span, [m]. tail: the state."""
    y: Array = tail.total[tail.early : tail.ahead] / tail.weight[tail.early : tail.ahead]
    return y


def find_lost_sample(window: Array, hop: int, first: int, least: float = _NEGLIGIBLE) -> int | None:
    """Return the index, within a span, of a sample that overlap-add cannot restore, or None if it can restore all.

    It is the sample with the smallest weight in the frame of the span, if this weight is at most `least` times the
    largest weight. Neighbouring frames do not count, because there are none at the edges of a signal. window: [length],
    the weights; hop: the length of a span; first: where the window begins, in samples after the start of the span.
    """
    at = np.arange(hop) - first
    length = len(window)
    carried = np.where((at >= 0) & (at < length), window[at.clip(0, length - 1)], 0)
    return int(carried.argmin()) if carried.min() <= least * window.max() else None


@kernel
def add_rows(frames: Array, gain: Array, hop: int, total: Array) -> None:
    """Add gain * frames[k] to `total` from sample k * hop on, for each k in ascending order.

    frames: [n, length]; gain: [length]; total: at least (n - 1) * hop + length samples, changed in place.
    """
    count, length = frames.shape
    for k in range(count):
        frame, t = frames[k], total[k * hop : k * hop + length]
        for i in range(length):
            t[i] += gain[i] * frame[i]
