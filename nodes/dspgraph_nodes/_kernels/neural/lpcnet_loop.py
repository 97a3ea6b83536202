"""LPCNet's loop, sample by sample: of one signal, or of sixteen side by side with the same bits.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
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
    """y = x times a matrix, plus its bias, and its tanh if asked for: sixteen rows at a time, the rest one by one."""
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
    """The mu-law code of a sample: how many of the 255 edges are not above it."""
    at, step = 0, LEVELS // 2
    while step:
        at += step * (edges[at + step - 1] <= x)
        step >>= 1
    return at


@kernel
def _pair(k: int, count: int) -> tuple[int, int]:
    """The blocks of pair k of `count` blocks: the last of an odd number is a pair with itself."""
    half = count // 2
    return (k, k + half) if k < half else (count - 1, count - 1)


@kernel
def _lay_ready(net: SampleNetwork, given: FrameInputs, workspace: Workspace, row: int, lane: int, lanes: int) -> None:
    """Another frame for a lane."""
    start, condition = workspace.start_a.reshape(-1), workspace.condition_b.reshape(-1)
    for i in range(given.rows_b.shape[1]):
        condition[i * lanes + lane] = given.rows_b[row, i]
    for i in range(given.rows_a.shape[1]):
        start[i * lanes + lane] = net.bias_n[i] if i // WIDTH % 3 == 2 else given.rows_a[row, i]
    workspace.sharp[lane] = given.sharpness[row] * SCALE


@kernel
def run(
    net: SampleNetwork,
    given: FrameInputs,
    workspace: Workspace,
    rows: Array,
    ends: Array,
    waits: Array,
    hop: int,
    threshold: float,
    numbers: Array,
    signal: Array,
    codes: Array,
    forced: Array,
    logits: Array,
    states: Array,
) -> None:
    """signal [order + n, lane] from its first `order` samples on; numbers: [n, lane]; codes: [lane, 3].

    Lane l goes through the rows rows[l] to ends[l] of what is given, the first for waits[l] samples, each other for
    `hop`, the last to the end. Where codes are forced, [n, lane, 3], the network hears those, and the logits
    [n, 256 lanes] and states of GRU_B [n, gru_b lanes] are kept.
    """  # fmt: skip
    (count, lanes), order, width = numbers.shape, given.lpc.shape[1], len(net.bias_n)
    blocks_a, blocks_b, blocks_d = width // (3 * WIDTH), len(net.diagonal_b) // (3 * WIDTH), LEVELS // WIDTH
    groups, one = len(net.a.places), workspace.logits.ndim == 1
    edges, centres, lpc, places = net.edges, net.centres, given.lpc, workspace.places.reshape(4, -1)
    number, drawn, outcome, state = workspace.number, workspace.drawn, workspace.logits, workspace.state.reshape(2, -1)
    row, left, taps, prediction = rows - 1, np.zeros(lanes, np.int64), np.zeros((order, lanes)), np.empty(lanes)
    h, new, own = 0, state.shape[1], width // 3 * lanes  # where the states begin, and in them that of GRU_B
    for n in range(count):
        for lane in range(lanes):
            if left[lane] == 0 and row[lane] < ends[lane]:
                left[lane] = waits[lane] if n == 0 else hop
                row[lane] += 1
                for k in range(order):
                    taps[k, lane] = lpc[row[lane], k]
                _lay_ready(net, given, workspace, row[lane], lane, lanes)
            left[lane] -= 1
            number[lane] = numbers[n, lane]
        if one:
            total = 0.0
            for k in range(order):
                total -= taps[k, 0] * signal[n + order - 1 - k, 0]
            prediction[0] = total
        else:
            prediction[:] = 0.0
            for k in range(order):
                a, s = taps[k], signal[n + order - 1 - k]
                for lane in range(lanes):
                    prediction[lane] -= a[lane] * s[lane]
        for lane in range(lanes):
            codes[lane, 1] = _level(edges, prediction[lane])
            if n < len(forced):
                codes[lane] = forced[n, lane]
            places[0, lane] = row[lane] * width
            for k in range(3):
                places[k + 1, lane] = (k * LEVELS + codes[lane, k]) * width

        if one:  # each stage for all blocks: the way through one is long, and there is much to overlap
            for group in range(groups):
                for block in range(group, blocks_a, groups):
                    for gate in range(3):
                        fetch(net, workspace, block, gate)
                product_a_of_one(net, workspace, group, h)
            for k in range((blocks_a + 1) // 2):
                b0, b1 = _pair(k, blocks_a)
                sum_of_rows(net, workspace, b0, b0)
                sum_of_rows(net, workspace, b1, b1)
                gates_a(net, workspace, h, b0, b0, b1, b1)
            for k in range((blocks_a + 1) // 2):
                b0, b1 = _pair(k, blocks_a)
                update_state(net, workspace, h, new, b0, b0, b1, b1)
            for group in range(len(net.b.places)):
                product_b_of_one(net, workspace, group, new)
            for group in range(len(net.c.places)):
                product_c_of_one(net, workspace, group, h)
        else:  # all stages for two blocks, then for the next: what they hand on stays close
            for gate in range(3):
                for block in _pair(0, blocks_a):
                    fetch(net, workspace, block, gate)
            for k in range((blocks_a + 1) // 2):
                b0, b1 = _pair(k, blocks_a)
                next0, next1 = _pair(k + 1, blocks_a)
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
        for k in range((blocks_b + 1) // 2):
            b0, b1 = _pair(k, blocks_b)
            sum_of_parts(net, workspace, len(net.diagonal_b), b0)
            sum_of_parts(net, workspace, len(net.diagonal_b), b1)
            gates_b(net, workspace, h + own, b0, b0, b1, b1)
            update_state(net, workspace, h + own, new + own, b0, b0, b1, b1)
        if one:
            for group in range(len(net.d.places)):
                product_d_of_one(net, workspace, group, new)
            for k in range(blocks_d // 2):
                b0, b1 = _pair(k, blocks_d)
                two_layers(net, workspace, b0, b0, b1, b1)
        else:
            for k in range(blocks_d // 2):
                b0, b1 = _pair(k, blocks_d)
                for layer in range(2):
                    product_d_of_many(net, workspace, 2 * b0 + layer, layer, new)
                    product_d_of_many(net, workspace, 2 * b1 + layer, 2 + layer, new)
                two_layers(net, workspace, b0, 0, b1, 1)

        if n < len(logits):
            logits[n] = outcome.reshape(-1)
            states[n] = state[new // state.shape[1], own:]
        draw(net, workspace, np.float32(threshold))
        for lane in range(lanes):
            x = min(max(prediction[lane] + centres[drawn[lane]], -PEAK), PEAK)
            signal[order + n, lane] = x
            codes[lane, 0], codes[lane, 2] = _level(edges, x), drawn[lane]
        h, new = new, h
    if count % 2:
        state[0] = state[1]
