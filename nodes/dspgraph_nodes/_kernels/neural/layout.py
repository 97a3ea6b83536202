"""The arrays of neural networks as kernels read and write them.

The kernels compute one signal, or sixteen signals side by side. A *lane* is the place of one signal among those that
are computed side by side: there are 1 or 16 lanes.

The rows of a matrix are divided into *blocks* of sixteen, and the units of a layer likewise. The order [block, gate,
unit] means: first the sixteen numbers of gate r for the units 0..15, then those of gate z, then those of gate n; then
the numbers of the three gates for the units 16..31, and so on.
"""

from __future__ import annotations

from typing import NamedTuple

from dspgraph_nodes._kernels.arrays import Array

WIDTH = 16  # number of rows in a block, of numbers in a vector, of signals computed side by side
ACCUMULATORS = 4  # blocks in a group; multiply-adds of four independent sums can overlap, those of one sum cannot


class Blocks(NamedTuple):
    """A sparse matrix, stored as pieces of sixteen rows and one column; pieces with only zeros are left out.

    All pieces with the same sixteen rows form a block; four blocks form a group. A step of a group is one piece of each
    of its four blocks. The steps are stored in the order in which the kernels read them. A block that has fewer pieces
    than another one in its group is filled up with pieces of zeros, and the last group with blocks without pieces.
    """

    weights: Array  # [steps, 4, 16]
    columns: Array  # [steps, 4] uint16: the column of each piece
    steps: Array  # [groups + 1]: the first step of each group, and the number of all steps
    places: Array  # [groups, 4]: the first row of each block of a group
    where: Array  # [rows / 16, 2]: the group of every block, and the place 0..3 of the block in that group


class Matrix(NamedTuple):
    """A layer without its activation."""

    m: Blocks
    start: Array  # [rows + 16]: the bias, then zeros for the blocks that only fill a group


class RecurrentWeights(NamedTuple):
    """The recurrent weights of a GRU, in the order [block, gate, unit]."""

    matrix: Matrix  # without the diagonals; the bias is that of gate n, zeros for r and z
    diagonal_b: Array  # [3 * units]: the diagonals


class AffineLayer(NamedTuple):
    """A layer at frame rate: y = x @ matrix + bias."""

    matrix: Array  # [inputs, outputs] float32
    bias: Array  # [outputs] float32


class LayerBuffers(NamedTuple):
    """The memory for one call of a layer: its input `state` and its output `y`.

    A call computes one input vector (for instance that of one frame), or sixteen side by side. For sixteen, the last
    axis of both arrays is the number of the vector.
    """

    state: Array  # [1, inputs] or [1, inputs, 16]
    y: Array  # [outputs + 16] or [outputs + 16, 16]; the last 16 outputs belong to blocks that only fill a group


class Schedule(NamedTuple):
    """The rows of the inputs (one row per frame) that each lane uses, and for how many samples it uses each."""

    rows: Array  # [lanes]: the first row
    ends: Array  # [lanes]: the last row, which is used for all samples that remain
    waits: Array  # [lanes]: number of samples for which the first row is used
    hop: int  # number of samples for which each row between the first and the last is used
