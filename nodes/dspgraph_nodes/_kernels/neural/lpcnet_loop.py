"""LPCNet's loop over samples, for one signal or for sixteen side by side; the samples are the same, bit for bit.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel, part_of_kernel
from dspgraph_nodes._kernels.neural.layout import WIDTH, Schedule
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, PEAK
from dspgraph_nodes._kernels.neural.lpcnet_layout import FrameInputs, SampleNetwork, Workspace, place
from dspgraph_nodes._kernels.neural.lpcnet_stages import (
    draw,
    fetch,
    gates_a,
    gates_b,
    gates_in_eight_bits,
    product_a_of_many,
    product_a_of_one,
    product_b_of_many,
    product_b_of_one,
    product_c_of_many,
    product_c_of_one,
    product_d_of_many,
    product_d_of_one,
    sum_of_parts,
    sum_of_rows,
    two_layers,
)
from dspgraph_nodes._kernels.neural.stages import LOG2_E, encode_state, neighbours, pair_of, update_state

SCALE = np.float32(LOG2_E)


@kernel
def _level(edges: Array, x: float) -> int:
    """Return the mu-law code of sample x: how many of the 255 edges are less than or equal to x.

    edges: [255], ascending.
    """
    at, step = 0, LEVELS // 2
    while step:
        at += step * (edges[at + step - 1] <= x)
        step >>= 1
    return at


class TeacherForcing(NamedTuple):
    """True codes that the network reads in place of the codes that it draws, and arrays for the results.

    codes: [n, lane, 3], the codes of signal, prediction and excitation for the first n samples; n = 0 means none.
    logits: [n, 256 * lanes] and states: [n, gru_b * lanes], overwritten with the logits and the states of GRU_B, in the
    order of these arrays in `Workspace`.
    """

    codes: Array  # [n, lane, 3] int64: the codes of signal, prediction and excitation
    logits: Array  # [n, 256 * lanes]
    states: Array  # [n, gru_b * lanes]: the states of GRU_B


class LPCNetOutputs(NamedTuple):
    """The results of a run of n samples: the synthesised signal, and probabilities of the codes.

    signal: [order + n, lane]; the first `order` rows, the samples before the run, are given; the others are written.
    Probabilities are those after the threshold (see `run`). shares: [n, lane], the probability of each drawn code.
    rows: the probabilities of all codes, for as many samples as the array has rows.
    """

    signal: Array  # [order + n, lane] float64: first the samples before, the oldest first; then those of the run
    shares: Array  # [n, lane]: the probability of every drawn code
    rows: Array  # [n, 256 * lanes]: the probabilities of all codes, ordered as `Workspace.logits`; or [0, 256 * lanes]


@kernel
def _start_frame(
    net: SampleNetwork, inputs: FrameInputs, workspace: Workspace, taps: Array, row: int, lane: int, tile: int
) -> None:
    """Copy one row of the frames' inputs to one lane: predictor, sharpness, and what the condition adds to the gates.

    For gate n of GRU_A only the recurrent bias is copied to `start_a`; `sum_of_rows` adds the condition later. In eight
    bits `gates_in_eight_bits` adds it for all gates, and `start_a` is not used. taps: [order, lanes], overwritten with
    the predictor. tile: see `lpcnet_layout.units_of_tile`.
    """
    start, condition, lanes = workspace.start_a.reshape(-1), workspace.condition_b.reshape(-1), taps.shape[1]
    for k in range(len(taps)):
        taps[k, lane] = inputs.lpc[row, k]
    for i in range(inputs.rows_b.shape[1]):
        condition[place(i, lane, lanes, tile)] = inputs.rows_b[row, i]
    if tile == 1:
        for i in range(inputs.rows_a.shape[1]):
            start[place(i, lane, lanes, tile)] = net.bias_n[i] if i // WIDTH % 3 == 2 else inputs.rows_a[row, i]
    workspace.sharp[lane] = inputs.sharpness[row] * SCALE


@part_of_kernel
def _predict(taps: Array, past: Array, prediction: Array) -> None:
    """Write the linear prediction of the next sample of every lane: -sum_k taps[k] * past[order - 1 - k], k ascending.

    taps: [order, lanes], predictor coefficients; past: [order, lanes], the oldest sample first; prediction: [lanes].
    """
    order, lanes = taps.shape
    for lane in range(lanes):
        total = 0.0
        for k in range(order):
            total -= taps[k, lane] * past[order - 1 - k, lane]
        prediction[lane] = total


@part_of_kernel
def _find_rows(places: Array, row: Array, codes: Array, width: int) -> None:
    """Write to `places` [4, lanes] the positions of the four rows of numbers that a step adds up for GRU_A.

    The four rows of a lane are the row row[lane] of the frames' inputs, and one row of each of the three tables, chosen
    by codes [lanes, 3]. width: the length of a row.
    """
    for lane in range(len(row)):
        places[0, lane] = row[lane] * width
        for k in range(3):
            places[k + 1, lane] = (k * LEVELS + codes[lane, k]) * width


@part_of_kernel
def _gru_a_of_one(net: SampleNetwork, workspace: Workspace, h: int, new: int) -> None:
    """Compute the new state of GRU_A for one signal, then the sums of GRU_B's gates over its inputs and its old state.

    h, new: the positions in `workspace.state` at which the old and the new states begin. Products, gates and new states
    are each computed for all blocks of sixteen units before the next of them begins: the instructions of a stage wait
    for each other, and the processor is faster if it can work on several blocks at once.
    """
    groups, blocks = len(net.a.places), len(net.bias_n) // (3 * WIDTH)
    for group in range(groups):
        for block in range(group, blocks, groups):
            for gate in range(3):
                fetch(net, workspace, block, gate)
        product_a_of_one(net, workspace, group, h)
    eight = len(workspace.codes) > 0
    for k in range((blocks + 1) // 2):
        b0, b1 = neighbours(k, blocks) if eight else pair_of(k, blocks)
        # sum_of_rows and gates_a do nothing in eight bits, gates_in_eight_bits does nothing in float32.
        sum_of_rows(net, workspace, b0, b0)
        sum_of_rows(net, workspace, b1, b1)
        gates_a(net, workspace, h, b0, b0, b1, b1)
        gates_in_eight_bits(net, workspace, h, b0, b0, b1, b1)
    for k in range((blocks + 1) // 2):
        b0, b1 = neighbours(k, blocks) if eight else pair_of(k, blocks)
        update_state(net, workspace, h, new, b0, b0, b1, b1)
    for group in range(len(net.b.places)):
        product_b_of_one(net, workspace, group, new)
    for group in range(len(net.c.places)):
        product_c_of_one(net, workspace, group, h)


@part_of_kernel
def _gru_a_of_many(net: SampleNetwork, workspace: Workspace, h: int, new: int) -> None:
    """Compute the new state of GRU_A for sixteen signals, then the sums of GRU_B's gates (see `_gru_a_of_one`).

    h, new: the positions in `workspace.state` at which the old and the new states begin. All stages run for two blocks
    of sixteen units before the next two blocks begin, so that the numbers stay in the cache of the processor.
    """
    blocks, eight = len(net.bias_n) // (3 * WIDTH), len(workspace.codes) > 0
    for gate in range(3):
        for block in neighbours(0, blocks) if eight else pair_of(0, blocks):
            fetch(net, workspace, block, gate)
    for k in range((blocks + 1) // 2):
        b0, b1 = neighbours(k, blocks) if eight else pair_of(k, blocks)
        next0, next1 = neighbours(k + 1, blocks) if eight else pair_of(k + 1, blocks)
        for gate in range(3):
            fetch(net, workspace, next0, gate)
            product_a_of_many(net, workspace, 3 * b0 + gate, gate, h)
            fetch(net, workspace, next1, gate)
            product_a_of_many(net, workspace, 3 * b1 + gate, 3 + gate, h)
        sum_of_rows(net, workspace, b0, 0)
        sum_of_rows(net, workspace, b1, 1)
        gates_a(net, workspace, h, b0, 0, b1, 1)
        gates_in_eight_bits(net, workspace, h, b0, 0, b1, 1)
        update_state(net, workspace, h, new, b0, 0, b1, 1)
    for block in range(len(net.b.where)):
        product_b_of_many(net, workspace, block, block, new)
    for block in range(len(net.c.where)):
        product_c_of_many(net, workspace, block, block, h)


@part_of_kernel
def _gru_b(net: SampleNetwork, workspace: Workspace, h: int, new: int, own: int) -> None:
    """Compute the new state of GRU_B from the condition and the sums that the products have left in parts_b and sums_b.

    h, new: where the old and the new states of both GRUs begin in `workspace.state`; own: the position of GRU_B's
    state within them.
    """
    rows = len(net.diagonal_b)
    blocks = rows // (3 * WIDTH)
    for k in range((blocks + 1) // 2):
        b0, b1 = pair_of(k, blocks)
        sum_of_parts(net, workspace, rows, b0)
        if b1 != b0:
            sum_of_parts(net, workspace, rows, b1)
        gates_b(net, workspace, h + own, b0, b0, b1, b1)
        update_state(net, workspace, h + own, new + own, b0, b0, b1, b1)


@part_of_kernel
def _dual_fc_of_one(net: SampleNetwork, workspace: Workspace, new: int) -> None:
    """Compute the logits of one signal from the new state of GRU_B.

    new: where the new states begin in `workspace.state`.
    """
    blocks = LEVELS // WIDTH
    for group in range(len(net.d.places)):
        product_d_of_one(net, workspace, group, new)
    for k in range(blocks // 2):
        b0, b1 = pair_of(k, blocks)
        two_layers(net, workspace, b0, b0, b1, b1)


@part_of_kernel
def _dual_fc_of_many(net: SampleNetwork, workspace: Workspace, new: int) -> None:
    """Compute the logits of sixteen signals from the new states of GRU_B.

    new: where the new states begin in `workspace.state`.
    """
    blocks = LEVELS // WIDTH
    for k in range(blocks // 2):
        b0, b1 = pair_of(k, blocks)
        for layer in range(2):
            product_d_of_many(net, workspace, 2 * b0 + layer, layer, new)
            product_d_of_many(net, workspace, 2 * b1 + layer, 2 + layer, new)
        two_layers(net, workspace, b0, 0, b1, 1)


@part_of_kernel
def _show(q: Array, total: Array, drawn: Array, out: LPCNetOutputs, n: int, tile: int) -> None:
    """Store the probabilities q / total of sample n in `out`: those of the drawn codes in out.shares.

    If out.rows has a row n, the probabilities of all codes are stored there. q: unnormalised probabilities in the order
    of `logits` in `Workspace`; total: [lanes], their sums; drawn: [lanes], the drawn codes; tile: see
    `lpcnet_layout.units_of_tile`.
    """
    lanes, per = len(drawn), LEVELS // WIDTH
    for lane in range(lanes):
        level = drawn[lane] % per * WIDTH + drawn[lane] // per
        out.shares[n, lane] = q[place(level, lane, lanes, tile)] / total[lane]
    if n < len(out.rows):
        for k in range(LEVELS * lanes):
            out.rows[n, k] = q[k] / total[k // tile % lanes]


@kernel
def run(
    net: SampleNetwork,
    inputs: FrameInputs,
    workspace: Workspace,
    schedule: Schedule,
    threshold: float,
    numbers: Array,
    codes: Array,
    forced: TeacherForcing,
    out: LPCNetOutputs,
) -> None:
    """Synthesise n samples in every lane, in 16-bit scale, before de-emphasis; write them to `out`.

    numbers: [n, lanes], uniform from 0 to 1, one to draw each code. codes: [lanes, 3], the last codes of signal,
    prediction and excitation. threshold: see `categorical` in the module `sampling`. workspace.state[0]: the states
    before the first sample. It and `codes` are replaced by those after the last sample.
    """
    (count, lanes), order = numbers.shape, inputs.lpc.shape[1]
    state, places, one = workspace.state.reshape(2, -1), workspace.places.reshape(4, -1), workspace.logits.ndim == 1
    row, left = schedule.rows - 1, np.zeros(lanes, np.int64)
    taps, prediction = np.zeros((order, lanes)), np.empty(lanes)
    h, new, own = 0, state.shape[1], len(net.bias_n) // 3 * lanes  # where states begin; GRU_B's place in them
    signal, q = out.signal, workspace.logits.reshape(-1)
    tile = WIDTH if len(workspace.codes) else 1  # as in `units_of_tile`
    for block in range(len(net.bias_n) // (3 * WIDTH) + len(net.diagonal_b) // (3 * WIDTH)):
        encode_state(net, workspace, h, block)
    for n in range(count):
        for lane in range(lanes):
            if left[lane] == 0 and row[lane] < schedule.ends[lane]:
                left[lane] = schedule.waits[lane] if n == 0 else schedule.hop
                row[lane] += 1
                _start_frame(net, inputs, workspace, taps, row[lane], lane, tile)
            left[lane] -= 1
            workspace.number[lane] = numbers[n, lane]
        _predict(taps, signal[n : n + order], prediction)
        for lane in range(lanes):
            codes[lane, 1] = _level(net.edges, prediction[lane])
            if n < len(forced.codes):
                codes[lane] = forced.codes[n, lane]
        _find_rows(places, row, codes, len(net.bias_n))
        if one:
            _gru_a_of_one(net, workspace, h, new)
            _gru_b(net, workspace, h, new, own)
            _dual_fc_of_one(net, workspace, new)
        else:
            _gru_a_of_many(net, workspace, h, new)
            _gru_b(net, workspace, h, new, own)
            _dual_fc_of_many(net, workspace, new)
        if n < len(forced.logits):
            forced.logits[n] = q
            forced.states[n] = state[new // state.shape[1], own:]
        draw(net, workspace, np.float32(threshold))
        _show(q, workspace.total, workspace.drawn, out, n, tile)
        for lane in range(lanes):
            drawn = workspace.drawn[lane]
            x = min(max(prediction[lane] + net.centres[drawn], -PEAK), PEAK)
            signal[order + n, lane] = x
            codes[lane, 0], codes[lane, 2] = _level(net.edges, x), drawn
        h, new = new, h
    if count % 2:
        state[0] = state[1]
