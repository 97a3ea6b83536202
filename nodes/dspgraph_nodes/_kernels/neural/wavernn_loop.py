"""WaveRNN's loop over samples, for one signal or for sixteen side by side; the samples are the same, bit for bit.

Arrays that have a number for every unit and lane are one-dimensional here: unit u of lane l is at u * lanes + l.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.draws import draw_logistic
from dspgraph_nodes._kernels.neural.layers import product_m_of_many, product_m_of_one
from dspgraph_nodes._kernels.neural.layout import WIDTH, LayerBuffers, Matrix
from dspgraph_nodes._kernels.neural.sampling import LEAST
from dspgraph_nodes._kernels.neural.stages import (
    LOG2_E,
    NetworkCode,
    gates,
    network_stage,
    product_of_many,
    product_of_one,
    update_state,
)
from dspgraph_nodes._kernels.neural.wavernn_packing import RecurrentWeights, SplitNetwork, StackedNetwork

gates_b = gates("b")
product_c_of_one = product_of_one("c", "start_c", "sums_b")
product_c_of_many = product_of_many("c", "start_c", "sums_b")

FLOOR = -32.23619130191664  # ln 1e-14, the least log-scale of a logistic distribution


class ConditionRows(NamedTuple):
    """What the loop reads of the frames of all lanes, one row per frame, and which rows belong to which lane.

    Row k of `constants` goes with the rows k + shift .. of `blended`, for a lane whose rows begin at k.
    """

    blended: Array  # [rows, columns]: rows that are interpolated
    constants: Array  # [rows, columns]: rows that stay the same for the samples of a frame
    taps: Array  # [hop, around]: the weights of the rows of `blended`
    first_blended: Array  # [lanes]: the row of `blended` with which the first frame begins
    first_constant: Array  # [lanes]: the row of `constants` of the first frame


class LoopArrays(NamedTuple):
    """Arrays that the stages of a step write for each other; all but `state` and `scales` are one-dimensional."""

    state: Array  # [1, n] or [1, n, 16]: the states of the GRUs before and after, then the inputs of the other layers
    inputs: Array  # sums of the inputs of the gates; later the values of the gates
    sums_b: Array  # recurrent sums of the gates
    y: Array  # sums of a layer
    rows: Array  # [around, columns * lanes]: the rows that are interpolated for the present frame
    constants: Array  # [columns * lanes]: the constant rows of the present frame
    x: Array  # [columns * lanes]: what frames and last samples add to the layers
    scales: Array  # [16]: factors before exponentials
    tops: Array  # [16]: largest logits


class Drawing(NamedTuple):
    """How samples are drawn from outputs: the random numbers, and what the outputs mean."""

    levels: int  # classes of a softmax; 0 for a mixture
    values: Array  # [levels] float64: see `wavernn_packing.WaveRNNWeights`
    temperature: float
    numbers: Array  # [n, draws, lanes] float64: uniform numbers for a softmax, the noise of a mixture


def room(sizes: tuple[int, int, int, int, int, int], lanes: int) -> LoopArrays:
    """Return the arrays for the steps of 1 or 16 lanes.

    sizes: numbers of the state, of gates, of the largest layer, rows that are interpolated, their columns, and columns
    of the constants.
    """
    state, gates, layer, around, columns, constants = sizes
    many = (WIDTH,) if lanes > 1 else ()
    inputs, sums, y = (np.zeros((n + WIDTH, *many), np.float32) for n in (gates, gates, layer))
    rows = np.zeros((around, columns * lanes), np.float32)
    alike, x = (np.zeros(n * lanes, np.float32) for n in (constants, columns))
    scales, tops = np.zeros((2, WIDTH), np.float32)
    return LoopArrays(np.zeros((1, state, *many), np.float32), inputs, sums, y, rows, alike, x, scales, tops)


# ---- parts of a step ------------------------------------------------------------------------------------------------


@network_stage
def _exponentials(code: NetworkCode, count: Any) -> None:
    """Replace the first `count` logits x in y by 2**((x - top) * scale); exponents below -126 count as -126."""
    top, scale = (
        code.load(name, 0) if code.many else code.broadcast(code.element(name, 0)) for name in ("tops", "scales")
    )
    with code.loop(count) as k:
        at = code.times(k, WIDTH)
        x = code.mul(code.sub(code.load("y", at), top), scale)
        code.store(code.exp2([code.maximum(x, code.constant(LEAST))])[0], "y", at)


@kernel
def _layer(matrix: Matrix, buffers: LayerBuffers, x: int) -> None:
    """Write the product of a matrix and the input that begins at `x` of the state, plus the bias, to `buffers.y`."""
    if buffers.state.ndim == 2:
        for group in range(len(matrix.m.places)):
            product_m_of_one(matrix, buffers, group, x)
    else:
        for block in range(len(matrix.m.where)):
            product_m_of_many(matrix, buffers, block, block, x)


@kernel
def _recurrent(gru: RecurrentWeights, work: LoopArrays, h: int) -> None:
    """Write the recurrent sums of a GRU, whose state begins at `h`."""
    if work.state.ndim == 2:
        for group in range(len(gru.c.places)):
            product_c_of_one(gru, work, group, h)
    else:
        for block in range(len(gru.c.where)):
            product_c_of_many(gru, work, block, block, h)


@kernel
def _new_state(gru: RecurrentWeights, work: LoopArrays, h: int, new: int, first: int, last: int) -> None:
    """Compute the units of the blocks first .. last - 1, two blocks at a time, from complete sums."""
    for k in range(first, last, 2):
        other = min(k + 1, last - 1)
        gates_b(gru, work, h, k, k, other, other)
        update_state(gru, work, h, new, k, k, other, other)


@kernel
def _start_frame(frames: ConditionRows, work: LoopArrays, number: int, lanes: int) -> None:
    """Copy the rows of frame `number` of every lane."""
    for lane in range(lanes):
        row = frames.constants[frames.first_constant[lane] + number]
        for i in range(len(row)):
            work.constants[i * lanes + lane] = row[i]
        for j in range(len(work.rows)):
            blended = frames.blended[frames.first_blended[lane] + number + j]
            for i in range(len(blended)):
                work.rows[j, i * lanes + lane] = blended[i]


@kernel
def _blend(work: LoopArrays, weights: Array, columns: Array, values: Array) -> None:
    """Write to work.x what the constants, the interpolated rows and the last samples add up to.

    x[u] = constants[u] + sum_j weights[j] * rows[j, u] + sum_k values[k] * columns[k, u]

    weights: [around]; columns: [k, n]; values: [lanes, k].
    """
    lanes, count = len(values), columns.shape[1]
    x, constants = work.x, work.constants
    for i in range(count * lanes):
        x[i] = constants[i]
    for j in range(len(weights)):
        weight, row = weights[j], work.rows[j]
        if weight != 0:
            for i in range(len(row)):
                x[i] += weight * row[i]
    for k in range(len(columns)):
        column = columns[k]
        if lanes == 1:
            value = values[0, k]
            for u in range(count):
                x[u] += value * column[u]
        else:
            for u in range(count):
                for lane in range(lanes):
                    x[u * lanes + lane] += values[lane, k] * column[u]


@kernel
def _rectify(y: Array, constants: Array, first: int, state: Array, to: int, count: int) -> None:
    """Write max(0, y + constants[first:]) to state[to:]."""
    for i in range(count):
        state[to + i] = max(np.float32(0), y[i] + constants[first + i])


@kernel
def _choose(y: Array, numbers: Array, levels: int, chosen: Array, shares: Array) -> None:
    """Write to chosen [lanes] the number of k with F(k) <= u * F(levels - 1), where F(k) = y(0) + ... + y(k).

    y: [levels * lanes], not negative; it is not changed. numbers: u [lanes], from 0 up to, not including, 1. shares:
    [lanes], multiplied by the probability of what is chosen.
    """
    lanes = len(chosen)
    total, goal = np.zeros(lanes), np.zeros(lanes)
    for k in range(levels):
        for lane in range(lanes):
            goal[lane] += y[k * lanes + lane]
    for lane in range(lanes):
        goal[lane] *= numbers[lane]
        chosen[lane] = 0
    for k in range(levels):
        for lane in range(lanes):
            total[lane] += y[k * lanes + lane]
            chosen[lane] += total[lane] <= goal[lane]
    for lane in range(lanes):
        shares[lane] *= y[chosen[lane] * lanes + lane] / total[lane]


@kernel
def _copy(source: Array, target: Array, count: int) -> None:
    """Copy the first `count` numbers. A loop compiles in a tenth of the time of an assignment of slices."""
    for i in range(count):
        target[i] = source[i]


@kernel
def _sum(a: Array, b: Array, target: Array, count: int) -> None:
    """Write a + b to target."""
    for i in range(count):
        target[i] = a[i] + b[i]


@kernel
def _largest(y: Array, levels: int, tops: Array, lanes: int) -> None:
    for lane in range(lanes):
        tops[lane] = y[lane]
    for k in range(1, levels):
        for lane in range(lanes):
            tops[lane] = max(tops[lane], y[k * lanes + lane])


@kernel
def _draw_class(layer: Matrix, work: LoopArrays, draw: Drawing, number: Array, chosen: Array, shares: Array) -> None:
    """Draw a class of every lane from softmax(y / temperature), and write it to `chosen`. number, shares: [lanes]."""
    lanes, y = len(chosen), work.y.reshape(-1)
    _largest(y, draw.levels, work.tops, lanes)
    work.scales.fill(LOG2_E / draw.temperature)
    _exponentials(layer, work, (draw.levels * lanes + WIDTH - 1) // WIDTH)
    _choose(y, number, draw.levels, chosen, shares)


# ---- the loops ------------------------------------------------------------------------------------------------------


@kernel
def run_stacked(
    net: StackedNetwork,
    frames: ConditionRows,
    work: LoopArrays,
    draw: Drawing,
    forced: Array,
    last: Array,
    tap: Array,
    out: Array,
) -> None:
    """Synthesise n samples of every lane, a whole number of frames, by the network with two GRUs.

    forced: [m, lanes, 1]: the samples before the first m samples, in place of those that were drawn; last: [lanes, 1],
    the last sample, replaced; tap: [n, outputs * lanes], gets the outputs, or [0, outputs * lanes]; out: [n, 2, lanes],
    gets classes with their probabilities, or numbers.
    work.state holds the states before and gets those after the last sample.
    """
    (count, _, lanes), units, hop = draw.numbers.shape, len(net.gru1.diagonal_b) // 3, len(frames.taps)
    state, dense, blocks = work.state.reshape(-1), (len(net.dense1.start) - WIDTH) * lanes, units // WIDTH
    inputs, y, wide = work.inputs.reshape(-1), work.y.reshape(-1), units * lanes
    to_gates, to_y = LayerBuffers(work.state, work.inputs), LayerBuffers(work.state, work.y)
    h, new, at_x, at_y = 0, 2 * wide, 4 * wide, 5 * wide
    flat, chosen, parameters = last.reshape(-1), np.zeros(lanes, np.int64), work.y.reshape(-1, lanes)
    for n in range(count):
        if n % hop == 0:
            _start_frame(frames, work, n // hop, lanes)
        if n < len(forced):
            _copy(forced[n].reshape(-1), flat, len(flat))
        _blend(work, frames.taps[n % hop], net.columns, last)
        _copy(work.x, inputs, 3 * wide)
        _recurrent(net.gru1, work, h)
        _new_state(net.gru1, work, h, new, 0, blocks)
        _sum(work.x[3 * wide :], state[new:], state[at_x:], wide)
        _layer(net.inner2, to_gates, at_x)
        _sum(inputs, work.constants[4 * wide :], inputs, 3 * wide)
        _recurrent(net.gru2, work, h + wide)
        _new_state(net.gru2, work, h + wide, new + wide, 0, blocks)
        _sum(state[at_x:], state[new + wide :], state[at_x:], wide)
        _layer(net.dense1, to_y, at_x)
        _rectify(y, work.constants, 7 * wide, state, at_y, dense)
        _layer(net.dense2, to_y, at_y)
        _rectify(y, work.constants, 7 * wide + dense, state, at_y, dense)
        _layer(net.dense3, to_y, at_y)
        if n < len(tap):
            _copy(y, tap[n], tap.shape[1])
        if draw.levels:
            out[n, 1].fill(1)
            _draw_class(net.dense3, work, draw, draw.numbers[n, 0], chosen, out[n, 1])
            for lane in range(lanes):
                last[lane, 0] = draw.values[chosen[lane]]
                out[n, 0, lane] = chosen[lane]
        else:
            for lane in range(lanes):
                last[lane, 0] = draw_logistic(parameters, draw.numbers[n], lane, FLOOR)
                out[n, 0, lane] = last[lane, 0]
        h, new = new, h
    if count % 2:
        _copy(state[2 * wide :], state, 2 * wide)


@kernel
def run_split(
    net: SplitNetwork,
    frames: ConditionRows,
    work: LoopArrays,
    draw: Drawing,
    forced: Array,
    last: Array,
    tap: Array,
    out: Array,
) -> None:
    """Synthesise n samples of every lane, a whole number of frames, by the network with a divided state.

    forced: [m, lanes, 3]: both halves of the sample before and the coarse half of this one, as inputs, in place of
    those that were drawn; last: [lanes, 3], the halves of the last sample; out: [n, 3, lanes], gets both halves, and
    the probability of both together.
    """
    (count, _, lanes), units, hop = draw.numbers.shape, len(net.gru.diagonal_b) // 3, len(frames.taps)
    state, dense, blocks = work.state.reshape(-1), (len(net.coarse1.start) - WIDTH) * lanes, units // WIDTH
    inputs, y, wide, size = work.inputs.reshape(-1), work.y.reshape(-1), units * lanes, draw.levels * lanes
    to_y, nothing, chosen = LayerBuffers(work.state, work.y), np.zeros(dense, np.float32), np.zeros(lanes, np.int64)
    h, new, at_y, flat = 0, wide, 2 * wide, last.reshape(-1)
    for n in range(count):
        if n % hop == 0:
            _start_frame(frames, work, n // hop, lanes)
        if n < len(forced):
            _copy(forced[n].reshape(-1), flat, len(flat))
        _blend(work, frames.taps[n % hop], net.columns[:2], last)
        _copy(work.x, inputs, 3 * wide)
        _recurrent(net.gru, work, h)
        out[n, 2].fill(1)
        for half in range(2):
            if half:
                for u in range(3 * units // 2, 3 * units):
                    for lane in range(lanes):
                        inputs[u * lanes + lane] += last[lane, 2] * net.columns[2, u]
            _new_state(net.gru, work, h, new, half * blocks // 2, (half + 1) * blocks // 2)
            first, second = (net.fine1, net.fine2) if half else (net.coarse1, net.coarse2)
            _layer(first, to_y, new + half * wide // 2)
            _rectify(y, nothing, 0, state, at_y, dense)
            _layer(second, to_y, at_y)
            if n < len(tap):
                _copy(y, tap[n, half * size :], size)
            _draw_class(second, work, draw, draw.numbers[n, half], chosen, out[n, 2])
            for lane in range(lanes):
                out[n, half, lane] = chosen[lane]
                if half:
                    last[lane, 1] = draw.values[chosen[lane]]
                elif n >= len(forced):
                    last[lane, 2] = draw.values[chosen[lane]]
        for lane in range(lanes):
            last[lane, 0] = last[lane, 2]
        h, new = new, h
    if count % 2:
        _copy(state[wide:], state, wide)


@kernel
def probabilities(layer: Matrix, buffers: LoopArrays, logits: Array, temperature: float, levels: int) -> None:
    """Replace every group of `levels` logits by softmax(logits / temperature). logits: [n, groups * levels]."""
    y = buffers.y.reshape(-1)
    for n in range(len(logits)):
        for first in range(0, logits.shape[1], levels):
            row = logits[n, first : first + levels]
            _copy(row, y, levels)
            _largest(y, levels, buffers.tops, 1)
            buffers.scales.fill(LOG2_E / temperature)
            _exponentials(layer, buffers, (levels + WIDTH - 1) // WIDTH)
            total = 0.0
            for k in range(levels):
                total += y[k]
            for k in range(levels):
                row[k] = y[k] / total
