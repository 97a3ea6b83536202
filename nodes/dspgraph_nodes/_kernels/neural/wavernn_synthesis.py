"""Synthesis by WaveRNN from frames, for one signal or for several; the loop takes up to sixteen at a time.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.draws import inner_numbers, mixture_noise
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.wavernn_loop import (
    ConditionRows,
    Drawing,
    LoopArrays,
    probabilities,
    room,
    run_split,
    run_stacked,
)
from dspgraph_nodes._kernels.neural.wavernn_packing import (
    AffineLayer,
    Conditioner,
    StackedNetwork,
    WaveRNNWeights,
    seen,
)

SIDE_BY_SIDE = 4  # with this many signals or more, sixteen lanes, some idle, are faster than one signal after the other


class WaveRNNState:
    """The state of one signal: the frames that later samples need, the states of the GRUs, and the last sample.

    draw: the generator of the random numbers; their order is that of the samples.
    """

    def __init__(self, network: WaveRNNWeights, draw: np.random.Generator) -> None:
        width = len(network.frame.blended)
        self.frames = np.zeros((network.frame.context, width), np.float32)
        self.gru, self.last = np.zeros(network.states, np.float32), network.start.copy()
        self.draw = draw

    def push(self, network: WaveRNNWeights, frames: Array) -> FrameSegment:
        """Add the next n frames [n, features], and return the segment of the frames whose context is now known."""
        check_finite(frames)
        known = np.concatenate((self.frames, seen(frames[:, : len(network.frame.blended)], network.decibels)))
        count = max(0, len(known) - 2 * network.frame.context)
        self.frames = known[count:]
        return self._segment(network, known, count)

    def flush(self, network: WaveRNNWeights) -> FrameSegment:
        """Return the segment of the last frames, after which come frames of zeros."""
        context = network.frame.context
        known = np.concatenate((self.frames, np.zeros((context, self.frames.shape[1]), np.float32)))
        return self._segment(network, known, max(0, len(known) - 2 * context))

    def _segment(self, network: WaveRNNWeights, known: Array, count: int) -> FrameSegment:
        rows = frame_rows(network.frame, known, count)
        numbers = self.draw.random((count * len(network.frame.taps), network.draws))
        return FrameSegment(self, *rows, random_numbers(network, numbers))


class FrameSegment(NamedTuple):
    """Frames of one signal whose samples can be computed, with the random numbers [n, draws] of the samples."""

    state: WaveRNNState
    blended: Array
    constants: Array
    numbers: Array


def check_finite(frames: Array) -> None:
    """Raise ValueError that names the first frame with a number that is not finite."""
    finite = np.isfinite(frames).all(axis=1)
    if not finite.all():
        raise ValueError(f"wavernn takes finite numbers; frame {int(np.argmin(finite))} has others")


def random_numbers(network: WaveRNNWeights, uniform: Array) -> Array:
    """Return the numbers that the loop takes, [n, draws] float64. uniform: [n, draws], from 0 up to, not including, 1.

    A softmax takes uniform numbers, a mixture the noise of `mixture_noise`.
    """
    return uniform if network.levels else mixture_noise(inner_numbers(uniform))


# ---- the frame-rate network -----------------------------------------------------------------------------------------


def frame_rows(network: Conditioner, known: Array, count: int) -> tuple[Array, Array]:
    """Return the rows of the loop for `count` frames: those that are interpolated, and the constant ones.

    known: [count + 2 * context, features]: the frames with their context.
    """
    around = network.taps.shape[1] // 2
    extra = network.context - around
    blended = matmul(known[extra : len(known) - extra], network.blended)
    x = np.zeros((count, 0), np.float32)
    if network.residual:
        first, *inner, last = network.residual
        span, edge = 2 * network.pad + 1, network.context - network.pad
        windows = [known[edge + k : edge + k + count] for k in range(span)]
        x = _rectified(_apply(first, np.concatenate(windows, axis=1)))
        for one, two in zip(inner[::2], inner[1::2], strict=True):
            x = x + _apply(two, _rectified(_apply(one, x)))
        x = _apply(last, x)
    return blended, _apply(network.constants, x)


def _apply(layer: AffineLayer, x: Array) -> Array:
    y: Array = matmul(x, layer.matrix) + layer.bias
    return y


def _rectified(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


# ---- the loop -------------------------------------------------------------------------------------------------------


def synthesise(
    network: WaveRNNWeights, segments: list[FrameSegment], temperature: float, tap: bool = True
) -> list[tuple[Array, Array]]:
    """Return what is drawn [n, d + 1], and the outputs of the network [n, outputs], for the samples of every segment.

    The states of the signals are updated. What is drawn is a class, two halves, or a number from -1 to 1; the last
    column has the probability of the class or of the halves. tap: whether to return the outputs.
    """
    size = WIDTH if len(segments) >= SIDE_BY_SIDE else 1
    order = sorted(range(len(segments)), key=lambda k: -len(segments[k].constants))
    found: dict[int, tuple[Array, Array]] = {}
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        for k, result in zip(chosen, _in_lanes(network, [segments[k] for k in chosen], temperature, tap), strict=True):
            found[k] = result
    return [found[k] for k in range(len(segments))]


def _in_lanes(
    network: WaveRNNWeights, segments: list[FrameSegment], temperature: float, tap: bool
) -> list[tuple[Array, Array]]:
    """Return the results of at most sixteen segments, the longest first, all computed side by side.

    The lanes run until the shortest segment ends, then the others go on.
    """
    parts: list[list[tuple[Array, Array]]] = [[] for _ in segments]
    done, hop = 0, len(network.frame.taps)
    while segments:
        end = len(segments[-1].constants)
        if end > done:
            frames = [
                (one.blended[done:], one.constants[done:], one.numbers[hop * done : hop * end]) for one in segments
            ]
            for k, result in enumerate(run(network, [one.state for one in segments], frames, temperature, tap=tap)):
                parts[k].append(result)
        segments, done = [one for one in segments if len(one.constants) > end], end
    return [
        (np.concatenate([drawn for drawn, _ in one]), np.concatenate([outputs for _, outputs in one]))
        if one
        else (np.zeros((0, network.drawn + 1), np.float32), np.zeros((0, network.outputs), np.float32))
        for one in parts
    ]


def run(
    network: WaveRNNWeights,
    states: list[WaveRNNState],
    frames: list[tuple[Array, Array, Array]],
    temperature: float = 1.0,
    forced: Array | None = None,
    lanes: int = 0,
    tap: bool = True,
) -> list[tuple[Array, Array]]:
    """Return what is drawn [n, d + 1] and the outputs [n, outputs] for n samples of every signal; update the states.

    frames: the rows of every signal, and the numbers [n, draws] of its samples, the same n for all; forced: [n, d'],
    the inputs of every sample, in place of the last samples: tests use it; lanes: 1 or 16, by default 1 for one signal;
    tap: whether to return the outputs; otherwise there are none, [0, outputs].
    """
    places = lanes or (1 if len(states) == 1 else WIDTH)
    count, hop = len(frames[0][2]), len(network.frame.taps)
    work = workspace(network, places)
    state, last = work.state.reshape(-1, places), np.zeros((places, len(network.start)), np.float32)
    numbers = np.full((count, network.draws, places), 0.5)
    firsts = np.zeros((2, places), np.int64)
    before = [0, 0]
    for k, (one, own) in enumerate(zip(states, frames, strict=True)):
        state[: len(one.gru), k], last[k], numbers[..., k], firsts[:, k] = one.gru, one.last, own[2], before
        before = [before[0] + len(own[0]), before[1] + len(own[1])]
    if not network.levels:
        numbers[:, -1] *= temperature
    blended, constants = (np.concatenate([one[k] for one in frames]) for k in (0, 1))
    rows = ConditionRows(blended, constants, network.frame.taps, firsts[0], firsts[1])
    draw = Drawing(network.levels, network.values, temperature, numbers)
    given = np.zeros((0, places, last.shape[1]), np.float32)
    if forced is not None:
        given = np.ascontiguousarray(np.repeat(forced[:, None], places, 1), np.float32)
    tapped = np.zeros((count if tap else 0, network.outputs * places), np.float32)
    out = np.zeros((count, network.drawn + 1, places), np.float32)
    assert count % hop == 0
    if isinstance(network.sample, StackedNetwork):
        run_stacked(network.sample, rows, work, draw, given, last, tapped, out)
    else:
        run_split(network.sample, rows, work, draw, given, last, tapped, out)
    outputs = tapped.reshape(len(tapped), network.outputs, places)
    for k, one in enumerate(states):
        one.gru[:], one.last[:] = state[: len(one.gru), k], last[k]
    return [(out[..., k].copy(), np.ascontiguousarray(outputs[..., k])) for k in range(len(states))]


def workspace(network: WaveRNNWeights, lanes: int) -> LoopArrays:
    """Return the arrays for the steps of 1 or 16 lanes."""
    sample, states = network.sample, network.states
    layers = (sample.dense1, sample.dense3) if isinstance(sample, StackedNetwork) else (sample.coarse1, sample.coarse2)
    dense, outputs = (len(one.start) - WIDTH for one in layers)
    stacked = isinstance(sample, StackedNetwork)
    units = states // 2 if stacked else states
    constants = len(network.frame.constants.bias)
    columns, around = network.frame.blended.shape[1], network.frame.taps.shape[1]
    inputs = (units if stacked else 0) + dense
    return room((2 * states + inputs, 3 * units, max(dense, outputs), around, columns, constants), lanes)


def samples(network: WaveRNNWeights, drawn: Array) -> Array:
    """Return the samples [n] float64, full scale +-1, of what was drawn [n, d + 1].

    Halves c and f of b bits each give the sample (c * 2**b + f) / 2**(2 * b - 1) - 1.
    """
    if not network.levels:
        return drawn[:, 0].astype(np.float64)
    found: Array = network.table[drawn[:, 0].astype(np.int64)]
    if network.drawn == 2:
        found = found + drawn[:, 1] / (network.levels**2 / 2)
    return found


def distribution(network: WaveRNNWeights, outputs: Array, temperature: float) -> Array:
    """Return the distributions that samples are drawn from, in place of the outputs [n, outputs] of the network.

    Rows of probabilities for softmaxes; for a mixture its parameters, the log-scales with the temperature.
    """
    if network.levels:
        layer = network.sample.dense3 if isinstance(network.sample, StackedNetwork) else network.sample.fine2
        probabilities(layer, workspace(network, 1), outputs, temperature, network.levels)
    else:
        first = outputs.shape[1] // 3 * 2
        outputs[:, first:] = np.maximum(outputs[:, first:], np.float32(np.log(1e-14))) + np.float32(np.log(temperature))
    return outputs
