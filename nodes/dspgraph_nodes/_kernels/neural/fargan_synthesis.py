"""Speech by FARGAN from features that come in blocks, for one signal or for several, up to sixteen side by side.

Frame k determines the samples from k * hop - hop / 2 to k * hop + hop / 2, around the middle of its window. So the
first two of the four sub-frames of frame 0 lie before the signal and are not generated. The last two sub-frames of the
signal use the last condition of the last frame.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.conditioning import FrameWindows, check_finite, joined
from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY, SHORTEST_PERIOD, frame_inputs, periods
from dspgraph_nodes._kernels.neural.fargan_layout import (
    FRAME_PARTS,
    FarganFrameNetwork,
    FarganNetwork,
    SubframeNetwork,
    memory,
)
from dspgraph_nodes._kernels.neural.fargan_loop import SubframeInputs, run_subframes
from dspgraph_nodes._kernels.neural.lanes import Lane, Segment, in_lanes, places, side_by_side
from dspgraph_nodes._kernels.neural.layers import layer
from dspgraph_nodes._kernels.neural.layout import WIDTH, ScaledBlocks
from dspgraph_nodes._kernels.signal.iir import one_pole

# With this many signals or more, sixteen lanes, some idle, are faster than one signal after the other. One signal alone
# is faster if its weights have 16 bits.
_SIDE_BY_SIDE, _SIDE_BY_SIDE_OF_HALVES = 4, 12
_LONGEST_RUN = 400  # sub-frames


class _Rows(NamedTuple):
    """The conditions and pitch periods of sub-frames: one row per sub-frame."""

    conditions: Array  # [n, condition] float32
    period: Array  # [n] int64


class SubframeState:
    """The state of the sub-frame network for one signal.

    past: the 256 newest samples, the oldest first. carried: the inputs of the newest sub-frame, then the states of the
    GRUs.
    """

    def __init__(self, network: SubframeNetwork) -> None:
        self.past = np.zeros(MEMORY, np.float32)
        self.carried = np.zeros(int(network.places[1] + network.sizes[3:6].sum()), np.float32)


class FarganState:
    """The state of FARGAN for one signal whose features arrive in blocks.

    `push` and `flush` return a `Segment`, the description of the samples to generate next. `synthesise` generates the
    samples of segments, and `finish` de-emphasises them. dtype: that of the samples that `finish` returns.
    """

    def __init__(self, network: FarganNetwork, dtype: Any) -> None:
        self.windows = FrameWindows(1, len(network.frame.frame1.start) - WIDTH, repeat=True)
        self.lane = SubframeState(network.subframe)
        self.period = np.zeros(0, np.int64)  # of the frames that wait for the frame after them
        self.received = self.made = 0  # numbers of frames and of sub-frames
        self.last_output, self.dtype = np.zeros(1), dtype

    def push(self, network: FarganNetwork, cepstrum: Array, pitch: Array, correlation: Array) -> Segment:
        """Add the features of the next n frames; return the segment of all sub-frames that are now determined.

        cepstrum: [n, bands]; pitch, correlation: [n, 1]. Raises ValueError for features that are not finite.
        """
        check_finite(np.concatenate((cepstrum, pitch, correlation), 1), "FARGAN", "cepstrum, pitch and correlation")
        self.received += len(cepstrum)
        period = periods(pitch[:, 0])
        self.period = np.concatenate((self.period, period))
        inputs = frame_inputs(cepstrum, pitch[:, 0], correlation[:, 0])
        x = layer(np.concatenate((inputs, network.frame.pitch[period - SHORTEST_PERIOD]), 1), network.frame.frame1)
        return self._segment(network.frame, x)

    def flush(self, network: FarganNetwork) -> Segment:
        """Return the segment of the remaining sub-frames, up to the end of the signal.

        Call it after the last `push`.
        """
        if not self.received:
            return self._of_rows(_Rows(np.zeros((0, network.subframe.sizes[0]), np.float32), self.period))
        none = np.zeros((0, len(network.frame.frame1.start) - WIDTH), np.float32)
        return self._segment(network.frame, none, last=True)

    def _segment(self, network: FarganFrameNetwork, x: Array, last: bool = False) -> Segment:
        found = layer(layer(joined(self.windows.push(x, last)), network.frame2), network.frame3)
        count = len(found)
        rows = _Rows(
            found.reshape(FRAME_PARTS * count, found.shape[1] // FRAME_PARTS),
            np.repeat(self.period[:count], FRAME_PARTS),
        )
        self.period = self.period[count:]
        if not self.made:
            rows = _Rows(*(one[FRAME_PARTS // 2 :] for one in rows))
        if last:
            more = FRAME_PARTS * self.received - self.made - len(rows.period)
            rows = _Rows(*(np.concatenate((one, *[one[-1:]] * more)) for one in rows))
        return self._of_rows(rows)

    def _of_rows(self, rows: _Rows) -> Segment:
        self.made += len(rows.period)
        return Segment(self.lane, rows, 1, np.zeros(len(rows.period)))

    def finish(self, samples: Array, coef: float) -> Array:
        """Return generated samples after de-emphasis: [n * subframe], in the dtype given to `FarganState`.

        samples: [n, subframe]. coef: the coefficient of the de-emphasis.
        """
        y = np.empty((samples.size + 1, 1))
        y[0] = self.last_output
        one_pole(samples.reshape(-1, 1).astype(np.float64), coef, y)
        self.last_output = y[-1].copy()
        return y[1:, 0].astype(self.dtype, copy=False)


def synthesise(network: SubframeNetwork, segments: list[Segment], many: int | None = None) -> list[Array]:
    """Generate the samples of segments: a list with one array [n, subframe] float32 per segment, still pre-emphasised.

    The states of the segments, each a `SubframeState`, are changed in place. The network reads the field `forced` of a
    segment, [m, subframe], as its past in place of the first samples that it generates. many: as in `in_lanes`; by
    default the number from which on sixteen lanes are faster.
    """

    def loop(rows: _Rows, lanes: list[Lane], count: int) -> list[tuple[Array]]:
        return _run_lanes(network, rows, lanes, count)

    if many is None:
        halves = isinstance(network.first.m, ScaledBlocks) and network.first.m.alone.dtype == np.int16
        many = _SIDE_BY_SIDE_OF_HALVES if halves else _SIDE_BY_SIDE
    size = int(network.sizes[1])
    empty = (np.zeros((0, size), np.float32),)
    return [samples for (samples,) in in_lanes(segments, loop, 1, empty, many, _LONGEST_RUN)]


def _run_lanes(network: SubframeNetwork, rows: _Rows, lanes: list[Lane], count: int) -> list[tuple[Array]]:
    width, size = places(lanes), int(network.sizes[1])
    work, begins = memory(network, width), network.places
    state, seen = work.state.reshape(-1, width), int(begins[1])
    forced = [lane.forced.reshape(-1, size).astype(np.float32) for lane in lanes]
    first = np.zeros(width, np.int64)
    first[: len(lanes)] = [lane.row for lane in lanes]
    carried = side_by_side([lane.state.carried for lane in lanes])
    state[:seen], state[begins[7] : begins[10]] = carried[:seen], carried[seen:]
    signal = np.zeros((width, MEMORY + count * size), np.float32)
    signal[: len(lanes), :MEMORY] = [lane.state.past for lane in lanes]
    made = np.zeros((count, size, width), np.float32)
    given = SubframeInputs(rows.conditions, rows.period, first, side_by_side(forced))
    run_subframes(network, work, given, signal, made)
    for k, lane in enumerate(lanes):
        lane.state.past[:] = signal[k, -MEMORY:]
        lane.state.carried[:seen], lane.state.carried[seen:] = state[:seen, k], state[begins[7] : begins[10], k]
    return [(np.ascontiguousarray(made[..., k]),) for k in range(len(lanes))]
