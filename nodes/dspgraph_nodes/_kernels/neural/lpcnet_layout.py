"""The arrays of LPCNet as its kernels read and write them.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS

Array = NDArray[Any]

WIDTH = 16  # rows in a block, numbers in a vector, signals side by side
ACCUMULATORS = 4  # blocks in a group: their sums grow at the same time, so that none waits for its last multiply-add


class Blocks(NamedTuple):
    """A matrix in blocks of sixteen rows and one column, those of zeros left out, in the order they are used.

    Four blocks of rows make a group, and a step of it is a column of each: one signal takes all four at a time.
    """

    weights: Array  # [steps, 4, 16]
    columns: Array  # [steps, 4] uint16
    steps: Array  # [groups + 1]: where the steps of a group begin
    places: Array  # [groups, 4]: the first row of each of its blocks
    where: Array  # [rows / 16, 2]: the group of every block of rows, and its place in it


class Matrix(NamedTuple):
    """A layer without its activation."""

    m: Blocks
    start: Array  # [rows + 16]: the bias, and room for sums that nobody reads


class SampleNetwork(NamedTuple):
    """What turns the codes of a sample, and what the condition adds to the gates, into a distribution.

    The rows of a GRU stand block by block, [block, gate, unit]: sixteen units of the gate r, of z, of n.
    """

    tables: Array  # [3, 256, 3 gru_a]: what the codes of signal, prediction and excitation add to the gates of GRU_A
    bias_n: Array  # [3 gru_a]: the recurrent bias of the gate n; the recurrent sums of r and z begin with the condition
    diagonal_a: Array  # [3 gru_a]: of the recurrent weights
    diagonal_b: Array
    start_b: Array  # [4 3 gru_b + 16]
    start_c: Array  # [3 gru_b + 16]
    start_d: Array  # [512 + 16]
    a: Blocks  # recurrent weights of GRU_A but the diagonals
    b: Blocks  # from GRU_A to GRU_B, in four parts of the columns
    c: Blocks  # recurrent weights of GRU_B but the diagonals
    d: Blocks  # both layers behind GRU_B, [block, layer, unit]
    factors: Array  # [3, 256]: a1 + a2, -2 a1, -2 a2
    edges: Array  # [255] float64: code c is from edge c - 1 up to edge c
    centres: Array  # [256] float64: samples of the codes


class FrameInputs(NamedTuple):
    """What is known of every frame, one row after the other."""

    rows_a: Array  # [rows, 3 gru_a]: what the conditions add to the gates
    rows_b: Array  # [rows, 3 gru_b]
    lpc: Array  # [rows, order] float64
    sharpness: Array  # [rows]: what logits are multiplied by


class LayerBuffers(NamedTuple):
    """Input and output of a layer, for one row or for sixteen."""

    state: Array  # [1, inputs] or [1, inputs, row]
    y: Array  # [outputs + 16] or [outputs + 16, row]


class Workspace(NamedTuple):
    """Arrays that the stages of a step pass to each other, [numbers] or [numbers, lane]."""

    state: Array  # [2, gru_a + gru_b]: of both GRUs; a step goes from one to the other
    start_a: Array  # [3 gru_a + 16]: what the recurrent sums begin with
    condition_b: Array
    inputs: Array  # slots
    sums_a: Array  # slots
    parts_b: Array
    sums_b: Array  # slots
    layers: Array  # slots
    logits: Array
    work: Array
    places: Array  # [4] int64: where the rows begin that are summed
    sharp: Array  # [lanes]
    number: Array  # [lanes]: from 0 to 1
    drawn: Array  # [lanes] int64
    rows_a: Array  # that of what is given


def workspace(net: SampleNetwork, rows_a: Array, lanes: int) -> Workspace:
    """Return a workspace for the steps of one signal, or of sixteen."""
    a, b, many = len(net.bias_n), len(net.diagonal_b), lanes > 1
    slots = max(6 * WIDTH, b) if many else max(a, b)
    layers = 4 * WIDTH if many else 2 * LEVELS
    sizes = (a + WIDTH, b, slots, slots + WIDTH, ACCUMULATORS * b + WIDTH, b + WIDTH, layers + WIDTH, LEVELS, WIDTH)
    width = (WIDTH,) if many else ()
    made: list[Array] = [np.zeros((2, (a + b) // 3, *width), np.float32)]
    made += [np.zeros((n, *width), np.float32) for n in sizes]
    made += [np.zeros((4, *width), np.int64), *np.zeros((2, lanes), np.float32), np.zeros(lanes, np.int64), rows_a]
    return Workspace._make(made)
