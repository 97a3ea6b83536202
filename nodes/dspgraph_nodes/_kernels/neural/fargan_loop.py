"""FARGAN's loop over sub-frames, for one signal or for sixteen side by side; the samples are the same, bit for bit.

Unit u of lane l is at u * lanes + l of a flat array.

Source: J.-M. Valin, A. Mustafa and J. Büthe, Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction, IEEE Signal Processing Letters 31, 2024; the program published with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY
from dspgraph_nodes._kernels.neural.fargan_layout import FarganMemory, SubframeNetwork
from dspgraph_nodes._kernels.neural.layers import apply_layer, update_gru
from dspgraph_nodes._kernels.neural.layout import WIDTH, LayerBuffers, Matrix
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage

_LEAST_GAIN = np.float32(1e-5)


class SubframeInputs(NamedTuple):
    """The inputs of a run of n sub-frames."""

    conditions: Array  # [rows, condition] float32, one row per sub-frame, of all signals
    period: Array  # [rows] int64: samples
    rows: Array  # [lanes] int64: the row of the first sub-frame of every lane
    forced: Array  # [m, subframe, lanes]: true samples of the first m sub-frames, as the past of later ones


@network_stage
def _tanh(code: NetworkCode, first: Any, to: Any) -> None:
    """Write tanh(x * ln(2) / 2) to `state`, for the sixteen numbers x from position `first` of y on."""
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.fma(code.constant(-2), code.reciprocal(d), code.constant(1)), "state", to)


@network_stage
def _gate(code: NetworkCode, first: Any, x: Any, to: Any) -> None:
    """Write state[x] / (1 + 2**y) to `state`, for sixteen numbers; those of y begin at `first`."""
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.mul(code.load("state", x), code.reciprocal(d)), "state", to)


@network_stage
def _power(code: NetworkCode, first: Any) -> None:
    """Replace sixteen numbers of y by 2**y, with y limited to -64 .. 64."""
    held = code.maximum(code.minimum(code.load("y", first), code.constant(64)), code.constant(-64))
    code.store(code.exp2([held])[0], "y", first)


@kernel
def _tanh_layer(matrix: Matrix, work: FarganMemory, to: int, count: int) -> None:
    """Write tanh of the first `count` sums of a layer to the state."""
    for k in range(0, count, WIDTH):
        _tanh(matrix, work, k, to + k)


@kernel
def _gated(matrix: Matrix, work: FarganMemory, x: int, to: int, count: int) -> None:
    """Write x * sigmoid(y) to the state, for `count` numbers of the state and sums of a layer."""
    for k in range(0, count, WIDTH):
        _gate(matrix, work, k, x + k, to + k)


@kernel
def _powers(matrix: Matrix, work: FarganMemory, lanes: int) -> None:
    """Replace the first sixteen sums y of a layer by 2**y."""
    for k in range(0, WIDTH * lanes, WIDTH):
        _power(matrix, work, k)


@kernel
def _look_back(given: SubframeInputs, state: Array, gains: Array, signal: Array, n: int, at_past: int) -> None:
    """Write the past period and the last sub-frame of every lane to the state, divided by the gain and limited to +-1.

    signal: [lanes, 256 + samples]; gains: [lanes]; at_past: where the past period begins.
    """
    lanes, size = len(given.rows), given.forced.shape[1]
    now, one = MEMORY + n * size, np.float32(1)
    for lane in range(lanes):
        scale, period, past = one / (_LEAST_GAIN + gains[lane]), given.period[given.rows[lane] + n], signal[lane]
        for i in range(size + 4):
            place = now - period - 2 + i
            while place >= now:
                place -= period
            value = past[max(place, now - MEMORY)] * scale
            state[at_past + i * lanes + lane] = min(max(value, -one), one)
        for i in range(size):
            value = past[now - size + i] * scale
            state[at_past + (size + 4 + i) * lanes + lane] = min(max(value, -one), one)


@kernel
def run_subframes(net: SubframeNetwork, work: FarganMemory, given: SubframeInputs, signal: Array, made: Array) -> None:
    """Make n sub-frames of every lane.

    work.state: the inputs of the sub-frame before and the states of the GRUs, updated in place for the next run;
    signal: [lanes, 256 + n * subframe], of which the first 256 samples are given; the others are set to the true
    samples in `given.forced`, if it has them, and otherwise to the samples that the network makes; made: [n, subframe,
    lanes], which gets the samples that the network makes.
    """
    count, size, lanes = made.shape
    places, sizes = net.places * lanes, net.sizes * lanes
    state, y, seen = work.state.reshape(-1), work.y.reshape(-1), places[1]
    to_y, to_inputs = LayerBuffers(work.state, work.y), LayerBuffers(work.state, work.inputs)
    to_sums, gains = LayerBuffers(work.state, work.sums_b), np.empty(lanes, np.float32)
    for n in range(count):
        for lane in range(lanes):
            row = given.conditions[given.rows[lane] + n]
            for i in range(len(row)):
                state[seen + i * lanes + lane] = row[i]
        apply_layer(net.gain, to_y, 0)
        _powers(net.gain, work, lanes)
        for lane in range(lanes):
            gains[lane] = y[lane]
        _look_back(given, state, gains, signal, n, places[2])
        apply_layer(net.first, to_y, 0)
        _tanh_layer(net.last, work, places[4], sizes[2])
        apply_layer(net.first_gate, to_y, places[4])
        _gated(net.last, work, places[4], places[5], sizes[2])
        _scale_periods(net, work, to_y, state, y, places, lanes)
        for k in range(3):
            h, new = places[7 + k], places[10 + k]
            apply_layer(net.inputs[k], to_inputs, 0)
            apply_layer(net.states[k].matrix, to_sums, h)
            update_gru(net.states[k], work, h, new, 0, net.sizes[3 + k] // WIDTH)
            apply_layer(net.gates[k], to_y, new)
            _gated(net.last, work, new, places[13 + k], sizes[3 + k])
            for i in range(sizes[3 + k]):
                state[h + i] = state[new + i]
        apply_layer(net.skip, to_y, 0)
        _tanh_layer(net.last, work, places[16], sizes[6])
        apply_layer(net.skip_gate, to_y, places[16])
        _gated(net.last, work, places[16], places[17], sizes[6])
        apply_layer(net.last, to_y, 0)
        _tanh_layer(net.last, work, places[4], sizes[1])
        for i in range(seen):
            state[i] = state[seen + i]
        for i in range(size):
            for lane in range(lanes):
                value = state[places[4] + i * lanes + lane] * gains[lane]
                made[n, i, lane] = value
                true = given.forced[n, i, lane] if n < len(given.forced) else value
                signal[lane, MEMORY + n * size + i] = true


@kernel
def _scale_periods(
    net: SubframeNetwork, work: FarganMemory, to_y: LayerBuffers, state: Array, y: Array, places: Array, lanes: int
) -> None:
    """Write the past period, multiplied by each of its four gains, to the state."""
    apply_layer(net.pitch_gains, to_y, 0)
    size, one = net.sizes[1], np.float32(1)
    _powers(net.pitch_gains, work, lanes)
    for k in range(4):
        for i in range(size):
            for lane in range(lanes):
                share = one / (one + y[k * lanes + lane])
                value = state[places[2] + (i + 2) * lanes + lane]
                state[places[6] + (k * size + i) * lanes + lane] = share * value
