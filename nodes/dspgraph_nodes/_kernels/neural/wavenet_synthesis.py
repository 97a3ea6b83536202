"""Synthesis by WaveNet from frames of features, for one signal or for several; the loop takes up to sixteen at a time.

Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.draws import inner_numbers, mixture_noise
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.wavenet_loop import (
    WaveNetInputs,
    WaveNetResults,
    WaveNetWeights,
    WaveNetWorkspace,
    exchange,
    run,
)
from dspgraph_nodes._kernels.neural.wavenet_packing import PackedWaveNet, Upsampling
from dspgraph_nodes._kernels.signal.iir import one_pole

MANY_SIGNALS = (
    10  # with this many signals or more, sixteen lanes, some idle, are faster than one signal after the other
)
LONGEST_RUN = {True: 16, False: 1}  # frames whose rows are computed at once, with linear upsampling and with another


# ---- features -------------------------------------------------------------------------------------------------------


def frame_kinds(table: Array, hop: int, first: int, last: int, frames: int | None) -> Array:
    """Return the rows of the table of `frame_factors` for the samples of the frames first .. last - 1 of a signal.

    frames: the number of frames in the signal; None if it is not known yet, because more frames follow.
    """
    j, r = np.arange(first, last), table.shape[1] // 2
    total = 2 * r + 1 if frames is None else min(frames, 2 * r + 1)
    after = np.full(len(j), r) if frames is None else frames - 1 - j  # frames after frame j
    like = np.where(j < r, j, np.where(after < r, total - 1 - after, r))
    kinds: Array = ((total * (total - 1) // 2 + like)[:, None] * hop + np.arange(hop)).reshape(-1)
    return kinds


def transposed_rows(upsampling: Upsampling, frames: Array) -> Array:
    """Return the rows of all samples, [frames * hop, bands], by transposed convolutions with a bias and ReLU each."""
    rows = frames
    for weights, bias in zip(upsampling.taps, upsampling.biases, strict=True):
        edge = len(weights) // 2
        wide = np.pad(rows, ((0, 0), (edge, edge)))[:, None]
        bands, summed = rows.shape[1], np.full((len(rows), weights.shape[1], rows.shape[1]), bias)
        for k, row in enumerate(weights):
            begin = len(weights) - 1 - k
            summed += row[:, None] * wide[..., begin : begin + bands]
        rows = np.maximum(summed, 0).reshape(-1, bands)
    return rows


class WaveNetSegment(NamedTuple):
    """The next frames of one signal, to be synthesised."""

    state: WaveNetState
    features: Array  # [frames + 2 * wait, bands] float32, normalised; with `wait` frames on either side
    first: int  # the number of the first of these frames in the signal
    total: int | None  # the number of frames in the signal, once it is known
    noise: Array  # [frames * hop, width] float64: see `WaveNetInputs`
    forced: Array  # [n] float64: samples or levels that the network is given in place of its own; usually none

    def rows(self, upsampling: Upsampling, begin: int, count: int) -> tuple[Array, Array, Array]:
        """Return what the features add to the gates, for `count` samples from `begin` on.

        The results are rows [m, gates], the first row that each sample uses, and the row of the table with its factors.
        """
        up, hop = upsampling, upsampling.hop
        f0, f1 = begin // hop, -(-(begin + count) // hop)
        near = self.features[f0 : f1 + 2 * up.wait]
        within = slice(begin - f0 * hop, begin - f0 * hop + count)
        if not up.linear:
            rows = transposed_rows(up, near)[within]
            return matmul(rows, up.gates) + up.bias, np.arange(count), np.zeros(count, np.int64)
        windows = np.concatenate([near[k : len(near) - 2 * up.context + k] for k in range(2 * up.context + 1)], axis=1)
        rows = matmul(matmul(windows, up.first), up.gates)
        kinds = frame_kinds(up.table, hop, self.first + f0, self.first + f1, self.total)
        return rows, np.repeat(np.arange(f1 - f0), hop)[within], kinds[within]


# ---- the loop -------------------------------------------------------------------------------------------------------


class WaveNetForm(NamedTuple):
    """The form of the samples of a network."""

    width: int  # number of parameters of the distribution of a sample
    numbers: int  # number of random numbers that draw a sample: K + 1 for a mixture of K logistics, else 1
    floor: float  # least log-scale of a mixture; without a limit: -inf
    centres: Array  # [levels] float64: the sample of every level; empty for a mixture
    gain: float  # factor of the samples that the network sees
    coef: float  # coefficient of the pre-emphasis of these samples


class WaveNetState:
    """The state of one signal: the features that wait for others, the rings, the last sample, the random numbers."""

    def __init__(self, network: PackedWaveNet, form: WaveNetForm, draw: np.random.Generator) -> None:
        *_, begin, rows, _ = network.sample.layers[-1]
        self.rings = np.zeros(begin + rows * network.sample.sizes[1], np.float32)
        self.last = float(len(form.centres) // 2)  # silence: the sample 0, or its level
        self.kept = np.zeros((0, len(network.upsampling.mean)), np.float32)
        self.received, self.done = 0, 0  # numbers of frames
        self.draw, self.last_output = draw, 0.0

    def push(self, network: PackedWaveNet, form: WaveNetForm, frames: Array, end: bool = False) -> WaveNetSegment:
        """Add frames [n, bands], and return the segment of the frames whose samples are now determined.

        end: whether the signal ends after these frames. Beyond the ends of a signal its first and last frame count.
        """
        up = network.upsampling
        kept = np.concatenate((self.kept, ((frames - up.mean) / up.deviation).astype(np.float32)))
        before = self.received - len(self.kept)  # frames that are no longer kept
        self.received += len(frames)
        first, last = self.done, self.received if end else max(self.done, self.received - up.wait)
        self.done, self.kept = last, kept[max(0, last - up.wait - before) :]
        index = np.clip(np.arange(first - up.wait, last + up.wait), before, self.received - 1) - before
        near = kept[index] if last > first else kept[:0]
        numbers = inner_numbers(self.draw.random(((last - first) * up.hop, form.numbers)))
        noise = numbers if len(form.centres) else mixture_noise(numbers)
        return WaveNetSegment(self, near, first, self.received if end else None, noise, np.zeros(0))

    def finish(self, samples: Array, form: WaveNetForm) -> Array:
        """Return the samples of a segment without pre-emphasis and gain, limited to +-1, in float64.

        samples: [n], as `synthesise_wavenet` returns them.
        """
        y = np.empty((len(samples) + 1, 1))
        y[0] = self.last_output
        one_pole(samples[:, None], form.coef, y)
        self.last_output = float(y[-1, 0])
        return np.clip(y[1:, 0] / form.gain, -1, 1)


def synthesise_wavenet(
    network: PackedWaveNet, form: WaveNetForm, segments: list[WaveNetSegment], many: int = MANY_SIGNALS
) -> list[tuple[Array, Array]]:
    """Return the samples [n] float64 of each segment, and the parameters [n, width] float32 of their distributions.

    While `many` segments or more have samples left, up to sixteen are computed side by side: those with
    the most samples left. The states of the segments are changed in place.
    """
    found: list[list[tuple[Array, Array]]] = [[] for _ in segments]
    done, longest = [0] * len(segments), LONGEST_RUN[network.upsampling.linear] * network.upsampling.hop

    def left(k: int) -> int:
        return len(segments[k].noise) - done[k]

    while waiting := sorted((k for k in range(len(segments)) if left(k)), key=left, reverse=True):
        group = waiting[:WIDTH] if len(waiting) >= many else waiting[:1]
        count = min(left(group[-1]), longest)
        lanes = [(segments[k], done[k]) for k in group]
        for k, part in zip(group, _run_lanes(network, form, lanes, count), strict=True):
            found[k].append(part)
            done[k] += count
    none = (np.zeros(0), np.zeros((0, form.width), np.float32))
    return [
        (np.concatenate([one for one, _ in (none, *parts)]), np.concatenate([two for _, two in (none, *parts)]))
        for parts in found
    ]


def _run_lanes(
    network: PackedWaveNet, form: WaveNetForm, lanes: list[tuple[WaveNetSegment, int]], count: int
) -> list[tuple[Array, Array]]:
    """Return the next `count` samples of every lane, with their parameters, and update the states of the lanes.

    lanes: segments, each with the number of its samples that are done. One lane runs alone. For more, the loop runs
    sixteen lanes; those without a signal compute samples that are dropped.
    """
    places, net, table = (1 if len(lanes) == 1 else WIDTH), network.sample, network.upsampling.table
    found = [segment.rows(network.upsampling, begin, count) for segment, begin in lanes]
    begins = np.cumsum([0] + [len(rows) for rows, _, _ in found])
    rows, kinds = np.zeros((2, count, places), np.int64)
    noise = np.full((count, form.numbers, places), 0.5)
    forced = np.zeros((max(0, min(len(one.forced) - begin for one, begin in lanes)), places))[:count]
    last = np.zeros(places)
    room = _workspace(net, np.concatenate([one for one, _, _ in found]), places, table.shape[1])
    flat = room.state.reshape(-1, places)
    for k, (segment, begin) in enumerate(lanes):
        rows[:, k], kinds[:, k] = begins[k] + found[k][1], found[k][2]
        noise[..., k] = segment.noise[begin : begin + count]
        forced[:, k] = segment.forced[begin : begin + len(forced)]
        last[k] = segment.state.last
        exchange(net, segment.state.rings, flat, k, 0, True)
    out = WaveNetResults(np.zeros((count, places)), np.zeros((count, net.sizes[4], places), np.float32))
    run(net, room, WaveNetInputs(rows, kinds, table, noise, form.floor, form.centres, forced), last, out)
    for k, (segment, _) in enumerate(lanes):
        exchange(net, segment.state.rings, flat, k, count, False)
        segment.state.last = float(last[k])
    return [(out.samples[:, k].copy(), out.parameters[:, : form.width, k].copy()) for k in range(len(lanes))]


def _workspace(net: WaveNetWeights, frames: Array, lanes: int, count: int) -> WaveNetWorkspace:
    taps, residual, gate, skip, output, _ = net.sizes
    *_, begin, rows, _ = net.layers[-1]
    units = begin + rows * residual + 3 * gate + 2 * skip + output
    return WaveNetWorkspace(
        np.zeros((1, units) if lanes == 1 else (1, units, lanes), np.float32), np.zeros(max(taps, 1), np.int64), frames,
        np.zeros(lanes, np.int64), np.zeros((lanes, count), np.float32), np.zeros((WIDTH, WIDTH), np.float32),
    )  # fmt: skip


def distribution_rows(parameters: Array, form: WaveNetForm) -> Array:
    """Return what a node shows of distributions: the parameters of mixtures as they are, else probabilities.

    parameters: [n, width] float32; the probabilities are the softmax of logits, in float32.
    """
    if not len(form.centres):
        return parameters
    p = exp(parameters - parameters.max(axis=1, keepdims=True))
    rows: Array = p / p.sum(axis=1, keepdims=True)
    return rows
