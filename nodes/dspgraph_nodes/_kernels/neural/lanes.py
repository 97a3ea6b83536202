"""Signals in lanes: one after the other, or sixteen side by side, with the same bits.

The next samples of a signal are a segment. A loop over samples computes the same number of samples for each of its
lanes. This module calls the loop again and again until segments of different lengths are complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.layout import WIDTH, Schedule

MANY = 10  # with this many signals or more, sixteen lanes, some idle, are faster than one signal after the other


class Segment(NamedTuple):
    """The next n samples of one signal, to be synthesised."""

    state: Any  # the state of the signal, which the loop changes in place
    frames: Any  # a named tuple of arrays with one row per frame: the inputs of the loop
    wait: int  # samples of the first frame; a frame between the first and the last has `hop`, the last has the rest
    numbers: Array  # [n, ...]: the random numbers of each sample
    forced: Array = np.zeros(0)  # [m, ...]: samples that the network is given in place of its own first m; usually none


class Lane(NamedTuple):
    """One signal during one run of the loop. A row is the number of a frame among the frames of all signals."""

    state: Any
    row: int  # the row of the signal's current frame
    end: int  # the row of the signal's last frame
    wait: int  # number of samples until the next frame
    numbers: Array  # [count, ...]
    forced: Array  # [m, ...], m <= count


LaneOutputs = TypeVar("LaneOutputs", bound=tuple[Array, ...])

Loop = Callable[[Any, list[Lane], int], list[LaneOutputs]]
"""A function that computes the next `count` samples of every lane: (frames of all signals, lanes, count) -> outputs.

The outputs of a lane are a tuple of arrays [count, ...]. If there is one lane, the function computes it alone; for more
lanes it may compute sixteen, and drop the results of those without a signal.
"""


def in_lanes(
    segments: list[Segment],
    loop: Loop[LaneOutputs],
    hop: int,
    empty: LaneOutputs,
    many: int = MANY,
    longest: int = 2**62,
) -> list[LaneOutputs]:
    """Return the outputs of each segment.

    loop: the function that computes the outputs; hop: samples per frame; empty: outputs of no samples; longest: the
    most samples of one run.

    While `many` segments or more have samples left, up to sixteen are computed side by side: those with the most
    samples left, until one of them is complete. Fewer segments are computed one after the other. The states of the
    segments are changed in place.
    """
    frames = _joined([segment.frames for segment in segments])
    firsts = np.cumsum([0] + [len(segment.frames[0]) for segment in segments])
    found: list[list[LaneOutputs]] = [[empty] for _ in segments]
    done = [0] * len(segments)

    def left(k: int) -> int:
        return len(segments[k].numbers) - done[k]

    while waiting := sorted((k for k in range(len(segments)) if left(k)), key=left, reverse=True):
        group = waiting[:WIDTH] if len(waiting) >= many else waiting[:1]
        count = min(left(group[-1]), longest)
        lanes = [_lane(segments[k], int(firsts[k]), done[k], count, hop) for k in group]
        for k, outputs in zip(group, loop(frames, lanes, count), strict=True):
            found[k].append(outputs)
            done[k] += count
    joined = [tuple(np.concatenate(pieces) for pieces in zip(*each, strict=True)) for each in found]
    return cast(list[LaneOutputs], joined)


def _joined(frames: list[Any]) -> Any:
    """Return all frames joined: the frames of the first signal, then those of the second signal, and so on."""
    return frames[0] if len(frames) == 1 else type(frames[0])._make(map(np.concatenate, zip(*frames, strict=True)))


def _lane(segment: Segment, first: int, done: int, count: int, hop: int) -> Lane:
    """Return the lane for the next `count` samples of a segment, after the first `done` samples.

    first: the row of the segment's first frame among the frames of all signals.
    """
    last = len(segment.frames[0]) - 1
    passed = 0 if done < segment.wait else min(1 + (done - segment.wait) // hop, last)
    wait = segment.wait - done if done < segment.wait else hop - (done - segment.wait) % hop
    own = slice(done, done + count)
    return Lane(segment.state, first + passed, first + last, wait, segment.numbers[own], segment.forced[own])


def places(lanes: list[Lane]) -> int:
    """Return the number of lanes that the loop computes: 1 or 16."""
    return 1 if len(lanes) == 1 else WIDTH


def side_by_side(arrays: list[Array], fill: float = 0.0) -> Array:
    """Return the arrays of all lanes in one array, [..., lanes], with 1 or 16 lanes.

    arrays: one for each lane that has a signal, [n, ...]. If n differs, the shortest decides the length. fill: what
    lanes without a signal get.
    """
    count = min(len(one) for one in arrays)
    found = np.full((count, *arrays[0].shape[1:], 1 if len(arrays) == 1 else WIDTH), fill, arrays[0].dtype)
    for k, one in enumerate(arrays):
        found[..., k] = one[:count]
    return found


def schedule(lanes: list[Lane], hop: int) -> Schedule:
    """Return the rows of the frames that each lane uses. Lanes without a signal use row 0."""
    rows, ends, waits = (np.zeros(places(lanes), np.int64) for _ in range(3))
    for k, lane in enumerate(lanes):
        rows[k], ends[k], waits[k] = lane.row, lane.end, lane.wait
    return Schedule(rows, ends, waits, hop)
