"""The distribution of signals among the lanes of a loop over samples: one signal, or sixteen side by side.

The next samples of a signal to be computed are a segment. The loop computes the same number of samples in each of its
lanes. This module calls the loop again and again until segments of different lengths are complete. A signal gets the
same bits alone and side by side with others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.layout import WIDTH, Schedule

MANY = 10  # with this many signals or more, sixteen lanes, some idle, are faster than one signal after the other


class Segment(NamedTuple):
    """The next n samples of one signal to be computed.

    state: the state of the signal, which the loop changes in place. frames: named tuple of arrays with one row per
    frame, the inputs of the loop. wait: how many samples use the first frame; later frames are used for `hop` samples
    each (see `in_lanes`), the last one for the rest. numbers: [n, ...], random numbers. forced: [m, ...], samples that
    the network reads in place of the first m that it generates. Segments that are computed side by side must have the
    same m; otherwise the smallest m holds for all of them. In FARGAN each "sample" is a sub-frame, each "frame" one row
    of conditions, and the numbers are zeros, which are not read.
    """

    state: Any  # the state of the signal, which the loop changes in place
    frames: Any  # a named tuple of arrays with one row per frame: the inputs of the loop
    wait: int  # samples of the first frame; a frame between the first and the last has `hop`, the last has the rest
    numbers: Array  # [n, ...]: the random numbers of each sample
    forced: Array = np.zeros(0)  # [m, ...]: samples that the network is given in place of its own first m; usually none


class Lane(NamedTuple):
    """One signal during one run of the loop over samples.

    row, end: the rows of its present and of its last frame among the frames of all signals. wait: the number of
    samples until the next frame. state, numbers, forced: as in `Segment`, for this run.
    """

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
    """Compute the samples of all segments with a loop over samples; return the outputs of the loop for each segment.

    segments: at least one; how many numbers one has is how many samples are computed. loop: the function that computes
    samples of one or several lanes, see `Loop`. hop: samples per frame. empty: the outputs for no samples. longest: the
    most samples in one run of the loop.

    As long as at least `many` segments have samples left, up to sixteen are computed side by side: those with the most
    samples left, in each run until one of them is complete, or for `longest` samples. If fewer are left, they are
    computed one at a time. The states of the segments are changed in place.
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
    """Return the frames of all signals in one named tuple: the frames of the first signal first, and so on."""
    return frames[0] if len(frames) == 1 else type(frames[0])._make(map(np.concatenate, zip(*frames, strict=True)))


def _lane(segment: Segment, first: int, done: int, count: int, hop: int) -> Lane:
    """Return the lane that computes the next `count` samples of a segment, after the first `done` samples.

    first: the row of the segment's first frame among the frames of all signals. hop: samples per frame.
    """
    last = len(segment.frames[0]) - 1
    passed = 0 if done < segment.wait else min(1 + (done - segment.wait) // hop, last)
    wait = segment.wait - done if done < segment.wait else hop - (done - segment.wait) % hop
    own = slice(done, done + count)
    return Lane(segment.state, first + passed, first + last, wait, segment.numbers[own], segment.forced[own])


def places(lanes: list[Lane]) -> int:
    """Return how many lanes the loop computes for these signals: 1 for one signal, 16 for more."""
    return 1 if len(lanes) == 1 else WIDTH


def side_by_side(arrays: list[Array], fill: float = 0.0) -> Array:
    """Stack the arrays of several lanes along a new last axis: [n, ..., lanes], with 1 or 16 lanes.

    arrays: [n, ...] for each lane that has a signal; they are cut to the shortest n. fill: the value in lanes without
    a signal.
    """
    count = min(len(one) for one in arrays)
    found = np.full((count, *arrays[0].shape[1:], 1 if len(arrays) == 1 else WIDTH), fill, arrays[0].dtype)
    for k, one in enumerate(arrays):
        found[..., k] = one[:count]
    return found


def schedule(lanes: list[Lane], hop: int) -> Schedule:
    """Return which frames each lane uses and for how long. Lanes without a signal use row 0. hop: samples per frame."""
    rows, ends, waits = (np.zeros(places(lanes), np.int64) for _ in range(3))
    for k, lane in enumerate(lanes):
        rows[k], ends[k], waits[k] = lane.row, lane.end, lane.wait
    return Schedule(rows, ends, waits, hop)
