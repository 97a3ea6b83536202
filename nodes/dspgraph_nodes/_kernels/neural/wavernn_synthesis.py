"""Synthesis by WaveRNN from frames, for one signal or for up to sixteen side by side.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural import wavernn_loop as kernels
from dspgraph_nodes._kernels.neural.conditioning import FrameWindows, check_finite, in_windows, joined, unwound
from dspgraph_nodes._kernels.neural.draws import inner_numbers, mixture_noise, sample_draws
from dspgraph_nodes._kernels.neural.lanes import Lane, Segment, in_lanes, schedule, side_by_side
from dspgraph_nodes._kernels.neural.layers import affine, layer_buffers
from dspgraph_nodes._kernels.neural.layout import WIDTH, EightBitMatrix
from dspgraph_nodes._kernels.neural.sampling import probabilities, softmax_buffers
from dspgraph_nodes._kernels.neural.wavernn_layout import FLOOR, Conditioner, StackedNetwork, WaveRNNWeights, seen

SIDE_BY_SIDE = 4  # with this many signals or more, sixteen lanes, some idle, are faster than one signal after the other
SIDE_BY_SIDE_IN_EIGHT_BITS = 12  # measured with AVX2: from 8 signals on for 96 units, from 14 on for 896


class WaveRNNState:
    """The state of WaveRNN for one signal: frames that wait for later ones, states of the GRUs, and the last sample.

    draw: the generator of random numbers, which are used in the order of the samples.
    """

    def __init__(self, network: WaveRNNWeights, draw: np.random.Generator) -> None:
        self.frames = FrameWindows(network.frame.context, len(network.frame.blended))
        self.gru, self.last, self.draw = np.zeros(network.states, np.float32), network.start.copy(), draw
        self.last_output = np.zeros(1)

    def push(self, network: WaveRNNWeights, frames: Array, last: bool = False) -> Segment:
        """Add the next frames [n, features]; return the segment of all samples that are now determined.

        Frames may have more columns than the network has features (it may have none): these are not read. The random
        numbers of the samples are drawn. last: whether the signal ends after these frames. Beyond the ends of the
        signal the network reads frames of zeros, in the form that `seen` returns. Raises ValueError for numbers that
        are not finite, in any column.
        """
        check_finite(frames, "wavernn")
        windows = self.frames.push(seen(frames[:, : len(network.frame.blended)], network.frame.decibels), last)
        uniform = self.draw.random((len(windows) * len(network.frame.taps), network.draws))
        return segment(network, self, frame_rows(network.frame, windows), random_numbers(network, uniform))


def segment(network: WaveRNNWeights, state: WaveRNNState, rows: kernels.ConditionRows, numbers: Array) -> Segment:
    """Return the `Segment` of one signal: its state, and the frames and random numbers of the samples to be drawn.

    rows: the frames, from `frame_rows`; numbers: [n, draws], as `random_numbers` returns them.
    """
    return Segment(state, rows, len(network.frame.taps), numbers, np.zeros((0, len(network.start)), np.float32))


def random_numbers(network: WaveRNNWeights, uniform: Array) -> Array:
    """Convert uniform random numbers to those that the loop over samples reads, [n, draws] float64.

    uniform: [n, draws], from 0 up to, not including, 1. For a softmax they stay uniform; for a mixture they become the
    noise of `mixture_noise`.
    """
    return uniform if network.levels else mixture_noise(inner_numbers(uniform))


# ---- the frame-rate network -----------------------------------------------------------------------------------------


def frame_rows(network: Conditioner, windows: Array) -> kernels.ConditionRows:
    """Return what n consecutive frames of one signal add to the layers of the sample-rate network.

    windows: [n, 2 * context + 1, features], the windows of these frames as `in_windows` returns them, each one frame
    after the one before. The features have the form that `seen` returns.
    """
    count, span, _ = windows.shape
    around = network.taps.shape[1] // 2
    near = windows[:, network.context - around : span - (network.context - around)]
    blended = in_windows(matmul(unwound(near), network.blended), around)
    x = np.zeros((count, 0), np.float32)
    if network.residual:
        first, *inner, last = network.residual
        edge = network.context - network.pad
        x = affine(first, joined(windows[:, edge : span - edge]), rectify=True)
        for one, two in zip(inner[::2], inner[1::2], strict=True):
            x = x + affine(two, affine(one, x, rectify=True))
        x = affine(last, x)
    return kernels.ConditionRows(blended, affine(network.constants, x))


# ---- the loop -------------------------------------------------------------------------------------------------------


def synthesise(
    network: WaveRNNWeights, segments: list[Segment], temperature: float, tap: bool = True, many: int = 0
) -> list[tuple[Array, Array]]:
    """Draw the samples of all segments; return for each (draws [n, d + 1], outputs of the network [n, outputs]).

    A draw is d numbers: a level, two halves (d = 2), or a number from -1 to 1. The last column is the probability of
    the level or of the halves, or 1. The outputs are logits or the parameters of mixtures, without the temperature.
    tap: whether to return them; otherwise they are [0, outputs]. temperature: as in `generate`. many: the least number
    of segments that are computed side by side, see `in_lanes`; 0 for the number from which this is faster. The states
    of the segments are changed in place.
    """
    many = many or (SIDE_BY_SIDE_IN_EIGHT_BITS if isinstance(network.sample[-1], EightBitMatrix) else SIDE_BY_SIDE)
    empty = np.zeros((0, network.drawn + 1), np.float32), np.zeros((0, network.outputs), np.float32)
    return in_lanes(segments, partial(_run_lanes, network, temperature, tap), len(network.frame.taps), empty, many)


def _run_lanes(
    network: WaveRNNWeights, temperature: float, tap: bool, frames: kernels.ConditionRows, lanes: list[Lane], count: int
) -> list[tuple[Array, Array]]:
    """Draw the next `count` samples of every lane; return draws and network outputs as `synthesise` does.

    The states of the lanes are updated.

    count: a whole number of frames. frames: the rows of all signals.
    """
    hop = len(network.frame.taps)
    numbers = side_by_side([lane.numbers for lane in lanes], 0.5)
    last = side_by_side([lane.state.last for lane in lanes])
    width = last.shape[1]
    work = _workspace(network, width)
    state = work.state.reshape(-1, width)
    state[: network.states] = side_by_side([lane.state.gru for lane in lanes])
    draws, forced = sample_draws(network.levels, temperature, FLOOR, numbers), [lane.forced for lane in lanes]
    rows, values, taps = schedule(lanes, hop).rows, network.values, network.frame.taps
    given = kernels.SampleInputs(rows, taps, values, draws, side_by_side(forced))
    drawn = np.zeros((count, network.drawn + 1, width), np.float32)
    out = kernels.SampleOutputs(last, drawn, np.zeros((count if tap else 0, network.outputs * width), np.float32))
    if isinstance(network.sample, StackedNetwork):
        kernels.run_stacked(network.sample, frames, work, given, out)
    else:
        kernels.run_split(network.sample, frames, work, given, out)
    outputs = out.outputs.reshape(-1, network.outputs, width)
    for k, lane in enumerate(lanes):
        lane.state.gru[:], lane.state.last[:] = state[: network.states, k], last[:, k]
    return [(drawn[..., k].copy(), np.ascontiguousarray(outputs[..., k])) for k in range(len(lanes))]


def _workspace(network: WaveRNNWeights, lanes: int) -> kernels.LoopArrays:
    """Return new arrays of zeros for the steps of the loop. lanes: 1 or 16."""
    net, frame, units = network.sample, network.frame, network.units
    layers = (net.dense1, net.dense3) if isinstance(net, StackedNetwork) else (net.coarse1, net.coarse2)
    dense, outputs = (len(one.start) for one in layers)
    state = np.zeros((1, 2 * network.states + units + dense, *((WIDTH,) if lanes > 1 else ())), np.float32)
    gates, columns = 3 * units + WIDTH, frame.blended.shape[1]
    sizes = gates, gates, max(dense, outputs), len(frame.constants.bias), columns
    inputs, sums, y, constants, x = (np.zeros(n * lanes, np.float32) for n in sizes)
    rows = np.zeros((frame.taps.shape[1], len(x)), np.float32)
    softmax = softmax_buffers(state, network.levels, lanes)
    buffers = layer_buffers(layers[0], state, inputs, sums, y)
    return kernels.LoopArrays(state, inputs, sums, y, rows, constants, x, softmax, *buffers)


# ---- the draws ------------------------------------------------------------------------------------------------------


def samples(network: WaveRNNWeights, drawn: Array) -> Array:
    """Convert draws, as `synthesise` returns them, to samples, [n] float64, from -1 to 1, still pre-emphasised.

    drawn: [n, d + 1], d numbers for each sample and their probability, which is not used. The number of a level gives
    its sample; a draw from a mixture is the sample. Two halves c and f of b bits give the sample (c * 2**b + f) / 2**(2
    * b - 1) - 1.
    """
    if not network.levels:
        return drawn[:, 0].astype(np.float64)
    found: Array = network.table[drawn[:, 0].astype(np.int64)]
    if network.drawn == 2:
        found = found + drawn[:, 1] / (network.levels**2 / 2)
    return found


def distribution(network: WaveRNNWeights, outputs: Array, temperature: float) -> Array:
    """Convert the outputs of the network to distributions, [n, outputs], in place, and return them.

    outputs: [n, outputs] float32, contiguous, from `synthesise`. For a softmax, a row has the probabilities of the
    levels; for two halves, those of the coarse half and then those of the fine half. For a mixture it has logits, means
    and log-scales: those below `FLOOR` are raised to it, and ln(temperature) is added.
    """
    if network.levels:
        probabilities(outputs, network.levels, temperature)
    else:
        first = outputs.shape[1] // 3 * 2
        outputs[:, first:] = np.maximum(outputs[:, first:], np.float32(FLOOR)) + np.float32(np.log(temperature))
    return outputs


# ---- signals --------------------------------------------------------------------------------------------------------


def generate(
    network: WaveRNNWeights, states: list[WaveRNNState], blocks: list[Array], last: bool = False,
    temperature: float = 1.0, tap: bool = True,
) -> list[tuple[Array, Array]]:  # fmt: skip
    """Generate the next samples of several signals; return for each (samples [n], rows of their distributions).

    The samples are float64, full scale +-1. blocks: the next frames [n, features] of each signal, see
    `WaveRNNState.push`. last: whether the signals end after them. temperature: divides the logits of softmaxes,
    multiplies the scales of mixtures. The rows are those of `distribution`. tap: whether the rows of softmaxes have all
    levels; otherwise a row has only the probability of the drawn level or halves, [n, 1]. The states are changed in
    place.
    """
    segments = [state.push(network, block, last) for state, block in zip(states, blocks, strict=True)]
    whole, found = tap or not network.levels, []
    for state, (drawn, outputs) in zip(states, synthesise(network, segments, temperature, whole), strict=True):
        rows = distribution(network, outputs, temperature) if whole else drawn[:, -1:]
        found.append((network.emphasis.undone(samples(network, drawn), state.last_output), rows))
    return found


def speech(network: WaveRNNWeights, frames: Array, draw: np.random.Generator) -> tuple[Array, Array]:
    """Return the samples [m * hop] of a whole signal and the rows of their distributions, see `generate`.

    frames: [m, features]. draw: the generator of random numbers. The temperature is 1.
    """
    (found,) = generate(network, [WaveRNNState(network, draw)], [frames], last=True)
    return found
