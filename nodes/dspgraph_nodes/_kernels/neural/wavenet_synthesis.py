"""Synthesis by WaveNet from frames of features, for one signal or for up to sixteen side by side.

Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural import wavenet_loop as kernels
from dspgraph_nodes._kernels.neural.conditioning import FrameWindows, in_windows, joined, unwound
from dspgraph_nodes._kernels.neural.convolution import exchange, rounding_buffers
from dspgraph_nodes._kernels.neural.draws import inner_numbers, mixture_noise, sample_draws
from dspgraph_nodes._kernels.neural.lanes import MANY, Lane, Segment, in_lanes, side_by_side
from dspgraph_nodes._kernels.neural.layout import WIDTH, DotStack
from dspgraph_nodes._kernels.neural.sampling import softmax_buffers
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet, Upsampling, WaveNetForm, WaveNetWeights

LONGEST_RUN = {True: 16, False: 1}  # whether the upsampling is linear -> most frames in one run of the loop


# ---- features -------------------------------------------------------------------------------------------------------


class NearFrames(NamedTuple):
    """Consecutive frames of one signal (or of several, one signal after the other), one row per frame.

    windows: [frames, 2 * wait + 1, bands], the normalised features of each frame and of its neighbours. kinds:
    [frames], the kind of each frame, which says how its samples are interpolated: see `frame_factors` in the module
    `dspgraph_nodes.models.wavenet.packing`.
    """

    windows: Array  # [frames, 2 * wait + 1, bands] float32: normalised features, of a frame and of those around it
    kinds: Array  # [frames] int64: the place of the frame among the kinds of frames in `frame_factors`


def frame_kinds(reach: int, first: int, last: int, frames: int | None) -> Array:
    """Return the kinds [last - first] of the frames `first` to `last` - 1, as in `NearFrames`.

    The kind of a frame depends on how many frames there are before and after it, up to `reach` on each side. frames:
    the number of frames in the signal; None if it is not known yet, because the signal goes on: then each of these
    frames has at least `reach` frames after it.
    """
    j, r = np.arange(first, last), reach
    total = 2 * r + 1 if frames is None else min(frames, 2 * r + 1)
    after = np.full(len(j), r) if frames is None else frames - 1 - j  # frames after frame j
    like = np.where(j < r, j, np.where(after < r, total - 1 - after, r))
    kinds: Array = total * (total - 1) // 2 + like
    return kinds


def transposed_rows(upsampling: Upsampling, frames: Array) -> Array:
    """Return frames upsampled by transposed convolutions, each with a bias and ReLU: [frames * hop, bands].

    frames: [frames, bands], normalised. The rows of a frame depend on this frame only.
    """
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


def gate_rows(upsampling: Upsampling, frames: NearFrames) -> tuple[Array, Array, Array]:
    """Return (rows [m, gates], first [samples], kinds [samples]): what the frames add to the gates of each sample.

    For each sample the loop adds to the gates a weighted sum of consecutive rows. The row first[sample] is the first
    of them; the weights are the row kinds[sample] of `Upsampling.table`. frames: consecutive frames of one signal.
    """
    up, near, samples = upsampling, unwound(frames.windows), np.arange(len(frames.kinds) * upsampling.hop)
    if not up.linear:
        return matmul(transposed_rows(up, near), up.gates), samples, np.zeros_like(samples)
    rows = matmul(matmul(joined(in_windows(near, up.context)), up.first), up.gates)
    return rows, samples // up.hop, frames.kinds[samples // up.hop] * up.hop + samples % up.hop


# ---- the loop -------------------------------------------------------------------------------------------------------


class WaveNetState:
    """The state of WaveNet for one signal: frames that wait for later ones, rings, last samples, random numbers.

    draw: the generator of random numbers, which are used in the order of the samples.
    """

    def __init__(self, network: PackedWaveNet, draw: np.random.Generator) -> None:
        *_, begin, rows, _ = network.sample.layers[-1]
        self.rings = np.zeros(begin + rows * network.sample.sizes[1], np.float32)
        levels = len(network.form.centres)
        taps = len(network.sample.first) // max(levels, 1)
        self.last = np.full(taps, levels // 2, np.float64)  # silence: the sample 0, or its level
        self.frames = FrameWindows(network.upsampling.wait, len(network.upsampling.mean), repeat=True)
        self.received = 0  # number of frames
        self.draw, self.last_output = draw, np.zeros(1)

    def push(self, network: PackedWaveNet, frames: Array, last: bool = False) -> Segment:
        """Add the next frames [n, bands]; return the segment of all samples that are now determined.

        The random numbers of these samples are drawn. last: whether the signal ends after these frames. Beyond its
        ends, the first and the last frame of a signal are repeated.
        """
        up, form, first = network.upsampling, network.form, self.frames.done
        self.received += len(frames)
        windows = self.frames.push(((frames - up.mean) / up.deviation).astype(np.float32), last)
        kinds = frame_kinds(up.table.shape[1] // 2, first, first + len(windows), self.received if last else None)
        numbers = inner_numbers(self.draw.random((len(windows) * up.hop, form.numbers)))
        noise = numbers if len(form.centres) else mixture_noise(numbers)
        return Segment(self, NearFrames(windows, kinds), up.hop, noise)


def synthesise_wavenet(network: PackedWaveNet, segments: list[Segment], many: int = MANY) -> list[tuple[Array, Array]]:
    """Generate the samples of segments; return for each (samples [n], distributions [n, width]).

    A row of distributions has the output of the network for one sample, float32; `distribution_rows` applies
    temperature and floor. Samples are float64 and still pre-emphasised. The states of the segments are changed in
    place. many: as in `in_lanes`.
    """
    up, empty = network.upsampling, (np.zeros(0), np.zeros((0, network.form.width), np.float32))
    return in_lanes(segments, partial(_run_lanes, network), up.hop, empty, many, LONGEST_RUN[up.linear] * up.hop)


def _run_lanes(network: PackedWaveNet, frames: NearFrames, lanes: list[Lane], count: int) -> list[tuple[Array, Array]]:
    """Generate the next `count` samples of every lane; return (samples, distributions) of each.

    Both are as in `synthesise_wavenet`. count: a whole number of frames. frames: those of all signals. The states of
    the lanes are changed in place.
    """
    (up, net, form, dots), samples = network, count // network.upsampling.hop
    found = [gate_rows(up, NearFrames(*(one[lane.row : lane.row + samples] for one in frames))) for lane in lanes]
    begins = np.cumsum([0] + [len(rows) for rows, _, _ in found])
    rows = side_by_side([begin + one for begin, (_, one, _) in zip(begins, found, strict=False)])
    kinds = side_by_side([one for _, _, one in found])
    numbers = side_by_side([lane.numbers for lane in lanes], 0.5)
    draws = sample_draws(len(form.centres), form.temperature, form.floor, numbers)
    forced = side_by_side([lane.forced for lane in lanes])
    last = side_by_side([lane.state.last for lane in lanes])
    places = last.shape[1]
    room = _workspace(net, dots, np.concatenate([one for one, _, _ in found]), places, up.table.shape[1])
    flat = room.state.reshape(-1, places)
    for k, lane in enumerate(lanes):
        exchange(net, lane.state.rings, flat, k, 0, True)
    out = kernels.WaveNetResults(np.zeros((count, places)), np.zeros((count, net.sizes[4], places), np.float32))
    kernels.run(net, dots, room, kernels.WaveNetInputs(rows, kinds, up.table, draws, form.centres, forced), last, out)
    for k, lane in enumerate(lanes):
        exchange(net, lane.state.rings, flat, k, count, False)
        lane.state.last[:] = last[:, k]
    return [(out.samples[:, k].copy(), out.parameters[:, : form.width, k].copy()) for k in range(len(lanes))]


def _workspace(net: WaveNetWeights, dots: DotStack, frames: Array, lanes: int, count: int) -> kernels.WaveNetWorkspace:
    taps, residual, gate, skip, output = net.sizes
    *_, begin, rows, _ = net.layers[-1]
    units = begin + rows * residual + 3 * gate + 2 * skip + output + residual
    state = np.zeros((1, units) if lanes == 1 else (1, units, lanes), np.float32)
    return kernels.WaveNetWorkspace(
        state, np.zeros(taps, np.int64), frames, np.zeros(lanes, np.int64), np.zeros((lanes, count), np.float32),
        np.zeros(len(net.layers), np.int64), np.zeros(lanes, np.float32), np.zeros((WIDTH, WIDTH), np.float32),
        softmax_buffers(state, output, lanes),
        *rounding_buffers(dots, state, max(taps * residual, gate)),
    )  # fmt: skip


# ---- signals --------------------------------------------------------------------------------------------------------


def generate(
    network: PackedWaveNet, states: list[WaveNetState], blocks: list[Array], last: bool = False
) -> list[tuple[Array, Array]]:
    """Generate the next samples of several signals; return for each (samples [n], rows of their distributions).

    The samples are float64, full scale +-1; the rows are those of `distribution_rows`. blocks: the next frames [n,
    bands] of each signal. last: whether the signals end after them. The states are changed in place. The temperature
    is that of the network, see `PackedWaveNet.at`.
    """
    segments = [state.push(network, block, last) for state, block in zip(states, blocks, strict=True)]
    found = zip(states, synthesise_wavenet(network, segments), strict=True)
    return [
        (network.form.emphasis.undone(samples, state.last_output), distribution_rows(parameters, network.form))
        for state, (samples, parameters) in found
    ]


def speech(network: PackedWaveNet, frames: Array, draw: np.random.Generator) -> tuple[Array, Array]:
    """Return the samples [m * hop] of a whole signal and the rows of their distributions, see `generate`.

    frames: [m, bands]. draw: the generator of random numbers.
    """
    (found,) = generate(network, [WaveNetState(network, draw)], [frames], last=True)
    return found


def distribution_rows(parameters: Array, form: WaveNetForm) -> Array:
    """Return the rows of a node's output `distribution`: the parameters of mixtures, or the probabilities of levels.

    parameters: [n, width] float32, from `synthesise_wavenet`; the result has this shape too. The probabilities are the
    softmax of logits / temperature. Log-scales below the floor are raised to it, and then ln(temperature) is added.
    """
    if not len(form.centres):
        first = parameters.shape[1] // 3 * 2
        scales = np.maximum(parameters[:, first:], np.float32(form.floor)) + np.float32(np.log(form.temperature))
        return np.concatenate((parameters[:, :first], scales), axis=1)
    p = exp((parameters - parameters.max(axis=1, keepdims=True)) / np.float32(form.temperature))
    rows: Array = p / p.sum(axis=1, keepdims=True)
    return rows
