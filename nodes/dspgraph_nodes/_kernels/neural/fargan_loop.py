"""FARGAN's loop over sub-frames, for one signal or for sixteen side by side; the samples are the same, bit for bit.

In arrays that are flattened here, unit u of lane l stands at index u * lanes + l. A kernel calls a stage, such as
`_tanh`, with a matrix and the working memory in place of `code`.

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
    """The inputs of a run of n sub-frames in one or sixteen lanes.

    conditions, period: the condition and the pitch period, in samples, of each sub-frame: one row per sub-frame, for
    all signals. rows: [lanes], the row of each lane's first sub-frame. forced: [m, subframe, lanes], true samples that
    the network reads as its past in place of those it generates.
    """

    conditions: Array  # [rows, condition] float32, one row per sub-frame, of all signals
    period: Array  # [rows] int64: samples
    rows: Array  # [lanes] int64: the row of the first sub-frame of every lane
    forced: Array  # [m, subframe, lanes]: true samples of the first m sub-frames, as the past of later ones


@network_stage
def _tanh(code: NetworkCode, first: Any, to: Any) -> None:
    """Write vector code that computes tanh(x * ln(2) / 2) of sixteen numbers x.

    first: where x begins in `y`; to: where the results begin in `state`.
    """
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.fma(code.constant(-2), code.reciprocal(d), code.constant(1)), "state", to)


@network_stage
def _gate(code: NetworkCode, first: Any, x: Any, to: Any) -> None:
    """Write vector code that computes x / (1 + 2**y) of sixteen numbers; with y = -v / ln(2) this is x * sigmoid(v).

    first: where y begins in the array `y`; x, to: where x and the results begin in `state`.
    """
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.mul(code.load("state", x), code.reciprocal(d)), "state", to)


@network_stage
def _power(code: NetworkCode, first: Any) -> None:
    """Write vector code that replaces sixteen numbers of y by 2**y, with y limited to -64 .. 64.

    first: where they begin in `y`.
    """
    held = code.maximum(code.minimum(code.load("y", first), code.constant(64)), code.constant(-64))
    code.store(code.exp2([held])[0], "y", first)


@kernel
def _tanh_layer(matrix: Matrix, work: FarganMemory, to: int, count: int) -> None:
    """Apply tanh to the first `count` sums of a layer, and write the results to the state, from position `to` on.

    count: the number of units times the number of lanes; to: a position in the flattened state. Sixteen results are
    computed at a time: if `count` is not a multiple of 16, up to 15 numbers after the results are overwritten. work.y:
    the sums of the layer, as `_tanh` takes them. matrix: any matrix; a stage needs one as an argument, but its numbers
    are not read.
    """
    for k in range(0, count, WIDTH):
        _tanh(matrix, work, k, to + k)


@kernel
def _gated(matrix: Matrix, work: FarganMemory, x: int, to: int, count: int) -> None:
    """Multiply `count` numbers of the state by sigmoid(v); write the products to the state, from position `to` on.

    x: the position in the flattened state at which these numbers begin. work.y: the sums of the gate's layer,
    -v / ln(2). matrix, to, count: as in `_tanh_layer`, whose remark on numbers after the results holds here too.
    """
    for k in range(0, count, WIDTH):
        _gate(matrix, work, k, x + k, to + k)


@kernel
def _powers(matrix: Matrix, work: FarganMemory, lanes: int) -> None:
    """Replace the first sixteen sums y of a layer, in work.y, by 2**y in every lane, as `_power` does.

    matrix: as in `_tanh_layer`.
    """
    for k in range(0, WIDTH * lanes, WIDTH):
        _power(matrix, work, k)


@kernel
def _look_back(given: SubframeInputs, state: Array, gains: Array, signal: Array, n: int, at_past: int) -> None:
    """Write the past period and the sub-frame before n of every lane to the state, divided by the gain, within +-1.

    The divisor is gain + 1e-5. The past period: see `fargan_layout.layout_of`. Where it reaches past the newest sample,
    the samples one period earlier are taken; a sample more than 256 before the sub-frame is replaced by the one 256
    before it. state: `work.state`, flattened; signal: [lanes, 256 + samples], the signals so far; gains: [lanes]; n:
    the number of the sub-frame in this run; at_past: where the past period begins in the flattened state; the sub-frame
    before n follows it there.
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
    """Generate n sub-frames in every lane.

    work.state: holds the inputs of the sub-frame before this run and the states of the GRUs; both are updated in place
    for the next run. signal: [lanes, 256 + n * subframe]; the first 256 samples are the past. The others are
    overwritten: with the true samples in `given.forced` as far as there are some, and then with the generated samples.
    made: [n, subframe, lanes], overwritten with all generated samples.
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
    """Compute the four gains of the past period, and write the past period times each of them to the state.

    The gains are sigmoids of the results of the layer `net.pitch_gains`. y is overwritten. state: `work.state`, and y:
    `work.y`, both flattened; places: where the parts of the flattened state begin: `fargan_layout.layout_of` times the
    number of lanes; to_y: the buffers of a layer that reads `work.state` and writes to y.
    """
    apply_layer(net.pitch_gains, to_y, 0)
    size, one = net.sizes[1], np.float32(1)
    _powers(net.pitch_gains, work, lanes)
    for k in range(4):
        for i in range(size):
            for lane in range(lanes):
                share = one / (one + y[k * lanes + lane])
                value = state[places[2] + (i + 2) * lanes + lane]
                state[places[6] + (k * size + i) * lanes + lane] = share * value
