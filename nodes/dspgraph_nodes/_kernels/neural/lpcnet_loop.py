"""LPCNet's loop, sample by sample: of one signal, or of sixteen side by side with the same bits.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel, part_of_kernel
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, PEAK
from dspgraph_nodes._kernels.neural.lpcnet_layout import (
    WIDTH,
    FrameInputs,
    LayerBuffers,
    Matrix,
    SampleNetwork,
    Workspace,
)
from dspgraph_nodes._kernels.neural.lpcnet_stages import (
    LOG2_E,
    draw,
    fetch,
    gates_a,
    gates_b,
    product_a_of_many,
    product_a_of_one,
    product_b_of_many,
    product_b_of_one,
    product_c_of_many,
    product_c_of_one,
    product_d_of_many,
    product_d_of_one,
    product_m_of_many,
    product_m_of_one,
    sum_of_parts,
    sum_of_rows,
    tanh_in_place,
    two_layers,
    update_state,
)

Array = NDArray[Any]

SCALE = np.float32(LOG2_E)


@kernel
def run_layer(matrix: Matrix, one: LayerBuffers, many: LayerBuffers, x: Array, y: Array, tanh: bool) -> None:
    """Write y = x times a matrix, plus its bias, and the tanh of it if asked for.

    Sixteen rows are taken at a time, the rest one by one.
    """
    rows, whole = len(x), len(x) - len(x) % WIDTH
    xs, ys, x_one, y_one = many.state[0], many.y, one.state[0], one.y
    for n in range(0, whole, WIDTH):
        for r in range(WIDTH):
            for k in range(len(xs)):
                xs[k, r] = x[n + r, k]
        for block in range(len(matrix.m.where)):
            product_m_of_many(matrix, many, block, block, 0)
        for r in range(WIDTH):
            for m in range(y.shape[1]):
                y[n + r, m] = ys[m, r]
    for n in range(whole, rows):
        x_one[:] = x[n]
        for group in range(len(matrix.m.places)):
            product_m_of_one(matrix, one, group, 0)
        y[n] = y_one[: y.shape[1]]
    if tanh:
        flat = y.reshape(-1)
        part = LayerBuffers(one.state, flat)
        for first in range(0, len(flat), WIDTH):
            tanh_in_place(matrix, part, first)


@kernel
def _level(edges: Array, x: float) -> int:
    """Return the mu-law code of a sample: how many of the 255 edges are not above it."""
    at, step = 0, LEVELS // 2
    while step:
        at += step * (edges[at + step - 1] <= x)
        step >>= 1
    return at


@kernel
def _pair(k: int, count: int) -> tuple[int, int]:
    """Return the blocks of pair k of `count` blocks; the last of an odd number is a pair with itself."""
    half = count // 2
    return (k, k + half) if k < half else (count - 1, count - 1)


class Schedule(NamedTuple):
    """The frames that each lane goes through."""

    rows: Array  # [lanes]: the first row of the inputs
    ends: Array  # [lanes]: the last row, which lasts to the end
    waits: Array  # [lanes]: samples of the first row
    hop: int  # samples of each other row


class TeacherForcing(NamedTuple):
    """Codes that the network hears in place of its own, and a record of what it predicts. Without codes: no record."""

    codes: Array  # [n, lane, 3] int64: of signal, prediction and excitation
    logits: Array  # [n, 256 lanes]
    states: Array  # [n, gru_b lanes]: of GRU_B


@kernel
def _start_frame(
    net: SampleNetwork, inputs: FrameInputs, workspace: Workspace, taps: Array, row: int, lane: int
) -> None:
    """Hand a row of the inputs to a lane: the predictor, the sharpness, and what the sums of the gates begin with."""
    start, condition, lanes = workspace.start_a.reshape(-1), workspace.condition_b.reshape(-1), taps.shape[1]
    for k in range(len(taps)):
        taps[k, lane] = inputs.lpc[row, k]
    for i in range(inputs.rows_b.shape[1]):
        condition[i * lanes + lane] = inputs.rows_b[row, i]
    for i in range(inputs.rows_a.shape[1]):
        start[i * lanes + lane] = net.bias_n[i] if i // WIDTH % 3 == 2 else inputs.rows_a[row, i]
    workspace.sharp[lane] = inputs.sharpness[row] * SCALE


@part_of_kernel
def _predict(taps: Array, past: Array, prediction: Array) -> None:
    """Write -sum_k taps[k] past[order - 1 - k] of every lane, k ascending; past: [order, lane], the oldest first."""
    order, lanes = taps.shape
    if lanes == 1:
        total = 0.0
        for k in range(order):
            total -= taps[k, 0] * past[order - 1 - k, 0]
        prediction[0] = total
        return
    prediction[:] = 0.0
    for k in range(order):
        a, s = taps[k], past[order - 1 - k]
        for lane in range(lanes):
            prediction[lane] -= a[lane] * s[lane]


@part_of_kernel
def _find_rows(places: Array, row: Array, codes: Array, width: int) -> None:
    """Write where the rows of width numbers begin that a step sums: of the inputs, and of the three codes' tables."""
    for lane in range(len(row)):
        places[0, lane] = row[lane] * width
        for k in range(3):
            places[k + 1, lane] = (k * LEVELS + codes[lane, k]) * width


@part_of_kernel
def _gru_a_of_one(net: SampleNetwork, workspace: Workspace, h: int, new: int) -> None:
    """Take each stage for all blocks, up to the sums of GRU_B: a stage takes long, and blocks overlap in time."""
    groups, blocks = len(net.a.places), len(net.bias_n) // (3 * WIDTH)
    for group in range(groups):
        for block in range(group, blocks, groups):
            for gate in range(3):
                fetch(net, workspace, block, gate)
        product_a_of_one(net, workspace, group, h)
    for k in range((blocks + 1) // 2):
        b0, b1 = _pair(k, blocks)
        sum_of_rows(net, workspace, b0, b0)
        sum_of_rows(net, workspace, b1, b1)
        gates_a(net, workspace, h, b0, b0, b1, b1)
    for k in range((blocks + 1) // 2):
        b0, b1 = _pair(k, blocks)
        update_state(net, workspace, h, new, b0, b0, b1, b1)
    for group in range(len(net.b.places)):
        product_b_of_one(net, workspace, group, new)
    for group in range(len(net.c.places)):
        product_c_of_one(net, workspace, group, h)


@part_of_kernel
def _gru_a_of_many(net: SampleNetwork, workspace: Workspace, h: int, new: int) -> None:
    """Take all stages for two blocks, then for the next two: the numbers they pass on stay close to the processor."""
    blocks = len(net.bias_n) // (3 * WIDTH)
    for gate in range(3):
        for block in _pair(0, blocks):
            fetch(net, workspace, block, gate)
    for k in range((blocks + 1) // 2):
        b0, b1 = _pair(k, blocks)
        next0, next1 = _pair(k + 1, blocks)
        for gate in range(3):
            fetch(net, workspace, next0, gate)
            product_a_of_many(net, workspace, 3 * b0 + gate, gate, h)
            fetch(net, workspace, next1, gate)
            product_a_of_many(net, workspace, 3 * b1 + gate, 3 + gate, h)
        sum_of_rows(net, workspace, b0, 0)
        sum_of_rows(net, workspace, b1, 1)
        gates_a(net, workspace, h, b0, 0, b1, 1)
        update_state(net, workspace, h, new, b0, 0, b1, 1)
    for block in range(len(net.b.where)):
        product_b_of_many(net, workspace, block, block, new)
    for block in range(len(net.c.where)):
        product_c_of_many(net, workspace, block, block, h)


@part_of_kernel
def _gru_b(net: SampleNetwork, workspace: Workspace, h: int, new: int, own: int) -> None:
    """Finish GRU_B, whose sums are there; its state begins at `own` in the states."""
    rows = len(net.diagonal_b)
    blocks = rows // (3 * WIDTH)
    for k in range((blocks + 1) // 2):
        b0, b1 = _pair(k, blocks)
        sum_of_parts(net, workspace, rows, b0)
        sum_of_parts(net, workspace, rows, b1)
        gates_b(net, workspace, h + own, b0, b0, b1, b1)
        update_state(net, workspace, h + own, new + own, b0, b0, b1, b1)


@part_of_kernel
def _dual_fc_of_one(net: SampleNetwork, workspace: Workspace, new: int) -> None:
    """Write the logits."""
    blocks = LEVELS // WIDTH
    for group in range(len(net.d.places)):
        product_d_of_one(net, workspace, group, new)
    for k in range(blocks // 2):
        b0, b1 = _pair(k, blocks)
        two_layers(net, workspace, b0, b0, b1, b1)


@part_of_kernel
def _dual_fc_of_many(net: SampleNetwork, workspace: Workspace, new: int) -> None:
    """Write the logits of sixteen signals."""
    blocks = LEVELS // WIDTH
    for k in range(blocks // 2):
        b0, b1 = _pair(k, blocks)
        for layer in range(2):
            product_d_of_many(net, workspace, 2 * b0 + layer, layer, new)
            product_d_of_many(net, workspace, 2 * b1 + layer, 2 + layer, new)
        two_layers(net, workspace, b0, 0, b1, 1)


@kernel
def run(
    net: SampleNetwork,
    inputs: FrameInputs,
    workspace: Workspace,
    schedule: Schedule,
    threshold: float,
    numbers: Array,
    signal: Array,
    codes: Array,
    forced: TeacherForcing,
) -> None:
    """Fill signal [order + n, lane] from `order` on; its first samples are those before, from oldest to latest.

    numbers: [n, lane], each draws a level; codes: [lane, 3], the last ones of signal, prediction and excitation.
    """
    (count, lanes), order = numbers.shape, inputs.lpc.shape[1]
    state, one = workspace.state.reshape(2, -1), workspace.logits.ndim == 1
    row, left, taps, prediction = (
        schedule.rows - 1,
        np.zeros(lanes, np.int64),
        np.zeros((order, lanes)),
        np.empty(lanes),
    )
    h, new, own = 0, state.shape[1], len(net.bias_n) // 3 * lanes  # where the states begin; in them, that of GRU_B
    for n in range(count):
        for lane in range(lanes):
            if left[lane] == 0 and row[lane] < schedule.ends[lane]:
                left[lane] = schedule.waits[lane] if n == 0 else schedule.hop
                row[lane] += 1
                _start_frame(net, inputs, workspace, taps, row[lane], lane)
            left[lane] -= 1
            workspace.number[lane] = numbers[n, lane]
        _predict(taps, signal[n : n + order], prediction)
        for lane in range(lanes):
            codes[lane, 1] = _level(net.edges, prediction[lane])
            if n < len(forced.codes):
                codes[lane] = forced.codes[n, lane]
        _find_rows(workspace.places.reshape(4, -1), row, codes, len(net.bias_n))
        if one:
            _gru_a_of_one(net, workspace, h, new)
            _gru_b(net, workspace, h, new, own)
            _dual_fc_of_one(net, workspace, new)
        else:
            _gru_a_of_many(net, workspace, h, new)
            _gru_b(net, workspace, h, new, own)
            _dual_fc_of_many(net, workspace, new)
        if n < len(forced.logits):
            forced.logits[n] = workspace.logits.reshape(-1)
            forced.states[n] = state[new // state.shape[1], own:]
        draw(net, workspace, np.float32(threshold))
        for lane in range(lanes):
            drawn = workspace.drawn[lane]
            x = min(max(prediction[lane] + net.centres[drawn], -PEAK), PEAK)
            signal[order + n, lane] = x
            codes[lane, 0], codes[lane, 2] = _level(net.edges, x), drawn
        h, new = new, h
    if count % 2:
        state[0] = state[1]
