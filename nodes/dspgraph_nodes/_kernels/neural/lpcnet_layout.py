"""The layout of LPCNet's weights and buffers in its kernels.

The module `layout` explains lanes, blocks, and the order [block, gate, unit].

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.layout import ACCUMULATORS, WIDTH, Avx2Blocks, Blocks, DotBlocks
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes._kernels.neural.packing import LINE, contiguous


class SampleNetwork(NamedTuple):
    """The packed weights of the sample-rate network, which computes the distribution of the next excitation code.

    The network has two GRUs, A with gru_a units and B with gru_b units, and the layer DualFC. For each of the three
    codes that the network reads before a sample, `tables` has the numbers that the code adds to the gates of GRU_A. The
    matrices are a (from GRU_A's old state to its gates), b (from GRU_A's new state to the gates of GRU_B), c (from
    GRU_B's old state to its gates) and d (DualFC). The sums of b, c and d begin with the numbers start_b, start_c and
    start_d. The arrays of a GRU are in the order [block, gate, unit].
    """

    tables: Array  # [3, 256, 3 * gru_a]: added to GRU_A's gates for each code of signal, prediction, excitation
    table_scale: Array  # [3 * gru_a]: in eight bits, the factor of each column of `tables` (int16); otherwise empty
    bias_n: Array  # [3 * gru_a]: the recurrent bias of gate n; 0 for r and z, whose recurrent bias is in the condition
    diagonal_a: Array  # [3 * gru_a]: the diagonals of GRU_A's recurrent weights
    diagonal_b: Array  # [3 * gru_b]: the diagonals of GRU_B's recurrent weights
    start_b: Array  # [4 * 3 * gru_b + 16]: zeros, with which the sums of `b` begin
    start_c: Array  # [3 * gru_b + 16]: GRU_B's recurrent bias of gate n, 0 for r and z; the sums of `c` begin with it
    start_d: Array  # [512 + 16]: the bias of both layers of DualFC, with which the sums of `d` begin
    a: Blocks | DotBlocks  # recurrent weights of GRU_A, without the diagonals
    b: (
        Blocks | DotBlocks
    )  # weights from GRU_A to GRU_B; the columns are divided into four parts, each with sums of its own
    c: Blocks | DotBlocks  # recurrent weights of GRU_B, without the diagonals
    d: Blocks | DotBlocks  # weights of both layers of DualFC, in the order [block, layer, level]
    factors: Array  # [3, 256]: a1 + a2, -2 * a1, -2 * a2, with a1 and a2 the factors of DualFC; in eight bits a1, a2
    edges: Array  # [255] float64: code c is for samples from edges[c - 1] up to, not including, edges[c]
    centres: Array  # [256] float64: the sample of each code


def units_of_tile(net: SampleNetwork) -> int:
    """Return the number of units of a lane that stand side by side in the workspace for sixteen signals.

    It is 16 in eight bits, otherwise 1.
    """
    return WIDTH if isinstance(net.a, DotBlocks) else 1


@kernel
def place(unit: int, lane: int, lanes: int, tile: int) -> int:
    """Return the position of the number of a unit and a lane in a flattened array [units, lanes] of the workspace.

    lanes: the number of lanes; tile: see `units_of_tile`.
    """
    return (unit // tile * lanes + lane) * tile + unit % tile


def in_tiles(x: Array, tile: int) -> Array:
    """Return [..., units, lanes] reordered to [..., unit / tile, lane, unit modulo tile], in the shape of x."""
    y: Array = x.reshape(*x.shape[:-2], -1, tile, x.shape[-1]).swapaxes(-1, -2).reshape(x.shape)
    return y


def out_of_tiles(x: Array, tile: int) -> Array:
    """Return an array in the order of `in_tiles`, reordered to [..., units, lanes]; the shape stays the same."""
    y: Array = x.reshape(*x.shape[:-2], -1, x.shape[-1], tile).swapaxes(-1, -2).reshape(x.shape)
    return y


class FrameInputs(NamedTuple):
    """The inputs of the sample-rate network that are the same for all samples of a frame.

    Every array has one row per frame.
    """

    rows_a: Array  # [rows, 3 * gru_a]: the numbers that the conditions add to GRU_A's gates
    rows_b: Array  # [rows, 3 * gru_b]: the numbers that the conditions add to GRU_B's gates
    lpc: Array  # [rows, order] float64: predictor coefficients
    sharpness: Array  # [rows]: the factor of the logits


class Workspace(NamedTuple):
    """The arrays that the vector code of one step reads and writes.

    For sixteen signals, every array but `codes` and `rows_a` has a last axis `lane`. Of a network in eight bits, the
    sums are int32, and the order for sixteen signals is [block, lane, unit], see `in_tiles`. An array marked "slots"
    holds the numbers of several blocks of units, each in its slot, which is the place of one block; see the comment on
    slots in the module `stages`.
    """

    state: Array  # [2, gru_a + gru_b]: the states of both GRUs; a step reads one row and writes the other
    start_a: Array  # [3 * gru_a + 16]: the numbers with which the recurrent sums of GRU_A begin; only for floats
    condition_b: Array  # [3 * gru_b]: the numbers that the condition adds to GRU_B's gates
    codes: Array  # the states in 8-bit numbers, with the positions of `state` (int16 for `pairs`); empty for floats
    inputs: Array  # slots: the sums of the inputs of the gates; later the values of the gates
    sums_a: Array  # slots: the recurrent sums of GRU_A
    parts_b: Array  # [4 * 3 * gru_b + 16]: the four partial sums of each of GRU_B's inputs
    sums_b: Array  # slots: the recurrent sums of GRU_B
    layers: Array  # slots: the sums of both layers of DualFC, before tanh
    logits: Array  # [256], in the order that `sampling.categorical` describes, which makes the stage `draw`
    work: Array  # [16]: sums that `draw` stores for itself; one signal does not need it
    places: Array  # [4] int64: the positions at which the rows begin that are summed for GRU_A
    sharp: Array  # [lanes]: the factor of the logits, times log2(e)
    number: Array  # [lanes]: the random number, from 0 to 1, that draws the code
    drawn: Array  # [lanes] int64: the drawn code
    total: Array  # [lanes]: the sum of the numbers that `draw` leaves in `logits`, proportional to probabilities
    rows_a: Array  # the array `rows_a` of the frames' inputs


def workspace(net: SampleNetwork, rows_a: Array, lanes: int) -> Workspace:
    """Return new arrays for the steps of one signal (lanes = 1) or of sixteen (lanes = 16).

    net: the weights, which decide the sizes. rows_a: the array `FrameInputs.rows_a`.
    """
    a, b, many = len(net.bias_n), len(net.diagonal_b), lanes > 1
    slots = max(6 * WIDTH, b) if many else max(a, b)
    layers = 4 * WIDTH if many else 2 * LEVELS
    width = (WIDTH,) if many else ()
    eight = isinstance(net.a, DotBlocks)
    sums = np.int32 if eight else np.float32
    made: list[Array] = [np.zeros((2, (a + b) // 3, *width), np.float32)]
    made += [np.zeros((n, *width), np.float32) for n in (a + WIDTH, b)]
    codes = np.int16 if many and isinstance(net.a, Avx2Blocks) else np.uint8
    made += [np.zeros(made[0].size if eight else 0, codes), np.zeros((slots, *width), np.float32)]
    sizes = (slots + WIDTH, ACCUMULATORS * b + WIDTH, b + WIDTH, layers + WIDTH)
    made += [np.zeros((n, *width), sums) for n in sizes]
    made += [np.zeros((n, *width), np.float32) for n in (LEVELS, WIDTH)]
    made += [np.zeros((4, *width), np.int64), *np.zeros((2, lanes), np.float32)]
    made += [np.zeros(lanes, np.int64), np.zeros(lanes, np.float32)]
    return Workspace._make((*contiguous(tuple(made), LINE), rows_a))
